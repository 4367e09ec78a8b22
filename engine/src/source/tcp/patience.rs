//! How long a peer may take. Pure: it is told what is open, and since when.
//!
//! A connection on which nothing is open may stay as it is for ever: an idle client is no fault, and one that vanished
//! is found by the kernel (keep-alive). What was begun must come to its end, at some rate.

/// A peer may take this long for anything that it has begun, the greeting included...
pub(super) const GRACE_NS: u64 = 5_000_000_000;
/// ...and this much for each byte of it: 64 KiB/s.
const BYTE_NS: u64 = 1_000_000_000 / (64 * 1024);

/// Something that a peer owes: to finish sending it, or to take it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Owed {
    /// Bytes of it, as far as is known.
    pub(super) bytes: usize,
    /// When it was begun.
    pub(super) since_ns: u64,
}

impl Owed {
    /// Whether its time is up.
    pub(super) fn is_overdue(self, now_ns: u64) -> bool {
        let allowed_ns = GRACE_NS.saturating_add((self.bytes as u64).saturating_mul(BYTE_NS));
        now_ns.saturating_sub(self.since_ns) > allowed_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_things_may_take_longer_and_nothing_overflows() {
        let small = Owed { bytes: 48, since_ns: 1000 };
        assert!(!small.is_overdue(0) && !small.is_overdue(GRACE_NS) && small.is_overdue(GRACE_NS * 2));
        let large = Owed { bytes: 16 << 20, since_ns: 0 };
        assert!(!large.is_overdue(255_000_000_000) && large.is_overdue(270_000_000_000));
        assert!(!Owed { bytes: usize::MAX, since_ns: 0 }.is_overdue(u64::MAX - 1));
    }
}
