//! Time as both sides count it: `CLOCK_MONOTONIC` in nanoseconds, the same in every process of a machine.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // The monotonic clock begins at 0 and stays below 2^63 nanoseconds for 292 years.
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    seconds * 1_000_000_000 + nanos
}

/// The longest single wait: what kernel interfaces take without complaint. Who waits looks at the clock again.
const DAY_NS: u64 = 24 * 60 * 60 * 1_000_000_000;

/// The moment at which waiting ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Deadline(u64);

impl Deadline {
    pub(crate) fn after(time: Duration) -> Self {
        Self::after_ns(now_ns(), time)
    }

    /// For who has just looked at the clock.
    pub(crate) fn after_ns(now_ns: u64, time: Duration) -> Self {
        Self(now_ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// As slots carry it.
    pub(crate) fn ns(self) -> u64 {
        self.0
    }

    /// Time left, a day at most; `None` when there is none.
    pub(crate) fn left(self) -> Option<Duration> {
        let left = self.0.saturating_sub(now_ns());
        (left > 0).then(|| Duration::from_nanos(left.min(DAY_NS)))
    }

    /// As frames carry it: microseconds left, at least one, because 0 would mean "the service's own default".
    pub(crate) fn left_us(self) -> u64 {
        (self.0.saturating_sub(now_ns()) / 1000).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_pass_and_never_wrap() {
        assert_eq!(Deadline::after(Duration::ZERO).left(), None);
        assert_eq!(Deadline::after(Duration::ZERO).left_us(), 1);
        let never = Deadline::after(Duration::MAX);
        assert!(never.left().is_some());
        assert!(Deadline::after(Duration::from_secs(9)) < never);
        let left = Deadline::after(Duration::from_secs(9)).left().unwrap();
        assert!(left > Duration::from_secs(8) && left <= Duration::from_secs(9));
    }
}
