//! Where everything lies in a link's two segments. Only arithmetic and sizes; both sides must agree on every number.

use serde::{Deserialize, Serialize};

use super::PeerFault;
use super::sync::AtomicU64;
use crate::limits::SLOTS_MAX;
use crate::trace::WORDS as TRACE_WORDS;

/// Bytes that fit into a line beside its header.
pub const INLINE: usize = 40;
/// Words that hold them.
pub const INLINE_WORDS: usize = INLINE / 8;
/// Offsets and sizes in the arena are multiples of this.
pub const UNIT: u64 = 64;
/// Each slot's own buffer in the arena, for calls that fit no line and need no allocation.
pub const SLOT_BUFFER: u64 = 4096;

const STRIDE: u64 = 128;
const PAGE: u64 = 4096;

/// What the client writes for one slot: two cache lines. The second changes rarely, so a short call moves only the
/// first.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct RequestLine {
    /// The call's number; written last.
    pub(super) seq: AtomicU64,
    /// `CLOCK_MONOTONIC` in nanoseconds; 0 for none.
    pub(super) deadline_ns: AtomicU64,
    /// [`RequestHead`].
    pub(super) head: AtomicU64,
    /// The payload, when it has at most [`INLINE`] bytes.
    pub(super) inline: [AtomicU64; INLINE_WORDS],
    /// The call that the client no longer wants.
    pub(super) cancel: AtomicU64,
    /// The call that the client sleeps for, and how: see [`super::wake`].
    pub(super) sleep: AtomicU64,
    /// [`Grant`]: the buffer of request and reply.
    pub(super) grant: AtomicU64,
    /// The trace of a call whose head says that it belongs to one: see [`crate::trace::to_words`].
    pub(super) trace: [AtomicU64; TRACE_WORDS],
    /// In the first slot's line: how many slots, the lowest, the client uses; 0 for all. See [`super::few`].
    pub(super) few: AtomicU64,
}

/// What the owner of the claim writes for one slot.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct ReplyLine {
    /// The call that this answers; written last.
    pub(super) seq: AtomicU64,
    /// Status in the lower, length in the upper half.
    pub(super) head: AtomicU64,
    /// The loop that answered, for a later fetch.
    pub(super) owner: AtomicU64,
    /// The payload, when it has at most [`INLINE`] bytes.
    pub(super) inline: [AtomicU64; INLINE_WORDS],
    _later: [AtomicU64; 8],
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<RequestLine>() as u64 == STRIDE);
    assert!(size_of::<ReplyLine>() as u64 == STRIDE);
    assert!(std::mem::offset_of!(RequestLine, cancel) == 64, "a short call moves one line");
    assert!(std::mem::offset_of!(ReplyLine, _later) == 64, "a short reply moves one line");
};

macro_rules! zeroed {
    ($line:ident { $($word:ident),* }, [$($array:ident),*]) => {
        impl Default for $line {
            /// A line as a fresh segment holds it: all zero.
            fn default() -> Self {
                Self {
                    $($word: AtomicU64::new(0),)*
                    $($array: std::array::from_fn(|_| AtomicU64::new(0)),)*
                }
            }
        }
    };
}
zeroed!(RequestLine { seq, deadline_ns, head, cancel, sleep, grant, few }, [inline, trace]);
zeroed!(ReplyLine { seq, head, owner }, [inline, _later]);

