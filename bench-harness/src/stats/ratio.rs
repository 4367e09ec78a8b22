//! One contender against another: ratios inside a round, between rows that are alike, then their median.

use serde::{Deserialize, Serialize};

use super::bootstrap::{self, Interval};
use super::quantile;

/// A row of a round, as far as ratios care.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Point {
    /// The round.
    pub(crate) round: usize,
    /// What is compared.
    pub(crate) value: f64,
    /// How far the processors were from each other.
    pub(crate) distance: Option<usize>,
}

/// A contender's ratio to a reference.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Ratio {
    /// The reference.
    pub(crate) to: String,
    /// The median over rounds; none without a single pair.
    pub(crate) median: Option<f64>,
    /// Its interval; none for few rounds.
    pub(crate) interval: Option<Interval>,
    /// Rounds in which both rows count and are alike.
    pub(crate) pairs: usize,
    /// Rounds in which both count, but the processors were not as far from each other, or moved.
    pub(crate) unlike: usize,
}

impl Ratio {
    /// Of a contender's points to those of a reference. When nothing could be probed, all rows pass for alike.
    pub(crate) fn new(to: &str, points: &[Point], reference: &[Point], are_probed: bool) -> Self {
        let (mut ratios, mut unlike) = (vec![], 0);
        for point in points {
            let Some(base) = reference.iter().find(|base| base.round == point.round) else { continue };
            let ratio = point.value / base.value;
            if !ratio.is_finite() {
                continue;
            }
            let are_alike = point.distance.is_some() && point.distance == base.distance;
            if are_alike || !are_probed {
                ratios.push(ratio);
            } else {
                unlike += 1;
            }
        }
        let median = (!ratios.is_empty()).then(|| quantile::median(&ratios));
        Self { to: to.into(), median, interval: bootstrap::interval(&ratios), pairs: ratios.len(), unlike }
    }

    /// What may be said, given what the same gave against the same.
    pub(crate) fn verdict(&self, resolution: Option<&Interval>) -> Verdict {
        match (self.interval, resolution) {
            (Some(interval), Some(resolution)) if interval.overlaps(resolution) => Verdict::NotResolved,
            (Some(interval), Some(_)) if interval.median < 1.0 => Verdict::Less,
            (Some(_), Some(_)) => Verdict::More,
            _ => Verdict::TooFewRounds,
        }
    }
}

/// What a ratio says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// Less than the reference, by more than the resolution.
    Less,
    /// More than the reference, by more than the resolution.
    More,
    /// The reference against itself differs as much.
    NotResolved,
    /// No interval can be given.
    TooFewRounds,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[(f64, usize)]) -> Vec<Point> {
        let numbered = values.iter().enumerate();
        numbered.map(|(round, (value, kind))| Point { round, value: *value, distance: Some(*kind) }).collect()
    }

    #[test]
    fn only_like_is_compared_with_like() {
        let reference = points(&[(100.0, 0), (100.0, 0), (800.0, 1), (100.0, 0)]);
        let contender = points(&[(200.0, 0), (1600.0, 1), (1600.0, 1), (200.0, 0)]);
        let ratio = Ratio::new("x", &contender, &reference, true);
        assert_eq!((ratio.median, ratio.pairs, ratio.unlike), (Some(2.0), 3, 1));
    }

    #[test]
    fn without_probes_all_rows_pass_for_alike() {
        let bare = |value| vec![Point { round: 0, value, distance: None }];
        assert_eq!(Ratio::new("x", &bare(3.0), &bare(2.0), false).median, Some(1.5));
        assert_eq!(Ratio::new("x", &bare(3.0), &bare(2.0), true).unlike, 1);
    }

    #[test]
    fn a_round_that_one_of_them_lost_is_no_pair() {
        let all = points(&[(1.0, 0), (1.0, 0), (1.0, 0)]);
        assert_eq!(Ratio::new("x", &all[1..2], &all, true).pairs, 1);
        assert_eq!(Ratio::new("x", &all, &[], true).median, None);
    }

    #[test]
    fn differences_below_the_resolution_are_none() {
        let resolution = Interval { low: 0.95, median: 1.0, high: 1.06 };
        let base = points(&[(1.0, 0); 5]);
        let verdict = |value| Ratio::new("x", &points(&[(value, 0); 5]), &base, true).verdict(Some(&resolution));
        assert_eq!(verdict(1.05), Verdict::NotResolved);
        assert_eq!(verdict(1.1), Verdict::More);
        assert_eq!(verdict(0.5), Verdict::Less);
        let few = Ratio::new("x", &points(&[(2.0, 0); 2]), &base, true);
        assert_eq!(few.verdict(Some(&resolution)), Verdict::TooFewRounds);
        assert_eq!(Ratio::new("x", &base, &base, true).verdict(None), Verdict::TooFewRounds);
    }
}
