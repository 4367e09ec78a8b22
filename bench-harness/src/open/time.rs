//! Time as the driver sees it: nanoseconds since a run began, and waiting for one of them.

use std::num::NonZeroU64;
use std::thread;
use std::time::{Duration, Instant};

/// A sleeper looks this often whether the run was ended from outside.
const LOOK: Duration = Duration::from_secs(1);
/// The longest busy wait before a call is due: about what a timer and a halted processor are late by.
const SPIN: Duration = Duration::from_micros(100);

/// Real or simulated.
pub(crate) trait Time {
    /// Nanoseconds since the run began.
    fn now(&self) -> u64;
    /// Waits, and says what time it is then: earlier than wanted only when the run was ended from outside.
    fn wait_until(&self, at_ns: u64) -> u64;
}

/// The system's.
pub(crate) struct RealTime<'a> {
    begin: Instant,
    spin: Duration,
    is_ended: &'a dyn Fn() -> bool,
}

impl<'a> RealTime<'a> {
    /// From `begin` on, which may be a little ahead. It sleeps until `spin` before a moment, and looks at the clock
    /// from then on. The calling thread's timer is made as exact as it can be.
    pub(crate) fn new(begin: Instant, spin: Duration, is_ended: &'a dyn Fn() -> bool) -> Self {
        // 50 us otherwise. It cannot fail; if it did, the generator's lag would show it.
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1)).ok();
        Self { begin, spin, is_ended }
    }
}

/// How long to look at the clock before a call at this rate: not so long that on average more than one thread does.
pub(crate) fn spin(rate: f64) -> Duration {
    SPIN.min(Duration::from_secs_f64(1.0 / rate))
}

impl Time for RealTime<'_> {
    fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn wait_until(&self, at_ns: u64) -> u64 {
        let moment = self.begin + Duration::from_nanos(at_ns);
        loop {
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self.now();
            }
            if left <= self.spin {
                // Others may need this processor, the server first of all.
                thread::yield_now();
            } else if (self.is_ended)() {
                return self.now();
            } else {
                thread::sleep((left - self.spin).min(LOOK));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_at_its_moment_or_with_the_run() {
        let time = RealTime::new(Instant::now(), spin(1e3), &|| false);
        assert!(time.wait_until(2_000_000) >= 2_000_000);
        assert_eq!(time.wait_until(0).min(1), 1);
        let ended = RealTime::new(Instant::now(), Duration::ZERO, &|| true);
        assert!(ended.wait_until(1 << 60) < 1 << 60);
        let ahead = RealTime::new(Instant::now() + Duration::from_millis(2), Duration::ZERO, &|| false);
        assert_eq!(ahead.now(), 0);
        assert!(ahead.wait_until(1) >= 1);
    }

    #[test]
    fn busy_waits_are_short_at_high_rates() {
        assert_eq!(spin(100.0), SPIN);
        assert_eq!(spin(1e6), Duration::from_micros(1));
    }
}
