//! Buffers kept from call to call, so that a caller in its stride allocates nothing.

use std::cell::Cell;

use speedysvc_protocol::archive::Buffer;

use crate::pending::Boxed;
use crate::reply::Reply;

/// What a thread keeps between calls, at most, for each of its two buffers: larger room is for unusually large calls.
const KEEP: usize = 4 << 20;

/// Boxes of started calls that a thread keeps, at most: as many as a link has slots, which are in flight together.
const BOXES: usize = 64;

/// What a call needs.
pub(crate) struct Scratch {
    pub(crate) request: Buffer,
    pub(crate) reply: Reply,
    /// Empty ones, for calls that are started.
    pub(crate) boxes: Vec<Boxed>,
}

impl Scratch {
    fn new() -> Self {
        Self { request: Buffer::new(0), reply: Reply::new(), boxes: Vec::new() }
    }

    /// Ends a started call, and keeps its box.
    #[inline]
    pub(crate) fn keep_box(&mut self, mut boxed: Boxed) {
        *boxed = None;
        if self.boxes.len() < BOXES {
            self.boxes.push(boxed);
        }
    }
}

thread_local! {
    static SPARE: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Runs `call` with this thread's buffers. A call within a call gets others.
pub(crate) fn with<T>(call: impl FnOnce(&mut Scratch) -> T) -> T {
    // While a thread ends its locals are gone; then there is nothing to keep either.
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    let mut scratch = spare.unwrap_or_else(|| Box::new(Scratch::new()));
    let result = call(&mut scratch);
    scratch.request.trim(KEEP);
    scratch.reply.body.trim(KEEP);
    if SPARE.try_with(|spare| spare.set(Some(scratch))).is_err() {
        // The thread ends, and the buffers with it.
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_stays_and_nested_calls_do_not_share_it() {
        let first = with(|scratch| {
            scratch.request.set_limit(100);
            scratch.request.append(b"mine").unwrap();
            with(|inner| assert!(inner.request.as_slice().is_empty()));
            scratch.request.as_slice().as_ptr()
        });
        // The inner one was kept last or first; either way a thread keeps one pair at most.
        with(|scratch| {
            scratch.request.set_limit(100);
            scratch.request.clear();
            scratch.request.append(b"mine").unwrap();
            assert_eq!(scratch.request.as_slice().as_ptr(), first);
        });
    }

    #[test]
    fn as_many_boxes_stay_as_a_link_has_slots_and_they_are_empty() {
        let mut scratch = Scratch::new();
        (0..=BOXES).for_each(|_| scratch.keep_box(Boxed::default()));
        assert_eq!(scratch.boxes.len(), BOXES);
        assert!(scratch.boxes.iter().all(|boxed| boxed.is_none()));
    }
}
