//! A contender now against the same contender in an earlier campaign.
//!
//! Times of two campaigns have no machine in common: another host, another day, other neighbours. What can be compared
//! is how many times the floor of its own campaign a contender takes, while the processors were as far from each other.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::analysis::{self, Figures, Rows, Written};
use super::bootstrap::{Interval, ROUNDS_MIN};
use super::distance;
use super::ratio::Ratio;

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Measured {
    /// Half-way latency in times of the floor's; more is worse.
    P50,
    /// Calls per second in times of the floor's; less is worse.
    Throughput,
}

impl Measured {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::P50, Self::Throughput];

    fn read(self, figures: &Figures) -> f64 {
        match self {
            Self::P50 => figures.latency.p50,
            Self::Throughput => figures.rate,
        }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::P50 => "p50 x floor",
            Self::Throughput => "calls/s x floor",
        })
    }
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Judgement {
    /// Its whole interval is worse than the whole earlier one, by more than was allowed.
    Worse,
    /// The other way round.
    Better,
    /// Neither.
    Same,
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Worse => "WORSE",
            Self::Better => "better",
            Self::Same => "no change shown",
        })
    }
}

/// One contender, before and now.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    /// In which scenario.
    pub(crate) scenario: String,
    /// Who.
    pub(crate) contender: String,
    /// What.
    pub(crate) measured: Measured,
    /// Times of the floor in the earlier campaign.
    pub(crate) before: Interval,
    /// And now.
    pub(crate) now: Interval,
    /// What may be said.
    pub(crate) judgement: Judgement,
}

impl Change {
    /// How much more it is now: 0.1 is a tenth more.
    pub(crate) fn part(&self) -> f64 {
        self.now.median / self.before.median - 1.0
    }
}

/// One scenario of one campaign.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'a> {
    /// Its rows.
    pub(crate) rows: &'a [Written],
    /// The campaign's kinds of distance, in nanoseconds.
    pub(crate) distances: &'a [(f64, f64)],
}

impl Side<'_> {
    /// Times of the floor, over the rounds of one kind of distance; over all when nothing was probed.
    fn ratio(&self, contender: &str, floor: &str, measured: Measured, kind: Option<usize>) -> Ratio {
        let of_kind = |name: &str| {
            let mut points = analysis::points(self.rows, Rows::counted(name), &|figures| measured.read(figures));
            points.retain(|point| kind.is_none() || point.distance == kind);
            points
        };
        Ratio::new(floor, &of_kind(contender), &of_kind(floor), kind.is_some())
    }
}

/// Compares a contender with itself in an earlier campaign; `allowed` is the part that it may be worse by.
///
/// # Errors
/// Why the two cannot be compared, for people.
pub(crate) fn change(
    (before, now): (&Side<'_>, &Side<'_>),
    (contender, floor): (&str, &str),
    measured: Measured,
    allowed: f64,
) -> Result<(Interval, Interval, Judgement), String> {
    let kinds = like_kinds(before.distances, now.distances)?;
    let pairs = kinds.into_iter().map(|(then, today)| {
        (before.ratio(contender, floor, measured, then), now.ratio(contender, floor, measured, today))
    });
    // Where most rounds stand against each other.
    let best = pairs.max_by_key(|(before, now)| before.pairs.min(now.pairs));
    let Some((before, now)) = best else { return Err("the processors were never as far from each other".into()) };
    match (before.interval, now.interval) {
        (Some(before), Some(now)) => Ok((before, now, judge(measured, &before, &now, allowed))),
        _ => Err(format!(
            "too few rounds at one distance: {} in the baseline, {} now, {ROUNDS_MIN} are needed",
            before.pairs, now.pairs
        )),
    }
}

type Kinds = Vec<(Option<usize>, Option<usize>)>;

/// Which kinds of distance of two campaigns are the same.
fn like_kinds(before: &[(f64, f64)], now: &[(f64, f64)]) -> Result<Kinds, String> {
    match (before.is_empty(), now.is_empty()) {
        (true, true) => Ok(vec![(None, None)]),
        (false, false) => Ok(distance::like(before, now).map(|(then, now)| (Some(then), Some(now))).collect()),
        _ => Err("the processors' distance is known in only one of the two".into()),
    }
}

fn judge(measured: Measured, before: &Interval, now: &Interval, allowed: f64) -> Judgement {
    let is_beyond = |low: f64, high: f64| low > high * (1.0 + allowed);
    let (more, less) = (is_beyond(now.low, before.high), is_beyond(before.low, now.high));
    match (measured, more, less) {
        (Measured::P50, true, _) | (Measured::Throughput, _, true) => Judgement::Worse,
        (Measured::P50, _, true) | (Measured::Throughput, true, _) => Judgement::Better,
        _ => Judgement::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(low: f64, high: f64) -> Interval {
        Interval { low, median: f64::midpoint(low, high), high }
    }

    #[test]
    fn more_is_worse_for_times_and_better_for_calls() {
        let (before, now) = (interval(2.0, 2.1), interval(2.4, 2.6));
        let said = |before, now, allowed| Measured::ALL.map(|measured| judge(measured, before, now, allowed));
        assert_eq!(said(&before, &now, 0.1), [Judgement::Worse, Judgement::Better]);
        assert_eq!(said(&now, &before, 0.1), [Judgement::Better, Judgement::Worse]);
        assert_eq!(said(&before, &now, 0.2), [Judgement::Same; 2]);
        assert_eq!(said(&before, &interval(2.0, 9.0), 0.0), [Judgement::Same; 2]);
    }

    #[test]
    fn distances_must_be_known_in_both_or_in_none() {
        let near = [(90.0, 110.0)];
        assert_eq!(like_kinds(&[], &[]), Ok(vec![(None, None)]));
        assert!(like_kinds(&near, &[]).is_err());
        assert_eq!(like_kinds(&near, &[(27.0, 28.0), (95.0, 99.0)]), Ok(vec![(Some(0), Some(1))]));
        assert_eq!(like_kinds(&near, &[(400.0, 410.0)]), Ok(vec![]));
    }
}
