//! Buffers kept from call to call, so that a caller in its stride allocates nothing.

use std::cell::Cell;

use speedysvc_protocol::archive::Buffer;

use crate::reply::Reply;

/// What a thread keeps between calls, at most, for each of its two buffers: larger room is for unusually large calls.
const KEEP: usize = 4 << 20;

/// A call's request and reply.
pub(crate) struct Scratch {
    pub(crate) request: Buffer,
    pub(crate) reply: Reply,
}

thread_local! {
    static SPARE: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Runs `call` with this thread's buffers. A call within a call gets others.
pub(crate) fn with<T>(call: impl FnOnce(&mut Scratch) -> T) -> T {
    // While a thread ends its locals are gone; then there is nothing to keep either.
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    let mut scratch = spare.unwrap_or_else(|| Box::new(Scratch { request: Buffer::new(0), reply: Reply::new() }));
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
}
