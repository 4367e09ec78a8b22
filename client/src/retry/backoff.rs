//! How long to pause before the next attempt.

use std::time::Duration;

/// The longest pause before the second retry; the first needs none, the others take up to twice as long each...
const FIRST: Duration = Duration::from_millis(10);
/// ...up to this.
const LONGEST: Duration = Duration::from_millis(200);

/// The pauses between attempts, each between half and all of its longest, so that clients who lost the same worker do
/// not come back all at once.
#[derive(Clone, Copy)]
pub(crate) struct Backoff {
    /// The longest that the next one may be.
    longest: Duration,
    /// The longest that any may be.
    limit: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::up_to(LONGEST)
    }
}

impl Backoff {
    /// Pauses that grow up to another limit.
    pub(crate) fn up_to(limit: Duration) -> Self {
        Self { longest: Duration::ZERO, limit }
    }

    /// The next pause.
    pub(crate) fn next(&mut self, luck: u64) -> Duration {
        let longest = self.longest;
        self.longest = (longest * 2).clamp(FIRST, self.limit);
        jittered(longest, luck)
    }
}

/// Between half and all of it.
pub(super) fn jittered(longest: Duration, luck: u64) -> Duration {
    let half = longest / 2;
    // 32 bits of luck are finer than any clock here.
    let part = half.as_nanos().saturating_mul(u128::from(luck >> 32)) >> 32;
    half + Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..8).map(|_| backoff.next(0).as_millis()).collect();
        assert_eq!(pauses, [0, 5, 10, 20, 40, 80, 100, 100]);
    }

    #[test]
    fn luck_is_spread_over_the_upper_half() {
        let at = |luck| jittered(Duration::from_millis(100), luck).as_millis();
        assert_eq!([0, 1 << 62, 1 << 63, u64::MAX].map(at), [50, 62, 75, 99]);
    }

    proptest! {
        #[test]
        fn luck_moves_a_pause_between_half_and_all_of_it(lucks in prop::collection::vec(any::<u64>(), 1..12)) {
            let (mut backoff, mut longest) = (Backoff::default(), Backoff::default());
            for luck in lucks {
                let (pause, longest) = (backoff.next(luck), longest.next(u64::MAX));
                prop_assert!(pause <= longest && pause * 2 + Duration::from_nanos(2) >= longest);
            }
        }
    }
}
