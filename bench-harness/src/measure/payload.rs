//! What is sent, and whether it came back.

/// Bytes at each end that carry the call's number.
const STAMP: usize = 8;
/// The least that holds both stamps.
pub(crate) const SIZE_MIN: usize = 2 * STAMP;

/// A request: noise, with the call's number at both ends.
pub(super) struct Payload {
    bytes: Vec<u8>,
}

impl Payload {
    pub(super) fn new(size: usize) -> Self {
        assert!(size >= SIZE_MIN, "a payload of {size} bytes has no room for its stamps");
        let mut payload = Self { bytes: vec![0; size] };
        payload.renew(0);
        payload
    }

    /// Other noise.
    pub(super) fn renew(&mut self, seed: u64) {
        let mut state = seed;
        for chunk in self.bytes.chunks_mut(8) {
            let noise = crate::stats::random::next(&mut state).to_le_bytes();
            chunk.copy_from_slice(&noise[..chunk.len()]);
        }
    }

    /// The request of this call.
    #[inline]
    pub(super) fn stamped(&mut self, call: u64) -> &[u8] {
        let end = self.bytes.len() - STAMP;
        self.bytes[..STAMP].copy_from_slice(&call.to_le_bytes());
        self.bytes[end..].copy_from_slice(&call.to_le_bytes());
        &self.bytes
    }

    /// Whether a reply has the size and the stamps of this call.
    #[inline]
    pub(super) fn is_answered(&self, call: u64, reply: &[u8]) -> bool {
        let stamp = call.to_le_bytes();
        reply.len() == self.bytes.len() && reply[..STAMP] == stamp && reply[reply.len() - STAMP..] == stamp
    }

    /// Whether a reply is right to the last byte.
    pub(super) fn is_whole(&self, call: u64, reply: &[u8]) -> bool {
        let end = self.bytes.len() - STAMP;
        self.is_answered(call, reply) && reply[STAMP..end] == self.bytes[STAMP..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_answers_are_seen() {
        let mut payload = Payload::new(40);
        let mut reply = payload.stamped(7).to_vec();
        assert!(payload.is_answered(7, &reply) && payload.is_whole(7, &reply));
        assert!(!payload.is_answered(8, &reply));
        reply[20] ^= 1;
        assert!(payload.is_answered(7, &reply) && !payload.is_whole(7, &reply));
        reply[39] ^= 1;
        assert!(!payload.is_answered(7, &reply));
        assert!(!payload.is_answered(7, &reply[..39]));
        assert!(!payload.is_answered(7, &[]));
    }
}
