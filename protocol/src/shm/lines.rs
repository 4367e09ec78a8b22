//! Lines of one kind that follow each other in a segment. That they lie inside it is checked once: each call looks at
//! half a dozen of them, on both sides.

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use super::segment::{Segment, SharedWords};

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
    #[inline]
    pub(super) fn get(&self, index: usize) -> &T {
        assert!(index < self.count, "line {index} of {}", self.count);
        // SAFETY: (1) `new` has shown that `count` lines lie inside the mapping, aligned, and `index` is below; (2) the
        // mapping lives as long as the segment, of which this holds a count, and is neither moved nor shrunk; (3) `T`
        // is made of atomics by `SharedWords`, so every bit pattern is valid and writers elsewhere are no data race.
        unsafe { self.first.add(index).as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::fs::Mode;

    use super::super::layout::RequestLine;
    use super::super::segment::{Access, create};
    use super::super::sync::{AtomicU64, Ordering};
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

    #[test]
    #[should_panic(expected = "line 2 of 2")]
    fn a_line_that_does_not_exist_is_refused() {
        Lines::<AtomicU64>::new(&segment(), 0, 2).unwrap().get(2);
    }
}
