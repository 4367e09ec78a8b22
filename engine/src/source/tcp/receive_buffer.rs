//! Bytes that have arrived and are not handled yet: handled <= arrived.

use std::mem;

use super::pool::Pool;
use crate::budget::RECEIVE_BUFFER;

#[derive(Debug, Default)]
pub(super) struct ReceiveBuffer {
    bytes: Vec<u8>,
    handled: usize,
}

impl ReceiveBuffer {
    pub(super) fn arrive(&mut self, bytes: &[u8], pool: &mut Pool) {
        self.invariants();
        if self.bytes.capacity() == 0 {
            self.bytes = pool.small();
        }
        if self.handled == self.bytes.len() {
            self.clear();
        } else if self.handled > 0 && self.bytes.len() + bytes.len() > self.bytes.capacity() {
            // Moving the rest to the front is cheaper than growing, and keeps the buffer within its bound.
            self.bytes.drain(..self.handled);
            self.handled = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    #[inline]
    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[self.handled..]
    }

    #[inline]
    pub(super) fn handle(&mut self, count: usize) {
        self.handled += count;
        self.invariants();
        if self.handled == self.bytes.len() {
            self.clear();
        }
    }

    /// Makes room for a frame of which a part has arrived; not all at once, as its length was only announced.
    pub(super) fn expect(&mut self, frame: usize) {
        let missing = frame.saturating_sub(self.waiting().len());
        if self.bytes.capacity() - self.bytes.len() < missing {
            self.bytes.drain(..self.handled);
            self.handled = 0;
            self.bytes.reserve(missing.min(self.bytes.len().max(RECEIVE_BUFFER)));
        }
    }

    fn clear(&mut self) {
        self.handled = 0;
        self.bytes.clear();
    }

    /// An idle connection holds no memory.
    pub(super) fn rest(&mut self, pool: &mut Pool) {
        if self.waiting().is_empty() {
            self.handled = 0;
            pool.keep_small(mem::take(&mut self.bytes));
        }
    }

    fn invariants(&self) {
        debug_assert!(self.handled <= self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_came_in_however_they_are_cut() {
        let all: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        for step in [1, 7, 4096, 65_536] {
            let (mut buffer, mut out) = (ReceiveBuffer::default(), Vec::new());
            for piece in all.chunks(step) {
                buffer.arrive(piece, &mut Pool::default());
                buffer.expect(3 * step);
                let take = buffer.waiting().len().div_ceil(2);
                out.extend_from_slice(&buffer.waiting()[..take]);
                buffer.handle(take);
            }
            out.extend_from_slice(buffer.waiting());
            assert_eq!(out, all);
        }
    }

    #[test]
    fn a_resting_buffer_leaves_its_memory_to_others_and_an_announced_length_takes_none() {
        let (mut buffer, mut pool) = (ReceiveBuffer::default(), Pool::default());
        buffer.arrive(&[0; 100], &mut pool);
        buffer.expect(16 << 20);
        assert!(buffer.bytes.capacity() <= RECEIVE_BUFFER * 2, "{} bytes", buffer.bytes.capacity());
        let there = buffer.bytes.as_ptr();
        buffer.handle(99);
        buffer.rest(&mut pool);
        assert_ne!(buffer.bytes.capacity(), 0, "a byte waits");
        buffer.handle(1);
        buffer.rest(&mut pool);
        assert_eq!(buffer.bytes.capacity(), 0);
        let next = pool.small();
        assert_eq!(next.as_ptr(), there);
    }
}
