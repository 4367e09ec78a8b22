//! How many slots a client uses. Most links never have more than a few calls in flight, and who looks at all slots of a
//! quiet link touches lines, and a page, that nobody ever wrote (decision 0082).

use super::layout::RequestLine;
use super::sync::Ordering;

impl RequestLine {
    /// Of a link's first slot: the client uses so many slots from here on; `None` for all. Said before the first
    /// request in a higher one.
    ///
    /// It is no more than a part of that request: who sees its number has to see this, too, and who sleeps and
    /// misses this is rung for. So what orders the number orders this (PAIR publish-or-sleep).
    pub(super) fn use_few(&self, slots: Option<usize>) {
        self.few.store(slots.map_or(0, |slots| slots as u64), Ordering::Relaxed);
    }

    /// Of a link's first slot: how many of `all` slots may have a request. What the client says is its own loss only.
    pub(super) fn slots_in_use(&self, all: usize) -> usize {
        usize::try_from(self.few.load(Ordering::Relaxed)).ok().filter(|few| (1..all).contains(few)).unwrap_or(all)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_said_some_slots_are_looked_at_and_none_that_is_not_there() {
        let line = RequestLine::default();
        for (said, seen) in [(0, 64), (1, 1), (8, 8), (63, 63), (64, 64), (65, 64), (u64::MAX, 64)] {
            line.few.store(said, Ordering::Relaxed);
            assert_eq!(line.slots_in_use(64), seen, "{said}");
        }
        line.use_few(Some(8));
        assert_eq!((line.slots_in_use(64), line.slots_in_use(8), line.slots_in_use(1)), (8, 8, 1));
        line.use_few(None);
        assert_eq!(line.slots_in_use(64), 64);
    }
}
