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
    /// Whether the processors had their cores to themselves.
    pub(crate) is_alone: bool,
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
    /// The same pairs, apart by what a virtual machine's processors are by turns; nearest first.
    #[serde(default)]
    pub(crate) apart: Vec<Apart>,
}

/// A ratio over those of the pairs that are alike.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Apart {
    /// How far the processors were from each other.
    pub(crate) distance: Option<usize>,
    /// Whether they had their cores to themselves, in both rows.
    pub(crate) is_alone: bool,
    /// The median.
    pub(crate) median: f64,
    /// Its interval; none for few rounds.
    pub(crate) interval: Option<Interval>,
    /// How many rounds.
    pub(crate) pairs: usize,
}

/// All ratios of each distance; those first that were alone.
fn apart(ratios: &[(Option<usize>, bool, f64)]) -> Vec<Apart> {
    let mut kinds: Vec<(Option<usize>, bool)> = ratios.iter().map(|(distance, alone, _)| (*distance, *alone)).collect();
    kinds.sort_unstable_by_key(|(distance, is_alone)| (*distance, !is_alone));
    kinds.dedup();
    let of_kind = |(distance, is_alone): (Option<usize>, bool)| {
        let mine = ratios.iter().filter(|(far, alone, _)| (*far, *alone) == (distance, is_alone));
        let mine: Vec<f64> = mine.map(|(_, _, ratio)| *ratio).collect();
        let (median, interval) = (quantile::median(&mine), bootstrap::interval(&mine));
        Apart { distance, is_alone, median, interval, pairs: mine.len() }
    };
    kinds.into_iter().map(of_kind).collect()
}

impl Ratio {
    /// Of a contender's points to those of a reference. When nothing could be probed, all rows pass for alike.
    pub(crate) fn new(to: &str, points: &[Point], reference: &[Point], are_probed: bool) -> Self {
        let (mut pairs, mut unlike) = (vec![], 0);
        for point in points {
            let Some(base) = reference.iter().find(|base| base.round == point.round) else { continue };
            let ratio = point.value / base.value;
            if !ratio.is_finite() {
                continue;
            }
            let are_alike = point.distance.is_some() && point.distance == base.distance;
            if are_alike || !are_probed {
                pairs.push((point.distance, point.is_alone && base.is_alone, ratio));
            } else {
                unlike += 1;
            }
        }
        let ratios: Vec<f64> = pairs.iter().map(|(_, _, ratio)| *ratio).collect();
        let median = (!ratios.is_empty()).then(|| quantile::median(&ratios));
        let interval = bootstrap::interval(&ratios);
        Self { to: to.into(), median, interval, pairs: ratios.len(), unlike, apart: apart(&pairs) }
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
        numbered
            .map(|(round, (value, kind))| Point { round, value: *value, distance: Some(*kind), is_alone: false })
            .collect()
    }

    #[test]
    fn only_like_is_compared_with_like() {
        let reference = points(&[(100.0, 0), (100.0, 0), (800.0, 1), (100.0, 0)]);
        let contender = points(&[(200.0, 0), (1600.0, 1), (1600.0, 1), (200.0, 0)]);
        let ratio = Ratio::new("x", &contender, &reference, true);
        assert_eq!((ratio.median, ratio.pairs, ratio.unlike), (Some(2.0), 3, 1));
    }

    #[test]
    fn what_is_alike_is_told_apart_too() {
        let mut contender = points(&[(900.0, 1), (200.0, 0), (300.0, 0), (260.0, 0)]);
        let mut reference = points(&[(300.0, 1), (100.0, 0), (100.0, 0), (100.0, 0)]);
        [1, 3].into_iter().for_each(|round| contender[round].is_alone = true);
        [1, 2].into_iter().for_each(|round| reference[round].is_alone = true);
        let ratio = Ratio::new("x", &contender, &reference, true);
        let apart =
            |kind, is_alone, median, pairs| Apart { distance: Some(kind), is_alone, median, interval: None, pairs };
        assert_eq!(ratio.apart, [apart(0, true, 2.0, 1), apart(0, false, 2.8, 2), apart(1, false, 3.0, 1)]);
        assert_eq!(ratio.pairs, 4);
    }

    #[test]
    fn without_probes_all_rows_pass_for_alike() {
        let bare = |value| vec![Point { round: 0, value, distance: None, is_alone: false }];
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