/// The sizes of a link, decided by the broker and told to both sides. Never read from shared memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Sizes", into = "Sizes")]
pub struct Geometry {
    slots: u16,
    heap: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Sizes {
    slots: u16,
    heap_bytes: u64,
}

impl From<Geometry> for Sizes {
    fn from(geometry: Geometry) -> Self {
        Self { slots: geometry.slots, heap_bytes: geometry.heap }
    }
}

impl TryFrom<Sizes> for Geometry {
    type Error = String;
    fn try_from(sizes: Sizes) -> Result<Self, String> {
        Self::new(sizes.slots, sizes.heap_bytes)
    }
}

impl Geometry {
    /// A link with this many slots, and this many bytes in the arena beside the slots' own buffers.
    ///
    /// # Errors
    /// A text, when there are no or too many slots, or the heap is not a power of two or too large for a grant.
    pub fn new(slots: u16, heap: u64) -> Result<Self, String> {
        if slots == 0 || usize::from(slots) > SLOTS_MAX {
            return Err(format!("a link has 1 to {SLOTS_MAX} slots, not {slots}"));
        }
        if !heap.is_power_of_two() || !(SLOT_BUFFER..=UNIT << 31).contains(&heap) {
            return Err(format!("a link's heap is a power of two between 4 KiB and 128 GiB, not {heap} bytes"));
        }
        Ok(Self { slots, heap })
    }

    /// A link for messages up to `message_max` bytes: the heap holds two of the largest and more of the others.
    ///
    /// # Errors
    /// As [`Geometry::new`].
    pub fn for_messages(slots: u16, message_max: u64) -> Result<Self, String> {
        let heap = message_max.max(SLOT_BUFFER).checked_next_power_of_two().and_then(|size| size.checked_mul(4));
        Self::new(slots, heap.ok_or_else(|| format!("messages of {message_max} bytes do not fit an arena"))?)
    }

    /// The same with one slot, for calls that run one at a time.
    #[inline]
    #[must_use]
    pub fn with_one_slot(self) -> Self {
        Self { slots: 1, ..self }
    }

    /// Slots, each with room for one call in flight.
    #[inline]
    #[must_use]
    pub fn slots(self) -> usize {
        usize::from(self.slots)
    }

    /// Bytes of the arena that no slot owns.
    #[inline]
    #[must_use]
    pub fn heap(self) -> u64 {
        self.heap
    }

    /// Where the heap begins in the arena: behind the slots' own buffers.
    #[inline]
    #[must_use]
    pub fn heap_offset(self) -> u64 {
        u64::from(self.slots) * SLOT_BUFFER
    }

    /// Bytes of the whole arena.
    #[inline]
    #[must_use]
    pub fn arena(self) -> u64 {
        self.heap_offset() + self.heap
    }

    #[inline]
    pub(super) fn arena_offset(self) -> u64 {
        (u64::from(self.slots) * STRIDE).next_multiple_of(PAGE)
    }

    /// Bytes of the request segment.
    #[inline]
    #[must_use]
    pub fn request_segment(self) -> u64 {
        self.arena_offset() + self.arena()
    }

    /// The poller word has the reply segment's first line for itself; claim words follow, 8 to a line.
    pub(super) const CLAIMS_OFFSET: u64 = STRIDE;

    pub(super) fn replies_offset(self) -> u64 {
        Self::CLAIMS_OFFSET + (u64::from(self.slots) * 8).next_multiple_of(STRIDE)
    }

    /// Bytes of the reply segment.
    #[inline]
    #[must_use]
    pub fn reply_segment(self) -> u64 {
        (self.replies_offset() + u64::from(self.slots) * STRIDE).next_multiple_of(PAGE)
    }

    /// The buffer that slot `index` owns.
    #[inline]
    #[must_use]
    pub fn slot_grant(self, index: usize) -> Grant {
        debug_assert!(index < self.slots());
        Grant { offset: index as u64 * SLOT_BUFFER, capacity: SLOT_BUFFER }
    }
}

/// A buffer in the arena: the request lies at its beginning, and the reply goes over it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// Bytes from the arena's beginning.
    pub offset: u64,
    /// Bytes.
    pub capacity: u64,
}

impl Grant {
    /// As a word: offset and capacity in units of [`UNIT`] bytes.
    #[inline]
    #[must_use]
    pub fn word(self) -> u64 {
        debug_assert!(self.offset.is_multiple_of(UNIT) && self.capacity.is_multiple_of(UNIT));
        (self.offset / UNIT) | ((self.capacity / UNIT) << 32)
    }

