//! How fast a queue drains, and so when a call that finds it full may come again. Pure: the clock is handed in.

use std::time::Duration;

use speedysvc_protocol::status::RetryAfter;

/// Sooner nobody need come again: the wakes that it takes cost more than the place is worth.
const SOONEST: Duration = Duration::from_millis(1);
/// A guess that reaches further is none.
const LATEST: Duration = Duration::from_secs(30);

/// When half of a queue that takes so long is gone. Later than for the first free place, for which all who were refused
/// would come at once; earlier than for its end, when those who serve it would have nothing to do.
pub(crate) fn half_of(queue_ns: u64) -> RetryAfter {
    RetryAfter::at_least(Duration::from_nanos(queue_ns / 2).clamp(SOONEST, LATEST))
}

/// How often calls of a queue end.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    /// The last end, or when the queue began.
    since_ns: u64,
    /// Moving average of the time between two ends; 0 when there have not been two.
    every_ns: u64,
}

impl Drain {
    /// The first call came: the time without any before it says nothing.
    pub(crate) fn begins(&mut self, now_ns: u64) {
        self.since_ns = now_ns;
    }

    /// A call ended then: a quarter of the new, three quarters of the old.
    pub(crate) fn ended(&mut self, at_ns: u64) {
        let took = at_ns.saturating_sub(self.since_ns);
        self.every_ns = if self.every_ns == 0 { took } else { self.every_ns - self.every_ns / 4 + took / 4 };
        self.since_ns = self.since_ns.max(at_ns);
    }

    /// When somebody may come again who found so many calls. When none has ended for longer than usual, the next ones
    /// may take as long.
    pub(crate) fn retry_after(&self, calls: usize, now_ns: u64) -> RetryAfter {
        let every = self.every_ns.max(now_ns.saturating_sub(self.since_ns));
        half_of(every.saturating_mul(calls as u64))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    fn after(drain: &Drain, calls: usize, now_ns: u64) -> u128 {
        drain.retry_after(calls, now_ns).duration().as_micros()
    }

    #[test]
    fn half_of_what_is_there_drains_first() {
        let mut drain = Drain::default();
        drain.begins(5 * MS);
        (1..=40).for_each(|nth| drain.ended(5 * MS + nth * 2 * MS));
        // One every 2 ms, so 100 take 200 ms; said as a power of two that is not less.
        assert_eq!(after(&drain, 100, 85 * MS), 131_072);
        assert_eq!(after(&drain, 1, 85 * MS), 1_024);
        // It comes to twice the speed within a few calls.
        (1..=20).for_each(|nth| drain.ended(85 * MS + nth * MS));
        assert_eq!(after(&drain, 100, 105 * MS), 65_536);
    }

    #[test]
    fn a_queue_that_stands_still_is_not_said_to_move() {
        let mut drain = Drain::default();
        drain.begins(1_000 * MS);
        assert_eq!(after(&drain, 10, 1_000 * MS), 1_024, "nothing is known yet");
        assert_eq!(after(&drain, 10, 1_100 * MS), 524_288, "it has not moved for 100 ms");
        drain.ended(1_001 * MS);
        assert_eq!(after(&drain, 10, 11_001 * MS), 33_554_432, "10 times 10 s are cut to the longest guess");
    }

    #[test]
    fn a_rest_between_two_queues_does_not_count() {
        let mut drain = Drain::default();
        drain.begins(0);
        drain.ended(2 * MS);
        drain.begins(60_000 * MS);
        drain.ended(60_002 * MS);
        assert_eq!(after(&drain, 10, 60_002 * MS), 16_384);
    }

    proptest! {
        /// Against the oracle that has all ends and knows the mean.
        #[test]
        fn it_is_near_the_mean_of_a_steady_queue(every in 1..50 * MS, calls in 1..1000_usize) {
            let mut drain = Drain::default();
            drain.begins(7);
            (1..=50).for_each(|nth| drain.ended(7 + nth * every));
            let said = drain.retry_after(calls, 7 + 50 * every).duration();
            let half = Duration::from_nanos(every * calls as u64 / 2).clamp(SOONEST, LATEST);
            prop_assert!(said >= half * 9 / 10 && said <= half * 2 + SOONEST, "{:?} for {:?}", said, half);
        }

        #[test]
        fn times_that_run_backwards_or_are_huge_are_survived(
            steps in prop::collection::vec(any::<(u64, u64)>(), 0..20)
        ) {
            let mut drain = Drain::default();
            for (ended, now) in steps {
                drain.ended(ended);
                let said = drain.retry_after(usize::MAX, now).duration();
                prop_assert!(said >= SOONEST && said <= LATEST * 2);
            }
        }
    }
}
