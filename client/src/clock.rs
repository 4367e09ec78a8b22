//! Time as both sides count it: `CLOCK_MONOTONIC` in nanoseconds, the same in every process of a machine.

use std::sync::OnceLock;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

pub(crate) fn now_ns() -> u64 {
    ns(clock_gettime(ClockId::Monotonic))
}

/// The time of the last tick, [`tick_ns`] ago at most, in a fifth of the time that the exact one takes.
#[inline]
pub(crate) fn last_tick_ns() -> u64 {
    ns(clock_gettime(ClockId::MonotonicCoarse))
}

/// From this timeout on, in nanoseconds, a call's deadline is counted from the tick before now: looking at the exact
/// clock costs 23 ns, at the last tick 4 ns (reference VM, ticks of 4 ms).
const BY_TICKS: u64 = 1_000_000_000;

/// A time in nanoseconds, the longest that there is for more.
pub(crate) fn whole_ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// When a call begins, and its deadline after so many nanoseconds.
#[inline]
pub(crate) fn begin(timeout_ns: u64) -> (u64, Deadline) {
    if timeout_ns < BY_TICKS {
        let now = now_ns();
        return (now, Deadline(now.saturating_add(timeout_ns)));
    }
    let last_tick = last_tick_ns();
    // With the tick added, never earlier than was asked, and a tick later at most: 1 % of a second. Where ticks come
    // late themselves, as in a machine whose processors are taken away, it is as exact as everything else there.
    (last_tick, Deadline(last_tick.saturating_add(tick_ns()).saturating_add(timeout_ns)))
}

/// The timeout that [`begin`] was given, of what it returned.
pub(crate) fn timeout_of(begun_ns: u64, deadline: Deadline) -> Duration {
    let (time, tick) = (deadline.ns().saturating_sub(begun_ns), tick_ns());
    Duration::from_nanos(if time < BY_TICKS + tick { time.min(BY_TICKS) } else { time - tick })
}

/// How far the clock that counts ticks is behind, at most: 1 to 10 ms, as the kernel was built.
#[inline]
pub(crate) fn tick_ns() -> u64 {
    static TICK: OnceLock<u64> = OnceLock::new();
    *TICK.get_or_init(|| ns(clock_getres(ClockId::MonotonicCoarse)))
}

#[inline]
fn ns(time: Timespec) -> u64 {
    // The monotonic clock begins at 0 and stays below 2^63 nanoseconds for 292 years.
    let (seconds, nanos) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    seconds * 1_000_000_000 + nanos
}

/// The longest single wait: what kernel interfaces take without complaint. Who waits looks at the clock again.
const DAY_NS: u64 = 24 * 60 * 60 * 1_000_000_000;

/// The moment at which waiting ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Deadline(u64);

impl Deadline {
    /// One that has passed.
    pub(crate) const PAST: Self = Self(0);

    pub(crate) fn after(time: Duration) -> Self {
        Self::after_ns(now_ns(), time)
    }

    /// For who has just looked at the clock.
    pub(crate) fn after_ns(now_ns: u64, time: Duration) -> Self {
        Self(now_ns.saturating_add(whole_ns(time)))
    }

    /// The moment at which another call ends.
    pub(crate) fn at_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// As slots carry it.
    #[inline]
    pub(crate) fn ns(self) -> u64 {
        self.0
    }

    /// Time left, a day at most; `None` when there is none.
    pub(crate) fn left(self) -> Option<Duration> {
        let left = self.0.saturating_sub(now_ns());
        (left > 0).then(|| Duration::from_nanos(left.min(DAY_NS)))
    }

    /// As frames carry it: microseconds left, at least one, because 0 would mean "the service's own default". When
    /// it is much, a tick less at most: as much as [`begin`] has added.
    pub(crate) fn left_us(self) -> u64 {
        let next_tick = last_tick_ns().saturating_add(tick_ns());
        let left = Some(self.0.saturating_sub(next_tick)).filter(|left| *left >= BY_TICKS);
        (left.unwrap_or_else(|| self.0.saturating_sub(now_ns())) / 1000).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_counts_from_the_next_tick_at_the_latest() {
        assert!((1..=20_000_000).contains(&tick_ns()), "{} ns", tick_ns());
        for timeout in [Duration::from_millis(1), Duration::from_nanos(BY_TICKS), Duration::from_secs(30)] {
            let last_tick = last_tick_ns();
            let (begun, deadline) = begin(whole_ns(timeout));
            let now = now_ns();
            assert!((last_tick..=now).contains(&begun), "{timeout:?}");
            assert!(deadline <= Deadline::after_ns(now + tick_ns(), timeout), "{timeout:?}");
            let exact = whole_ns(timeout) < BY_TICKS;
            let earliest = if exact { begun } else { last_tick + tick_ns() };
            assert!(deadline >= Deadline::after_ns(earliest, timeout), "{timeout:?}");
            assert_eq!(timeout_of(begun, deadline), timeout);
        }
    }

    #[test]
    fn deadlines_pass_and_never_wrap() {
        assert_eq!(Deadline::after(Duration::ZERO).left(), None);
        assert_eq!(Deadline::after(Duration::ZERO).left_us(), 1);
        let never = Deadline::after(Duration::MAX);
        assert!(never.left().is_some());
        assert!(Deadline::after(Duration::from_secs(9)) < never);
        for timeout in [900_000_000, 30_000_000_000] {
            let (begun, deadline) = begin(timeout);
            let (left_us, late) = (deadline.left_us(), now_ns() - begun);
            assert!(left_us <= timeout.div_ceil(1000), "{left_us} us are left of {timeout} ns");
            assert!(
                left_us + late.div_ceil(1000) + tick_ns() / 1000 >= timeout / 1000,
                "{left_us} us, {late} ns later"
            );
        }
        let left = Deadline::after(Duration::from_secs(9)).left().unwrap();
        assert!(left > Duration::from_secs(8) && left <= Duration::from_secs(9));
    }
}
