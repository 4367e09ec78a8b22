//! How sure a median over rounds is.

use serde::{Deserialize, Serialize};

use super::{quantile, random};

const RESAMPLES: usize = 4_000;
/// Of no meaning but that it is always the same.
const SEED: u64 = 0x5EED;
/// Below this many rounds an interval would be a range with a grander name.
pub(crate) const ROUNDS_MIN: usize = 3;

/// A median with the interval that holds it in 95 of 100 resamplings of the rounds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Interval {
    /// 2.5 % of the resampled medians are below.
    pub(crate) low: f64,
    /// The median of what was measured.
    pub(crate) median: f64,
    /// 2.5 % are above.
    pub(crate) high: f64,
}

impl Interval {
    /// Whether two intervals have a value in common.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// The interval of a median over rounds: rounds, not calls, are what is drawn again, since calls of one process are not
/// independent of each other. `None` for fewer than [`ROUNDS_MIN`] rounds, and when one is not a number.
pub(crate) fn interval(rounds: &[f64]) -> Option<Interval> {
    if rounds.len() < ROUNDS_MIN || rounds.iter().any(|round| !round.is_finite()) {
        return None;
    }
    let mut state = SEED;
    let mut drawn = vec![0.0; rounds.len()];
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            drawn.fill_with(|| rounds[random::below(&mut state, rounds.len())]);
            quantile::median_in_place(&mut drawn)
        })
        .collect();
    medians.sort_unstable_by(f64::total_cmp);
    let (low, high) = (medians[RESAMPLES / 40], medians[RESAMPLES - 1 - RESAMPLES / 40]);
    Some(Interval { low, median: quantile::median(rounds), high })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rounds_leave_no_doubt() {
        assert_eq!(interval(&[2.0; 5]), Some(Interval { low: 2.0, median: 2.0, high: 2.0 }));
    }

    #[test]
    fn few_rounds_have_no_interval() {
        assert_eq!(interval(&[1.0, 2.0]), None);
        assert_eq!(interval(&[1.0, 2.0, f64::NAN]), None);
    }

    #[test]
    fn it_is_the_same_every_time_and_holds_the_median() {
        let rounds = [1.0, 1.1, 0.9, 1.3, 1.05, 0.97, 1.2];
        let first = interval(&rounds).unwrap();
        assert_eq!(interval(&rounds), Some(first));
        assert!(first.low < first.median && first.median < first.high);
        assert!(first.low >= 0.9 && first.high <= 1.3);
    }

    #[test]
    fn it_holds_the_truth_about_as_often_as_it_says() {
        let mut state = 7;
        let mut noise = || (0..12).map(|_| (random::next(&mut state) >> 11) as f64 / (1_u64 << 53) as f64).sum::<f64>();
        let held = (0..200).filter(|_| {
            let rounds: Vec<f64> = (0..15).map(|_| 94.0 + noise()).collect();
            let found = interval(&rounds).unwrap();
            found.low <= 100.0 && 100.0 <= found.high
        });
        let held = held.count();
        assert!((180..=200).contains(&held), "{held} of 200");
    }

    #[test]
    fn more_rounds_are_surer() {
        let rounds = [1.0, 2.0, 3.0, 4.0, 5.0];
        let width = |rounds: &[f64]| interval(rounds).map(|found| found.high - found.low).unwrap();
        assert!(width(&rounds.repeat(10)) < width(&rounds));
    }
}
