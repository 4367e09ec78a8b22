//! The client's steps on a slot. Rules 7, 11, 12 and 14 of the slot protocol.

use std::ptr;

use super::layout::{Grant, INLINE, INLINE_WORDS, ReplyLine, RequestHead, RequestLine};
use super::prefetch;
use super::seq::{ClaimWord, Seq};
use super::sync::{AtomicU64, Ordering, fence};
use crate::byte_string;
use crate::status::Status;
use crate::trace::{TraceContext, to_words};

/// One slot's words, wherever they lie.
#[derive(Clone, Copy, Debug)]
pub struct Slot<'a> {
    /// Written by the client.
    pub request: &'a RequestLine,
    /// Written by the owner of the claim.
    pub reply: &'a ReplyLine,
    /// Written by workers, by compare-and-swap.
    pub claim: &'a AtomicU64,
}

/// A slot as its client sees it: it writes the request line and only reads the rest.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a>(pub Slot<'a>);

/// A request, before its number.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    /// What is asked.
    pub head: RequestHead,
    /// `CLOCK_MONOTONIC` in nanoseconds; 0 for none.
    pub deadline_ns: u64,
    /// The buffer for the reply, and for the request when it is longer than [`INLINE`].
    pub grant: Grant,
    /// The payload, when it has at most [`INLINE`] bytes; else empty, and already in the grant.
    pub inline: &'a [u8],
}

/// What lies in a reply line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplyHead {
    /// What the body is.
    pub status: Status,
    /// Bytes of the body: inline up to [`INLINE`], else at the beginning of the grant.
    pub len: u32,
    /// The loop that answered.
    pub owner: u16,
}

/// What a client knows after it gave a call up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GivenUp {
    /// No loop has claimed it, and none will start it. Final; the slot is free.
    NotStarted,
    /// A loop has it. A reply may still come; until then the slot and its buffer must not be used.
    Claimed,
}

/// A reply that is to come. It may be kept for longer than its link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expected(*const ReplyLine);

impl Expected {
    /// None.
    pub const NONE: Self = Self(ptr::null());

    /// It is about to be looked at, and is probably there: a hint.
    #[inline]
    pub fn expect(self) {
        prefetch::to_read(self.0);
    }
}

impl Caller<'_> {
    /// Says which trace the next request belongs to, whose head must say `traced`; seen with its number.
    #[cold]
    pub fn trace(self, trace: &TraceContext) {
        for (word, said) in self.0.request.trace.iter().zip(to_words(trace)) {
            word.store(said, Ordering::Relaxed);
        }
    }

    /// Publishes a request. `seq` must be larger than any before in this slot.
    #[inline]
    pub fn post(self, seq: Seq, post: &Post<'_>) {
        debug_assert!(post.inline.len() <= INLINE);
        store_bytes(&self.0.request.inline, post.inline);
        self.publish(seq, post);
    }

    /// The same with these words as the inline payload, in place of that of `post`.
    #[inline(always)]
    pub fn post_words(self, seq: Seq, post: &Post<'_>, words: [u64; INLINE_WORDS]) {
        for (word, value) in self.0.request.inline.iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
        self.publish(seq, post);
    }

    // Part of its callers, who mostly know what is asked: then there is little left to put together.
    #[inline(always)]
    fn publish(self, seq: Seq, post: &Post<'_>) {
        let line = self.0.request;
        line.deadline_ns.store(post.deadline_ns, Ordering::Relaxed);
        line.head.store(post.head.word(), Ordering::Relaxed);
        // The second line is only touched when it changes: a short call then moves one line.
        let grant = post.grant.word();
        if line.grant.load(Ordering::Relaxed) != grant {
            line.grant.store(grant, Ordering::Relaxed);
        }
        // PAIR request-published: everything above is seen by the loop that loads this number.
        line.seq.store(seq.word(), Ordering::Release);
    }

    /// The reply to call `seq`, once it is there.
    #[inline]
    #[must_use]
    pub fn poll(self, seq: Seq) -> Option<ReplyHead> {
        // PAIR reply-published: the reply's fields and its bytes in the arena are behind this number.
        if self.0.reply.seq.load(Ordering::Acquire) != seq.word() {
            return None;
        }
        let head = self.0.reply.head.load(Ordering::Relaxed);
        let owner = self.0.reply.owner.load(Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "the word is split into its fields")]
        Some(ReplyHead { status: Status::from_wire(head as u32), len: (head >> 32) as u32, owner: owner as u16 })
    }

    /// A request is about to be posted in this slot, and no loop looks at it just now: a hint.
    #[inline]
    pub fn prepare(self) {
        prefetch::to_write(self.0.request);
    }

    /// The last call of this slot is over, and another is probably made soon by who has it: takes the line back from
    /// the worker meanwhile. By a store that nobody reads before the next request's number: `prefetchw` is no help
    /// where the other side has read the line (decision 0079).
    #[inline]
    pub fn prepare_another(self) {
        self.0.request.deadline_ns.store(0, Ordering::Relaxed);
    }

    /// Where the reply will come, for those who have others to look at before.
    #[inline]
    #[must_use]
    pub fn expected(self) -> Expected {
        Expected(self.0.reply)
    }

    /// Copies the inline part of a reply that [`Caller::poll`] returned; `out` has at most [`INLINE`] bytes.
    #[inline]
    pub fn read_inline(self, out: &mut [u8]) {
        load_bytes(&self.0.reply.inline, out);
    }

    /// The byte string whose archive is the inline part, of `len` bytes, of a reply that [`Caller::poll`] returned.
    /// `None` when it is none, or an odd one.
    ///
    /// It goes from the line into the vector by registers: by way of other memory the copy would have to wait for the
    /// stores of that, as they are shorter than its loads.
    // Part of its caller: handed over in memory, the vector would be read in larger pieces than it was written in.
    #[inline(always)]
    #[must_use]
    pub fn inline_byte_string(self, len: usize) -> Option<Vec<u8>> {
        let words = &self.0.reply.inline;
        let word = |place: usize| words.get(place).map(|word| word.load(Ordering::Relaxed));
        let root = len.checked_sub(byte_string::ROOT)?;
        let (first, half) = (word(root / 8)?, root % 8 != 0);
        let root = if half { first >> 32 | word(root / 8 + 1)? << 32 } else { first };
        let range = byte_string::range(len, root.to_le_bytes()).filter(|range| range.start == 0)?;
        let mut bytes = Vec::with_capacity(INLINE);
        bytes.extend_from_slice(&load_all(words));
        bytes.truncate(range.end);
        Some(bytes)
    }

    /// Gives call `seq` up, and says whether it can still run (rule 12).
    #[must_use]
    pub fn give_up(self, seq: Seq) -> GivenUp {
        self.0.request.cancel.store(seq.word(), Ordering::Relaxed);
        // PAIR cancel-claim: either we see the claim, or its loop sees the cancel (rule 9).
        fence(Ordering::SeqCst);
        if self.unclaimed(seq) { GivenUp::NotStarted } else { GivenUp::Claimed }
    }

    /// Whether no loop has claimed call `seq` yet. On its own this says nothing of the next moment.
    #[must_use]
    pub fn unclaimed(self, seq: Seq) -> bool {
        ClaimWord::from_word(self.0.claim.load(Ordering::SeqCst)).seq < seq
    }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
