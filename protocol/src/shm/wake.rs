//! Who must be woken: the decisions, without the system calls. Rules 18 to 23 of the slot protocol.
//!
//! Each wake is a Dekker handshake: one side writes "I sleep", fences and looks again; the other writes what the
//! sleeper waits for, fences and looks whether it sleeps. One of the two sees the other.

use super::board::{BoardLine, Mode};
use super::claim::Taker;
use super::seq::Seq;
use super::slot::Caller;
use super::sync::{AtomicU64, Ordering, fence};
use crate::ids::Incarnation;

/// How a client sleeps, in the lowest byte of its sleep word, above it the call's number.
const BY_FUTEX: u64 = 1;

/// The word in a link's reply segment that says which loop polls it; 0 for none.
#[derive(Clone, Copy, Debug)]
pub struct Poller<'a>(pub &'a AtomicU64);

impl Poller<'_> {
    /// Whether a client that has just published must ring: nobody polls its link, or the loop that does is not looking.
    #[inline]
    #[must_use]
    pub fn needs_bell<'b>(self, board: impl Fn(u16) -> &'b BoardLine) -> bool {
        // PAIR publish-or-sleep: the request is out before we look; a loop that stops looking looks again after
        // saying so.
        fence(Ordering::SeqCst);
        let poller = self.loop_number();
        poller == 0 || board(poller).mode(poller) != Mode::Scan
    }

    /// Whether nobody polls the link, or a loop that has only woken does: who was rung for may still wake. A hint.
    #[must_use]
    pub fn may_wake<'b>(self, board: impl Fn(u16) -> &'b BoardLine) -> bool {
        let poller = self.loop_number();
        poller == 0 || board(poller).mode(poller) == Mode::Woken
    }

    /// Makes `me` the loop that polls this link, unless a living loop that is looking already does.
    pub fn adopt<'b>(self, me: Incarnation, board: impl Fn(u16) -> &'b BoardLine) -> bool {
        let old = self.loop_number();
        if old == me.0.get() {
            return true;
        }
        if old != 0 && matches!(board(old).mode(old), Mode::Scan | Mode::Woken) {
            return false;
        }
        self.swap(old, me.0.get())
    }

    /// Makes `me` the loop that polls this link, if none is said to: for a loop that has only woken. What is published
    /// on a link that nobody polls rings, and all loops hear it; and what was before, who left it looks for.
    pub fn adopt_free(self, me: Incarnation) -> bool {
        self.is(me) || self.swap(0, me.0.get())
    }

    /// Whether a living loop looks at this link all the time. One that has only woken may be in a handler that nobody
    /// watches over: it keeps the link, and others look there, too, when they hear of it.
    pub fn is_polled<'b>(self, board: impl Fn(u16) -> &'b BoardLine) -> bool {
        let poller = self.loop_number();
        poller != 0 && board(poller).mode(poller) == Mode::Scan
    }

    /// Stops `me` polling this link. The caller fences and looks at the link once more (rule 21).
    pub fn leave(self, me: Incarnation) {
        // Losing the swap is fine: then another loop has taken the link over.
        self.swap(me.0.get(), 0);
    }

    /// Whether `me` is the loop that polls this link.
    #[inline]
    #[must_use]
    pub fn is(self, me: Incarnation) -> bool {
        self.loop_number() == me.0.get()
    }

    fn swap(self, old: u16, new: u16) -> bool {
        self.0.compare_exchange(u64::from(old), u64::from(new), Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    #[inline]
    fn loop_number(self) -> u16 {
        // Written by workers only; a value beyond 16 bits would be their bug, and then nobody polls.
        u16::try_from(self.0.load(Ordering::SeqCst)).unwrap_or(0)
    }
}

/// Orders a loop's own "I sleep" or "I am busy" before its second look at the links.
pub fn before_second_look() {
    // PAIR publish-or-sleep: the other end is in `needs_bell`.
    fence(Ordering::SeqCst);
}

impl Caller<'_> {
    /// Says that the client will sleep for call `seq`, and looks again: `None` when the reply is there by now.
    #[must_use]
    pub fn announce_sleep(self, seq: Seq) -> Option<Unanswered> {
        self.0.request.sleep.store(seq.word() << 8 | BY_FUTEX, Ordering::Relaxed);
        // PAIR reply-or-sleep: the announcement is out before we look for the reply.
        fence(Ordering::SeqCst);
        let word = self.0.reply.seq.load(Ordering::Acquire);
        (word != seq.word()).then_some(Unanswered(word))
    }
}

impl Caller<'_> {
    /// The reply's sequence word now, for a thread that sleeps for calls whose own threads announce the sleep. What it
    /// does not find after this, and what is announced then, it is woken for.
    #[must_use]
    pub fn look(self) -> Unanswered {
        // PAIR reply-published: a reply that is found by this number may be read.
        Unanswered(self.0.reply.seq.load(Ordering::Acquire))
    }
}

/// The reply's sequence word as a client saw it: what it may sleep on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unanswered(pub(super) u64);

/// Orders replies that were published before the looks for their sleepers: one fence for as many as there are.
pub fn before_looks_for_sleepers() {
    // PAIR reply-or-sleep: the replies are out before we look for sleepers.
    fence(Ordering::SeqCst);
}

impl Taker<'_> {
    /// Whether the client sleeps for call `seq`, whose reply has just been published.
    #[must_use]
    pub fn must_wake(self, seq: Seq) -> bool {
        before_looks_for_sleepers();
        self.says_it_sleeps(seq)
    }

    /// Whether the client has said that it sleeps for call `seq`. That it has not means nothing, unless
    /// [`before_looks_for_sleepers`] came between the reply and this.
    #[inline]
    #[must_use]
    pub fn says_it_sleeps(self, seq: Seq) -> bool {
        self.0.request.sleep.load(Ordering::Relaxed) == (seq.word() << 8 | BY_FUTEX)
    }
}
