//! A worker's steps on a slot: claim, read, publish. Rules 8 to 10 of the slot protocol.

use super::PeerFault;
use super::layout::{Geometry, Grant, INLINE, RequestHead};
use super::prefetch;
use super::seq::{ClaimWord, Seq};
use super::slot::{Slot, load_all, load_bytes, store_bytes};
use super::sync::Ordering;
use crate::ids::{Codec, Incarnation};
use crate::limits::ARCHIVE_ALIGN;
use crate::status::Status;
use crate::trace::{TraceContext, from_words};

/// A slot as a worker sees it: it only reads the request line and writes the rest.
#[derive(Clone, Copy, Debug)]
pub struct Taker<'a>(pub Slot<'a>);

/// What a look at a slot found.
#[derive(Debug)]
pub enum Look {
    /// Nothing to do here: no request, or another loop has it.
    Nothing,
    /// A request that is now ours, and must be answered with [`Taker::publish`].
    Taken(Request),
    /// A request that nobody has, and that we were told not to claim: its number.
    Left(Seq),
    /// The client broke a rule. Nothing was claimed.
    Broken(PeerFault),
}

/// A claimed request: what the client wrote, each word read once after the claim. An allegation until checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// The call's number.
    pub seq: Seq,
    /// Whether the client had given it up before we could start.
    pub cancelled: bool,
    /// `CLOCK_MONOTONIC` in nanoseconds; 0 for none.
    pub deadline_ns: u64,
    /// What is asked.
    pub head: RequestHead,
    grant: u64,
}

/// The inline part of a request, aligned for archives.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
pub struct Inline(pub [u8; INLINE]);

const _: () = assert!(align_of::<Inline>() == ARCHIVE_ALIGN);

impl Request {
    /// Whether an archive was sent and nothing else is asked for: no codec, no fetch, no trace. Most requests are so.
    #[inline]
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let RequestHead { codec, fetch, traced, .. } = self.head;
        codec == Codec::Rkyv as u8 && !fetch && !traced && !self.cancelled
    }

    /// The buffer that the client granted, and that holds the request when it is longer than [`INLINE`].
    ///
    /// # Errors
    /// [`PeerFault`] when it is not inside the arena, or too small for the request.
    #[inline]
    pub fn grant(&self, geometry: Geometry) -> Result<Grant, PeerFault> {
        let grant = Grant::parse(self.grant, geometry)?;
        if self.head.len as usize > INLINE && u64::from(self.head.len) > grant.capacity {
            return Err(PeerFault::Length { len: self.head.len, capacity: grant.capacity });
        }
        Ok(grant)
    }
}

