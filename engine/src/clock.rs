//! The one clock: `CLOCK_MONOTONIC`, which every process of a machine shares.

use rustix::time::{ClockId, clock_gettime};

/// Now, in nanoseconds.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Both are never negative on this clock.
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}
