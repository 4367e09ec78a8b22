//! The supervisor's step after a death. Rule 15 of the slot protocol.

use super::claim::Taker;
use super::seq::{ClaimWord, Seq};
use super::sync::Ordering;
use crate::ids::Incarnation;
use crate::status::{Code, Outcome, Status};

impl Taker<'_> {
    /// The last call in this slot that `dead` claimed, if nobody has claimed a later one.
    #[must_use]
    pub fn last_claimed_by(self, dead: Incarnation) -> Option<Seq> {
        let claim = ClaimWord::from_word(self.0.claim.load(Ordering::SeqCst));
        (claim.owner == Some(dead)).then_some(claim.seq)
    }

    /// Tells the client of a call that a dead loop had claimed and not answered that nobody knows whether it ran.
    /// Returns the call's number when there was one. Repeating it does nothing.
    ///
    /// The caller has seen the process's pidfd: `dead` writes no more. Only words that workers write are read.
    pub fn resolve(self, dead: Incarnation) -> Option<Seq> {
        // PAIR claimed-by-the-dead: the dead loop's compare-and-swap came before its end.
        let claim = ClaimWord::from_word(self.0.claim.load(Ordering::SeqCst));
        if claim.owner != Some(dead) || self.0.reply.seq.load(Ordering::Acquire) == claim.seq.word() {
            return None;
        }
        let status = Status::Failed(Code::Unavailable, Outcome::Unknown);
        self.0.reply.head.store(u64::from(status.to_wire()), Ordering::Relaxed);
        self.0.reply.owner.store(u64::from(dead.0.get()), Ordering::Relaxed);
        // PAIR reply-published: the verdict is a reply like any other.
        self.0.reply.seq.store(claim.seq.word(), Ordering::Release);
        Some(claim.seq)
    }
}