impl Taker<'_> {
    /// Claims the request in this slot, if there is one that nobody has. `alive` says whether a loop still lives: a
    /// fetch is left to the loop that holds the reply, and to anybody after that loop's death.
    #[inline]
    #[must_use]
    pub fn claim(self, me: Incarnation, alive: impl Fn(u16) -> bool) -> Look {
        self.claim_if(me, alive, |_, _| true)
    }

    /// The same, unless `wanted` says that it should be left where it is. What it is told is a hint: it was read before
    /// the claim, and the client may change it.
    // Part of its caller, so that what it found stays in registers: by way of memory it is written in small pieces and
    // read in large ones, which processors wait for.
    #[inline(always)]
    #[must_use]
    pub fn claim_if(
        self,
        me: Incarnation,
        alive: impl Fn(u16) -> bool,
        wanted: impl FnOnce(Seq, RequestHead) -> bool,
    ) -> Look {
        let old = self.0.claim.load(Ordering::Acquire);
        let claimed = ClaimWord::from_word(old).seq;
        // PAIR request-published: the request's fields are behind this number.
        let requested = self.0.request.seq.load(Ordering::Acquire);
        if requested == claimed.word() {
            return Look::Nothing;
        }
        let Some(seq) = Seq::from_word(requested).filter(|seq| *seq > claimed) else {
            return self.backwards(old);
        };
        // PAIR reply-published: another loop still runs the call before this one.
        if self.0.reply.seq.load(Ordering::Acquire) != claimed.word() {
            return Look::Nothing;
        }
        let head = RequestHead::from_word(self.0.request.head.load(Ordering::Relaxed));
        if is_anothers(head, me, alive) {
            return Look::Nothing;
        }
        if !wanted(seq, head) {
            return Look::Left(seq);
        }
        let mine = ClaimWord { seq, owner: Some(me) }.word();
        // PAIR cancel-claim: either the client sees this claim, or we see its cancel below.
        // PAIR claimed-by-the-dead: if this is the last that this process does, the supervisor finds it.
        if self.0.claim.compare_exchange(old, mine, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return Look::Nothing;
        }
        Look::Taken(self.read(seq))
    }

    /// Whether there is a request that nobody has claimed, as far as its number says: a hint, for which one look at
    /// each of two words is enough.
    #[inline]
    #[must_use]
    pub fn is_new(self) -> bool {
        let claimed = ClaimWord::from_word(self.0.claim.load(Ordering::Relaxed)).seq;
        self.0.request.seq.load(Ordering::Relaxed) != claimed.word()
    }

    /// The number of a request that lies here and that nobody has claimed. Claims nothing.
    #[must_use]
    pub fn ready(self) -> Option<Seq> {
        let claimed = ClaimWord::from_word(self.0.claim.load(Ordering::Acquire)).seq;
        // PAIR request-published: only the number matters here.
        let requested = Seq::from_word(self.0.request.seq.load(Ordering::Acquire))?;
        (requested > claimed && self.0.reply.seq.load(Ordering::Acquire) == claimed.word()).then_some(requested)
    }

    /// The number of the request that was claimed last, by whomever.
    #[must_use]
    pub fn claimed(self) -> Seq {
        ClaimWord::from_word(self.0.claim.load(Ordering::Relaxed)).seq
    }

    /// Whether a request lies here that is not answered, claimed or not. A look from outside: true a moment ago.
    #[must_use]
    pub fn is_in_flight(self) -> bool {
        let answered = self.0.reply.seq.load(Ordering::Relaxed);
        self.0.request.seq.load(Ordering::Relaxed) != answered
    }

    /// The request is about to be looked at: a hint.
    #[inline]
    pub fn expect(self) {
        prefetch::to_read(self.0.request);
    }

    /// A reply is about to be published, and its client is not looking for it yet: a hint. With it the line is here by
    /// then, and the next fence or claim finds no store on its way.
    #[inline]
    pub fn prepare(self) {
        prefetch::to_write(self.0.reply);
    }

    /// A request is due here: takes the line for its reply back from the client while it is on its way. By an exchange
    /// for the same, as it may be another loop that answers it, and that has done so by now (decision 0080).
    // Not `fetch_or(0)` or the like: of those compilers make a fence and a load, which do not take the line.
    #[inline]
    pub fn prepare_for_next(self) {
        let owner = self.0.reply.owner.load(Ordering::Relaxed);
        let _unchanged = self.0.reply.owner.compare_exchange(owner, owner, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Says who will answer a claimed request that is answered soon, and so takes the line for the reply meanwhile. By
    /// a store, as in [`Caller::prepare_another`](super::slot::Caller::prepare_another).
    #[inline]
    pub fn prepare_soon(self, me: Incarnation) {
        self.0.reply.owner.store(u64::from(me.0.get()), Ordering::Relaxed);
    }

    /// A request below the claim is a broken rule, unless another loop claimed between our two loads.
    #[cold]
    fn backwards(self, old: u64) -> Look {
        if self.0.claim.load(Ordering::Acquire) == old { Look::Broken(PeerFault::Sequence) } else { Look::Nothing }
    }

    #[inline]
    pub(super) fn read(self, seq: Seq) -> Request {
        let line = self.0.request;
        Request {
            seq,
            cancelled: line.cancel.load(Ordering::SeqCst) >= seq.word(),
            deadline_ns: line.deadline_ns.load(Ordering::Relaxed),
            head: RequestHead::from_word(line.head.load(Ordering::Relaxed)),
            grant: line.grant.load(Ordering::Relaxed),
        }
    }

    /// Copies the inline part of a claimed request; `out` has at most [`INLINE`] bytes.
    #[inline]
    pub fn read_inline(self, out: &mut [u8]) {
        load_bytes(&self.0.request.inline, out);
    }

    /// The whole inline part of a claimed request, of which its head says how many bytes count.
    #[inline]
    #[must_use]
    pub fn inline(self) -> Inline {
        Inline(load_all(&self.0.request.inline))
    }

    /// The trace that a claimed request belongs to, if its head says that it does. An allegation: of zeros it is none.
    #[inline]
    #[must_use]
    pub fn trace(self, head: RequestHead) -> Option<TraceContext> {
        if head.traced { self.read_trace() } else { None }
    }

    #[cold]
    fn read_trace(self) -> Option<TraceContext> {
        from_words(self.0.request.trace.each_ref().map(|word| word.load(Ordering::Relaxed)))
    }

    /// Publishes the reply to a claimed request. A body of at most [`INLINE`] bytes is given as `inline`; a longer one
    /// is already at the beginning of the grant, `inline` is empty and `len` tells its length.
    ///
    /// # Panics
    /// When the claim is not ours: this loop was given up, and must not answer (rule 10).
    // Part of its callers: a call is a hundredth of all that a short one takes (decision 0080).
    #[inline(always)]
    pub fn publish(self, me: Incarnation, seq: Seq, status: Status, len: u32, inline: &[u8]) {
        let mine = ClaimWord { seq, owner: Some(me) }.word();
        assert_eq!(self.0.claim.load(Ordering::Relaxed), mine, "a claim of ours was changed by another");
        let line = self.0.reply;
        line.head.store(u64::from(status.to_wire()) | u64::from(len) << 32, Ordering::Relaxed);
        line.owner.store(u64::from(me.0.get()), Ordering::Relaxed);
        store_bytes(&line.inline, inline);
        // PAIR reply-published: everything above is seen by the client that loads this number.
        line.seq.store(seq.word(), Ordering::Release);
    }
}

/// Whether a fetch is another loop's. A hint read before the claim; what counts is read again after it.
#[inline]
fn is_anothers(head: RequestHead, me: Incarnation, alive: impl Fn(u16) -> bool) -> bool {
    head.fetch && head.method != me.0.get() && alive(head.method)
}
