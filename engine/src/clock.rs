//! The one clock: `CLOCK_MONOTONIC`, which every process of a machine shares.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Now, in nanoseconds.
pub(crate) fn now_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// The same as of the kernel's latest tick: some milliseconds ago at most, at a fifth of the price. Never later than
/// [`now_ns`].
pub(crate) fn lately_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::MonotonicCoarse))
}

fn nanoseconds(time: Timespec) -> u64 {
    // Both are never negative on this clock.
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lately_is_before_now_and_not_long_ago() {
        for _ in 0..1_000 {
            let (before, lately, after) = (lately_ns(), lately_ns(), now_ns());
            assert!(before <= lately && lately <= after);
        }
        let since = now_ns();
        // A tick is 10 ms at most (CONFIG_HZ is 100 to 1000).
        while lately_ns() < since {
            assert!(now_ns() - since < 60_000_000_000, "the ticks have stopped");
        }
    }
}
