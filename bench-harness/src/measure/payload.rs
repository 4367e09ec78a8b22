//! What is sent, and whether it came back.

use super::task::Body;
use super::words;
use crate::stats::random;

/// Bytes at each end that carry the call's number.
const STAMP: usize = 8;
/// The least that holds both stamps.
pub(crate) const SIZE_MIN: usize = 2 * STAMP;

/// A request: noise or text, with the call's number at both ends.
pub(super) struct Payload {
    bytes: Vec<u8>,
    body: Body,
}

impl Payload {
    pub(super) fn new(size: usize, body: Body) -> Self {
        assert!(size >= SIZE_MIN, "a payload of {size} bytes has no room for its stamps");
        let mut payload = Self { bytes: vec![0; size], body };
        payload.renew(0);
        payload
    }

    /// Another body of the same kind.
    pub(super) fn renew(&mut self, seed: u64) {
        match self.body {
            Body::Noise => noise(&mut self.bytes, seed),
            Body::Text => words::fill(&mut self.bytes, seed),
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

fn noise(bytes: &mut [u8], seed: u64) {
    let mut state = seed;
    for chunk in bytes.chunks_mut(8) {
        let noise = random::next(&mut state).to_le_bytes();
        chunk.copy_from_slice(&noise[..chunk.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_answers_are_seen() {
        let mut payload = Payload::new(40, Body::Noise);
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

    #[test]
    fn bodies_are_of_the_kind_that_was_wanted() {
        let letters = |body| {
            let payload = Payload::new(1_000, body);
            payload.bytes.iter().filter(|byte| byte.is_ascii_lowercase() || **byte == b' ').count()
        };
        assert!(letters(Body::Text) == 1_000 && letters(Body::Noise) < 500);
    }
}