    /// Reads a word that a client wrote.
    ///
    /// # Errors
    /// [`PeerFault::Grant`] when the buffer is not wholly inside the arena.
    #[inline]
    pub fn parse(word: u64, geometry: Geometry) -> Result<Self, PeerFault> {
        let (offset, capacity) = ((word & u64::from(u32::MAX)) * UNIT, (word >> 32) * UNIT);
        // Both are below 2^38, so the sum cannot wrap.
        if offset + capacity > geometry.arena() {
            return Err(PeerFault::Grant { offset, capacity, arena: geometry.arena() });
        }
        Ok(Self { offset, capacity })
    }
}

/// The third word of a request: what is asked, and how long it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestHead {
    /// The method's index; for a fetch, the incarnation that holds the reply.
    pub method: u16,
    /// The codec's number on the wire.
    pub codec: u8,
    /// Whether this asks for a reply that did not fit ([`Status::Need`](crate::status::Status::Need)).
    pub fetch: bool,
    /// Whether the line's trace words say which trace this call belongs to.
    pub traced: bool,
    /// Bytes of the payload: inline up to [`INLINE`], else at the beginning of the grant.
    pub len: u32,
}

impl RequestHead {
    /// As a word.
    #[inline]
    #[must_use]
    pub fn word(self) -> u64 {
        let flags = u64::from(self.fetch) | u64::from(self.traced) << 1;
        u64::from(self.method) | u64::from(self.codec) << 16 | flags << 24 | u64::from(self.len) << 32
    }

    /// Splits a word. Every word means something; whether it makes sense is judged later.
    #[inline]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the word is split into its fields")]
    pub fn from_word(word: u64) -> Self {
        let (fetch, traced) = (word >> 24 & 1 == 1, word >> 25 & 1 == 1);
        Self { method: word as u16, codec: (word >> 16) as u8, fetch, traced, len: (word >> 32) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_segment_follow_each_other() {
        for slots in [1, 7, 64] {
            let geometry = Geometry::for_messages(slots, 64 << 20).unwrap();
            assert!(geometry.arena_offset() >= u64::from(slots) * STRIDE);
            assert_eq!(geometry.request_segment(), geometry.arena_offset() + geometry.arena());
            assert!(geometry.replies_offset() >= Geometry::CLAIMS_OFFSET + u64::from(slots) * 8);
            assert!(geometry.reply_segment() >= geometry.replies_offset() + u64::from(slots) * STRIDE);
        }
    }

    #[test]
    fn grants_outside_the_arena_are_refused() {
        let geometry = Geometry::new(2, 1 << 16).unwrap();
        let whole = Grant { offset: 0, capacity: geometry.arena() };
        assert_eq!(Grant::parse(whole.word(), geometry), Ok(whole));
        for (offset, capacity) in [(UNIT, geometry.arena()), (geometry.arena(), UNIT), (u64::from(u32::MAX) * UNIT, 64)]
        {
            assert!(Grant::parse(Grant { offset, capacity }.word(), geometry).is_err());
        }
        assert!(Grant::parse(u64::MAX, geometry).is_err());
    }

    #[test]
    fn heads_survive() {
        let head = RequestHead { method: u16::MAX - 1, codec: 2, fetch: true, traced: false, len: u32::MAX };
        assert_eq!(RequestHead::from_word(head.word()), head);
        let head = RequestHead { method: 1, codec: 255, fetch: false, traced: true, len: 0 };
        assert_eq!(RequestHead::from_word(head.word()), head);
    }

    #[test]
    fn sizes_out_of_range_are_refused_also_in_json() {
        assert!(Geometry::new(0, 1 << 16).is_err());
        assert!(Geometry::new(65, 1 << 16).is_err());
        assert!(Geometry::new(64, (1 << 16) + 1).is_err());
        assert!(serde_json::from_str::<Geometry>(r#"{"slots":65,"heap_bytes":65536}"#).is_err());
    }
}
