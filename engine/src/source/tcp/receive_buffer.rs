//! Bytes that have arrived and are not handled yet: handled <= arrived.

#[derive(Debug, Default)]
pub(super) struct ReceiveBuffer {
    bytes: Vec<u8>,
    handled: usize,
}

impl ReceiveBuffer {
    pub(super) fn arrive(&mut self, bytes: &[u8]) {
        self.invariants();
        if self.handled == self.bytes.len() {
            self.clear();
        } else if self.handled > 0 && self.bytes.len() + bytes.len() > self.bytes.capacity() {
            // Moving the rest to the front is cheaper than growing, and keeps the buffer within its bound.
            self.bytes.drain(..self.handled);
            self.handled = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[self.handled..]
    }

    pub(super) fn handle(&mut self, count: usize) {
        self.handled += count;
        self.invariants();
        if self.handled == self.bytes.len() {
            self.clear();
        }
    }

    /// Makes room for a frame of which a part has arrived, so that it grows once.
    pub(super) fn expect(&mut self, frame: usize) {
        let missing = frame.saturating_sub(self.waiting().len());
        if self.bytes.capacity() - self.bytes.len() < missing {
            self.bytes.drain(..self.handled);
            self.handled = 0;
            self.bytes.reserve_exact(missing);
        }
    }

    /// An idle connection holds no memory.
    fn clear(&mut self) {
        self.handled = 0;
        if self.bytes.capacity() > crate::budget::RECEIVE_BUFFER {
            self.bytes = Vec::new();
        } else {
            self.bytes.clear();
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
                buffer.arrive(piece);
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
    fn a_large_message_leaves_no_memory_behind() {
        let mut buffer = ReceiveBuffer::default();
        buffer.arrive(&vec![0; 1 << 20]);
        buffer.handle(1 << 20);
        assert_eq!(buffer.bytes.capacity(), 0);
    }
}
