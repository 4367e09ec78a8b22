//! A tenth of a client's calls may be retries, so that a service in trouble is not buried under them.

/// Retries are counted in tenths: each call earns one, each retry costs ten.
const COST: u64 = 10;
/// A new client's: for 100 retries. Programs that make few calls live from this and from `EACH_SECOND`.
const FIRST: u64 = 100 * COST;
/// The most that is saved: for 1,000 retries, all at once.
const MOST: u64 = 1_000 * COST;
/// Who makes few calls may retry once a second all the same.
const EACH_SECOND: u64 = COST;

/// The retries of one client. Calls are counted by others, for nothing; this is looked at when one has failed.
pub(crate) struct Budget {
    tenths: u64,
    /// Calls that have earned already.
    calls: u64,
    /// Until when time has earned already.
    until_ns: u64,
}

impl Budget {
    pub(crate) fn new(now_ns: u64) -> Self {
        Self { tenths: FIRST, calls: 0, until_ns: now_ns }
    }

    /// Takes a retry, if there is one, at this time and after so many calls.
    pub(crate) fn take(&mut self, now_ns: u64, calls: u64) -> bool {
        let seconds = now_ns.saturating_sub(self.until_ns) / 1_000_000_000;
        self.until_ns += seconds * 1_000_000_000;
        let earned = calls.saturating_sub(self.calls).saturating_add(seconds.saturating_mul(EACH_SECOND));
        self.calls = self.calls.max(calls);
        self.tenths = self.tenths.saturating_add(earned).min(MOST);
        let left = self.tenths.checked_sub(COST);
        self.tenths = left.unwrap_or(self.tenths);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn taken(budget: &mut Budget, now_ns: u64, calls: u64) -> usize {
        (0..5_000).take_while(|_| budget.take(now_ns, calls)).count()
    }

    #[test]
    fn a_tenth_of_the_calls_may_be_retries() {
        let mut budget = Budget::new(0);
        assert_eq!(taken(&mut budget, 0, 0), 100, "a new client's");
        assert_eq!(taken(&mut budget, 0, 9), 0);
        assert_eq!(taken(&mut budget, 0, 10), 1);
        assert_eq!(taken(&mut budget, 0, 1_000), 99);
        assert_eq!(taken(&mut budget, 0, 1_000_000), 1_000, "no more are saved");
        assert_eq!(taken(&mut budget, 0, 999_000), 0, "calls are counted once");
    }

    #[test]
    fn who_makes_no_calls_may_retry_once_a_second() {
        let mut budget = Budget::new(7 * SECOND);
        taken(&mut budget, 7 * SECOND, 0);
        assert_eq!(taken(&mut budget, 8 * SECOND - 1, 0), 0);
        assert_eq!(taken(&mut budget, 8 * SECOND, 0), 1);
        assert_eq!(taken(&mut budget, 11 * SECOND + SECOND / 2, 0), 3);
        assert_eq!(taken(&mut budget, 12 * SECOND, 0), 1, "halves of seconds are not lost");
        assert_eq!(taken(&mut budget, u64::MAX, 0), 1_000);
    }

    proptest! {
        #[test]
        fn never_more_than_was_earned(steps in prop::collection::vec((0..3 * SECOND, 0..200_u64), 1..200)) {
            let (mut budget, mut now, mut calls, mut retries) = (Budget::new(0), 0, 0, 0);
            for (time, more) in steps {
                (now, calls) = (now + time, calls + more);
                retries += u64::from(budget.take(now, calls));
                prop_assert!(retries * COST <= FIRST + calls + now / SECOND * EACH_SECOND);
            }
        }
    }
}
