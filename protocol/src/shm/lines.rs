//! Lines of one kind that follow each other in a segment. That they lie inside it is checked once: each call looks at
//! half a dozen of them, on both sides.

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use super::layout::{ReplyLine, RequestLine};
use super::segment::{Segment, SharedWords};
use super::slot::Slot;
use super::sync::AtomicU64;

/// `count` lines, found by their index.
#[derive(Debug)]
pub(super) struct Lines<T> {
    first: NonNull<T>,
    count: usize,
    /// Where they are mapped.
    _segment: Arc<Segment>,
}

// SAFETY: all that it gives out are shared references to atomics; the mapping behind them may be used and unmapped by
// any thread, as `Segment` itself says.
unsafe impl<T: SharedWords> Send for Lines<T> {}
// SAFETY: as above.
unsafe impl<T: SharedWords> Sync for Lines<T> {}

impl<T: SharedWords> Lines<T> {
    /// `count` lines from `offset` on.
    ///
    /// # Errors
    /// When they are not inside the segment, or not aligned.
    pub(super) fn new(segment: &Arc<Segment>, offset: u64, count: usize) -> io::Result<Self> {
        let bytes = count.checked_mul(size_of::<T>()).ok_or(io::ErrorKind::InvalidData)?;
        let first = segment.range(offset, bytes).filter(|first| first.cast::<T>().is_aligned());
        let first = first.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{count} lines at {offset} are not in their segment"))
        })?;
        Ok(Self { first: first.cast(), count, _segment: Arc::clone(segment) })
    }

    /// The line with this index.
    #[inline(always)]
    pub(super) fn get(&self, index: usize) -> &T {
        if index >= self.count {
            none(index, self.count);
        }
        // SAFETY: it was just looked at.
        unsafe { self.at(index) }
    }

    /// The same without a look at the index.
    ///
    /// # Safety
    /// `index` is below `self.count`.
    #[inline(always)]
    unsafe fn at(&self, index: usize) -> &T {
        // SAFETY: (1) `new` has shown that `count` lines lie inside the mapping, aligned, and the caller that `index`
        // is below; (2) the mapping lives as long as the segment, of which this holds a count, and is neither moved nor
        // shrunk; (3) `T` is made of atomics by `SharedWords`, so every bit pattern is valid and writers elsewhere are
        // no data race.
        unsafe { self.first.add(index).as_ref() }
    }
}

/// The lines of all slots of a link: as many of each kind, so that one look at an index is enough for three.
#[derive(Debug)]
pub(super) struct SlotLines {
    requests: Lines<RequestLine>,
    replies: Lines<ReplyLine>,
    claims: Lines<AtomicU64>,
}

impl SlotLines {
    /// # Panics
    /// When there are more of one kind than of another.
    pub(super) fn new(requests: Lines<RequestLine>, replies: Lines<ReplyLine>, claims: Lines<AtomicU64>) -> Self {
        assert!(requests.count == replies.count && requests.count == claims.count, "a slot has a line of each kind");
        Self { requests, replies, claims }
    }

    /// The slot with this index.
    #[inline(always)]
    pub(super) fn get(&self, index: usize) -> Slot<'_> {
        if index >= self.requests.count {
            none(index, self.requests.count);
        }
        // SAFETY: it was just looked at for the first; `new`, which alone makes this, has shown that there are as many
        // of the others, and nobody changes a count.
        unsafe {
            Slot { request: self.requests.at(index), reply: self.replies.at(index), claim: self.claims.at(index) }
        }
    }
}

/// Apart, as what a message needs must not be got ready for each look: there are a dozen in a call.
#[cold]
#[inline(never)]
fn none(index: usize, count: usize) -> ! {
    panic!("line {index} of {count}")
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::fs::Mode;

    use super::super::segment::{Access, create};
    use super::super::sync::Ordering;
    use super::*;

    fn segment() -> Arc<Segment> {
        let fd = create("speedysvc-test", 4096, Mode::from_raw_mode(0o600)).unwrap();
        Arc::new(Segment::map(fd.as_fd(), 4096, Access::ReadWrite).unwrap())
    }

    #[test]
    fn lines_follow_each_other_and_keep_their_memory() {
        let segment = segment();
        let words = Lines::<AtomicU64>::new(&segment, 4080, 2).unwrap();
        drop(segment);
        words.get(0).store(1, Ordering::Relaxed);
        words.get(1).store(2, Ordering::Relaxed);
        assert_eq!((words.get(0).load(Ordering::Relaxed), words.get(1).load(Ordering::Relaxed)), (1, 2));
    }

    #[test]
    fn lines_outside_or_askew_are_refused() {
        let segment = segment();
        assert!(Lines::<RequestLine>::new(&segment, 0, 32).is_ok());
        for (offset, count) in [(0, 33), (128, 32), (64, 1), (4096, 1), (u64::MAX, 1), (0, usize::MAX)] {
            assert!(Lines::<RequestLine>::new(&segment, offset, count).is_err(), "{count} at {offset}");
        }
    }

    fn slots(claims: usize) -> SlotLines {
        let segment = segment();
        let claims = Lines::new(&segment, 1024, claims).unwrap();
        SlotLines::new(Lines::new(&segment, 0, 2).unwrap(), Lines::new(&segment, 512, 2).unwrap(), claims)
    }

    #[test]
    fn a_slot_has_the_lines_of_its_index() {
        let slots = slots(2);
        slots.get(1).claim.store(7, Ordering::Relaxed);
        assert_eq!([0, 1].map(|index| slots.get(index).claim.load(Ordering::Relaxed)), [0, 7]);
        assert!(std::ptr::eq(slots.get(1).request, slots.requests.get(1)));
        assert!(std::ptr::eq(slots.get(1).reply, slots.replies.get(1)));
    }

    #[test]
    #[should_panic(expected = "line 2 of 2")]
    fn a_slot_that_does_not_exist_is_refused() {
        slots(2).get(2);
    }

    #[test]
    #[should_panic(expected = "a slot has a line of each kind")]
    fn slots_of_unequal_parts_are_refused() {
        slots(1);
    }

    #[test]
    #[should_panic(expected = "line 2 of 2")]
    fn a_line_that_does_not_exist_is_refused() {
        Lines::<AtomicU64>::new(&segment(), 0, 2).unwrap().get(2);
    }
}