fn flattened(words: [[u8; 8]; INLINE_WORDS]) -> [u8; INLINE] {
    let mut bytes = [0; INLINE];
    bytes.copy_from_slice(words.as_flattened());
    bytes
}

/// Spreads up to [`INLINE`] bytes over words; words beyond the bytes are left as they are.
#[inline]
pub(super) fn store_bytes(words: &[AtomicU64; INLINE_WORDS], bytes: &[u8]) {
    for (place, word) in words.iter().enumerate() {
        let rest = bytes.get(place * 8..).unwrap_or_default();
        let Some(whole) = rest.first_chunk() else {
            if !rest.is_empty() {
                // By hand: a copy of so few bytes by a library call costs more than the rest of this.
                let gathered = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
                word.store(gathered, Ordering::Relaxed);
            }
            return;
        };
        word.store(u64::from_le_bytes(*whole), Ordering::Relaxed);
    }
}

/// Gathers up to [`INLINE`] bytes from words, each word loaded once.
#[inline]
pub(super) fn load_bytes(words: &[AtomicU64; INLINE_WORDS], out: &mut [u8]) {
    debug_assert!(out.len() <= INLINE);
    for (place, word) in words.iter().enumerate() {
        let rest = out.get_mut(place * 8..).unwrap_or_default();
        let loaded = || word.load(Ordering::Relaxed).to_le_bytes();
        let Some(whole) = rest.first_chunk_mut() else {
            if !rest.is_empty() {
                rest.iter_mut().zip(loaded()).for_each(|(out, byte)| *out = byte);
            }
            return;
        };
        *whole = loaded();
    }
}

/// All bytes of the words, each word loaded once.
#[inline]
pub(super) fn load_all(words: &[AtomicU64; INLINE_WORDS]) -> [u8; INLINE] {
    let words = std::array::from_fn(|place| words[place].load(Ordering::Relaxed));
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    return in_pairs(words);
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    return flattened(words.map(u64::to_le_bytes));
}

/// The bytes of these words, written by two words at once. They are mostly copied next, by pieces of 16 and more, and a
/// processor waits for pieces that were written in smaller ones: 4 ns of a call (decision 0069).
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn in_pairs([a, b, c, d, e]: [u64; INLINE_WORDS]) -> [u8; INLINE] {
    use core::arch::x86_64::{__m128i, _mm_set_epi64x};

    #[repr(C)]
    struct Pairs(__m128i, __m128i, u64);
    // SAFETY: it needs SSE2, which every processor with 64 bits has, and touches no memory.
    let pair = |low: u64, high: u64| unsafe { _mm_set_epi64x(high.cast_signed(), low.cast_signed()) };
    let pairs = Pairs(pair(a, b), pair(c, d), e);
    const { assert!(std::mem::offset_of!(Pairs, 2) + size_of::<u64>() == INLINE) };
    // SAFETY: the first `INLINE` bytes of `pairs` are its fields, as was just asserted, all of them initialised, and
    // any bytes are a `[u8; INLINE]`, which needs no alignment.
    unsafe { (&raw const pairs).cast::<[u8; INLINE]>().read() }
}
