//! Time at its cheapest: the processor's counter where that is invariant, else the system's monotonic clock.

use std::fs;
use std::time::{Duration, Instant};

use crate::floors::tsc;

/// A clock, and how long its ticks are.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    is_tsc: bool,
    ns_per_tick: f64,
    begin: Instant,
}

impl Clock {
    /// The best that there is, as yet uncalibrated.
    pub(crate) fn new() -> Self {
        Self { is_tsc: has_invariant_tsc(), ns_per_tick: 1.0, begin: Instant::now() }
    }

    /// Now, in ticks.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        if self.is_tsc { tsc::ticks() } else { whole(self.begin.elapsed()) }
    }

    /// Learns the length of a tick from the time that has passed since `ticks` and `since` were read: the longer, the
    /// more exact. 100 ms suffice for a millionth.
    pub(crate) fn calibrate(&mut self, ticks: u64, since: Instant) {
        let passed = self.now().saturating_sub(ticks);
        if passed > 0 {
            self.ns_per_tick = since.elapsed().as_secs_f64() * 1e9 / passed as f64;
        }
    }

    /// A length of time in nanoseconds.
    pub(crate) fn ns(&self, ticks: u64) -> f64 {
        ticks as f64 * self.ns_per_tick
    }

    /// A length of time in ticks.
    pub(crate) fn ticks(&self, time: Duration) -> u64 {
        round(time.as_secs_f64() * 1e9 / self.ns_per_tick)
    }
}

/// Nanoseconds of a length of time.
fn whole(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A number of at least 0 as the nearest whole one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, which is what is meant")]
pub(crate) fn round(value: f64) -> u64 {
    value.round() as u64
}

/// Whether the counter runs at one rate, on all processors, in all states.
pub(crate) fn has_invariant_tsc() -> bool {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = info.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let has = |flag: &str| flags.split_whitespace().any(|word| word == flag);
    cfg!(target_arch = "x86_64") && has("constant_tsc") && has("nonstop_tsc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds() {
        let clock = Clock { is_tsc: true, ns_per_tick: 0.4, begin: Instant::now() };
        assert!((clock.ns(1_000) - 400.0).abs() < 1e-9);
        assert_eq!(clock.ticks(Duration::from_micros(1)), 2_500);
    }

    #[test]
    fn whole_numbers_saturate() {
        assert_eq!([round(0.4), round(1.5), round(-3.0), round(1e30)], [0, 2, 0, u64::MAX]);
    }
}
