//! When bytes came, for what waits in a connection's inbox. Pure.
//!
//! A frame brings the time that its call had left when it was sent. So it matters when the frame came, and not when the
//! latest bytes did: under overload these are seconds apart.

use std::collections::VecDeque;

/// The most moments that are kept. Beyond, a later moment stands for an earlier: a call is rather begun too late than
/// refused too early.
const KEPT: usize = 64;

/// The room for moments that an idle connection keeps: the least that there can be.
const KEPT_IDLE: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// Bytes that have been handled, of all that ever came.
    handled: u64,
    /// Up to which byte had come by when, in order.
    moments: VecDeque<(u64, u64)>,
    came: u64,
}

impl Arrivals {
    /// So many bytes came now.
    pub(super) fn came(&mut self, bytes: usize, now_ns: u64) {
        if self.moments.front().is_some_and(|(until, _)| *until <= self.handled) {
            // It was kept for want of a later one.
            self.moments.pop_front();
        }
        self.came += bytes as u64;
        if self.moments.len() == KEPT {
            self.moments.pop_back();
        }
        self.moments.push_back((self.came, now_ns));
    }

    /// So many bytes were handled.
    #[inline]
    pub(super) fn handled(&mut self, bytes: usize) {
        self.handled += bytes as u64;
        // The last one stays: it is what is known of bytes that are still to come.
        while self.moments.len() > 1 && self.moments[0].0 <= self.handled {
            self.moments.pop_front();
        }
    }

    /// Bytes that came and were not handled.
    pub(super) fn left(&self) -> usize {
        usize::try_from(self.came - self.handled).unwrap_or(usize::MAX)
    }

    /// An idle connection keeps next to no memory.
    pub(super) fn rest(&mut self) {
        if self.moments.len() <= KEPT_IDLE {
            self.moments.shrink_to(KEPT_IDLE);
        }
    }

    /// How many bytes from the next on came when that did, as far as is known; all that ever come when it is the last.
    #[inline]
    pub(super) fn together(&self) -> usize {
        let until = self.moments.front().filter(|_| self.moments.len() > 1).map(|(until, _)| until - self.handled);
        until.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// When the byte came that is next to be handled; 0 when none ever came.
    #[inline]
    pub(super) fn next_ns(&self) -> u64 {
        self.moments.front().map_or(0, |(_, at_ns)| *at_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_came_when_its_chunk_did() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.next_ns(), 0);
        (1..=10).for_each(|at| arrivals.came(10, at));
        for byte in 0..100 {
            assert_eq!(arrivals.next_ns(), byte / 10 + 1);
            let left_of_it = if byte < 90 { 10 - byte % 10 } else { u64::MAX };
            assert_eq!(arrivals.together() as u64, left_of_it);
            arrivals.handled(1);
        }
        arrivals.came(1, 500);
        assert_eq!(arrivals.next_ns(), 500);
    }

    #[test]
    fn many_chunks_take_bounded_room_and_no_byte_came_earlier_than_it_did() {
        let mut arrivals = Arrivals::default();
        (1..=1000).for_each(|at| arrivals.came(1, at));
        assert_eq!(arrivals.moments.len(), KEPT);
        for byte in 0..1000 {
            assert!(arrivals.next_ns() > byte, "byte {byte}");
            arrivals.handled(1);
        }
        arrivals.rest();
        assert!(arrivals.moments.capacity() <= KEPT_IDLE, "{}", arrivals.moments.capacity());
    }
}
