//! How large a method's requests and replies are: what to grant at first, so that few replies must be fetched, and
//! requests can be archived straight into it.

use std::sync::atomic::{AtomicU32, Ordering};

use speedysvc_protocol::shm::layout::SLOT_BUFFER;

/// A size is forgotten when so many replies in a row needed less. A reply that must be fetched costs a whole call more,
/// one large buffer too many costs nothing but the look into the heap.
const REMEMBERED: u32 = 64;

/// What is known of a method's calls.
#[derive(Default)]
pub(super) struct Sizes {
    pub(super) requests: Learned,
    pub(super) replies: Learned,
}

impl Sizes {
    /// Whether a slot's own buffer is enough for this method's requests and replies of late.
    #[inline]
    pub(super) fn are_short(&self) -> bool {
        self.requests.largest() == 0 && self.replies.largest() == 0
    }

    /// A buffer that is large enough for most calls, when this request has so many bytes.
    #[inline]
    pub(super) fn buffer(&self, request: usize) -> u64 {
        u64::from(self.replies.largest()).max(request as u64)
    }
}

/// The largest of a method's requests or replies of late, in bytes. Callers of several threads may cross each other
/// here: then a hint is worse than it could be, and nothing else.
#[derive(Default)]
pub(super) struct Learned {
    largest: AtomicU32,
    /// Replies since one needed that much.
    since: AtomicU32,
    /// The largest of those.
    next: AtomicU32,
}

impl Learned {
    #[inline]
    pub(super) fn largest(&self) -> u32 {
        self.largest.load(Ordering::Relaxed)
    }

    /// Notes a reply's length.
    #[inline]
    pub(super) fn note(&self, len: u32) {
        // A slot's own buffer is there anyway: most methods never write here, so the line stays in every cache.
        if u64::from(len) > SLOT_BUFFER || self.largest() > 0 {
            self.note_large(len);
        }
    }

    #[cold]
    fn note_large(&self, len: u32) {
        let largest = self.largest();
        let since = self.since.load(Ordering::Relaxed) + 1;
        let next = self.next.load(Ordering::Relaxed).max(len);
        let (largest, since, next) = match (len >= largest, since >= REMEMBERED) {
            (true, _) => (len, 0, 0),
            (false, false) => (largest, since, next),
            (false, true) => (if u64::from(next) > SLOT_BUFFER { next } else { 0 }, 0, 0),
        };
        self.largest.store(largest, Ordering::Relaxed);
        self.since.store(since, Ordering::Relaxed);
        self.next.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_kept_while_one_of_sixty_four_replies_needs_it() {
        let learned = Learned::default();
        for round in 0..10 {
            learned.note(70_000);
            for _ in 0..REMEMBERED - 1 {
                learned.note(100);
                assert_eq!(learned.largest(), 70_000, "round {round}");
            }
        }
    }

    #[test]
    fn a_burst_is_forgotten_down_to_what_came_after_it() {
        let learned = Learned::default();
        learned.note(1 << 20);
        for _ in 0..REMEMBERED {
            learned.note(9_000);
        }
        assert_eq!(learned.largest(), 9_000);
        for _ in 0..REMEMBERED {
            learned.note(100);
        }
        assert_eq!(learned.largest(), 0);
    }

    #[test]
    fn short_replies_are_not_worth_a_note() {
        let learned = Learned::default();
        learned.note(4096);
        assert_eq!(learned.largest(), 0);
        learned.note(4097);
        assert_eq!(learned.largest(), 4097);
    }
}
