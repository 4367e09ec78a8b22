//! Where a request was found last. Who makes one call after the other asks there again, so that is looked at first;
//! and, while nobody else is looked at, not before the next request is [`Due`].

use std::mem;

use speedysvc_protocol::shm::claim::Taker;
use speedysvc_protocol::shm::due::Due;
use speedysvc_protocol::shm::looks;

#[derive(Debug)]
pub(super) struct Again {
    /// The link's key, and the slot.
    pub(super) place: (usize, usize),
    /// When the next is due.
    due: Due,
    /// Nobody else is looked at, and it has just been served.
    pub(super) waits: bool,
}

impl Again {
    pub(super) fn new() -> Self {
        // No link has this key.
        Self { place: (usize::MAX, 0), due: Due::default(), waits: false }
    }

    /// A request was found there, and has been served.
    #[inline]
    pub(super) fn served(&mut self, is_alone: bool) {
        self.waits = is_alone;
    }

    /// Whether the next lies there; looks when it is due.
    #[inline]
    pub(super) fn is_there(&mut self, slot: Taker<'_>) -> bool {
        if !mem::take(&mut self.waits) {
            return slot.is_new();
        }
        (0..self.due.looks()).for_each(|_| looks::one_at_a_time());
        slot.prepare_for_next();
        let is_new = slot.is_new();
        self.due = self.due.after(is_new);
        is_new
    }
}
