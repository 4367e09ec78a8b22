//! When calls are due. No clock: only numbers.

use clap::ValueEnum;
use serde::Serialize;

use crate::measure::clock::round;
use crate::stats::random;

/// How calls are spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arrivals {
    /// At random moments: gaps are exponentially distributed, as with many users who know nothing of each other
    Poisson,
    /// One after the other at equal gaps
    Fixed,
}

/// A call that is to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Due {
    /// From 0.
    pub(crate) number: u64,
    /// When, in nanoseconds since the run began.
    pub(crate) at_ns: u64,
}

/// Calls in the order in which they are due, until the span ends.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    arrivals: Arrivals,
    gap_ns: f64,
    span_ns: f64,
    at_ns: f64,
    number: u64,
    random: u64,
    /// Of all calls, only those of one lane.
    lane: usize,
    lanes: usize,
}

impl Schedule {
    /// `rate` calls a second for so many seconds. The same seed gives the same moments.
    pub(crate) fn new(arrivals: Arrivals, rate: f64, seconds: f64, seed: u64) -> Self {
        let (gap_ns, span_ns) = (1e9 / rate, seconds * 1e9);
        let mut schedule = Self { arrivals, gap_ns, span_ns, at_ns: 0.0, number: 0, random: seed, lane: 0, lanes: 1 };
        if arrivals == Arrivals::Poisson {
            schedule.at_ns = schedule.gap();
        }
        schedule
    }

    /// The part of the calls that falls to one of so many lanes, by lot: all lanes together have every call once.
    pub(crate) fn of_lane(self, lane: usize, lanes: usize) -> Self {
        Self { lane, lanes, ..self }
    }

    fn is_mine(&self, number: u64) -> bool {
        let mut lot = number;
        self.lanes == 1 || random::below(&mut lot, self.lanes) == self.lane
    }

    fn gap(&mut self) -> f64 {
        match self.arrivals {
            Arrivals::Fixed => self.gap_ns,
            Arrivals::Poisson => random::exponential(&mut self.random, self.gap_ns),
        }
    }
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        while self.at_ns < self.span_ns {
            let due = Due { number: self.number, at_ns: round(self.at_ns) };
            self.number += 1;
            self.at_ns += self.gap();
            if self.is_mine(due.number) {
                return Some(due);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_gaps_are_equal() {
        let due: Vec<u64> = Schedule::new(Arrivals::Fixed, 4.0, 1.0, 1).map(|due| due.at_ns).collect();
        assert_eq!(due, [0, 250_000_000, 500_000_000, 750_000_000]);
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_the_spread_of_their_kind() {
        let due: Vec<Due> = Schedule::new(Arrivals::Poisson, 1e5, 1.0, 7).collect();
        assert!((99_000..101_000).contains(&due.len()), "{}", due.len());
        assert!(due.iter().zip(0..).all(|(due, number)| due.number == number));
        let gaps: Vec<f64> = due.windows(2).map(|pair| (pair[1].at_ns - pair[0].at_ns) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // An exponential distribution's deviation is its mean.
        assert!((0.98..1.02).contains(&(variance.sqrt() / mean)), "{mean} {variance}");
    }

    #[test]
    fn lanes_share_the_same_calls() {
        let all = || Schedule::new(Arrivals::Poisson, 1e4, 1.0, 7);
        let lanes: Vec<Vec<Due>> = (0..2).map(|lane| all().of_lane(lane, 2).collect()).collect();
        let mut together = lanes.concat();
        together.sort_unstable_by_key(|due| due.number);
        assert_eq!(together, all().collect::<Vec<_>>());
        assert!(lanes.iter().all(|lane| (4_700..5_300).contains(&lane.len())), "{}", lanes[0].len());
    }

    #[test]
    fn seeds_decide() {
        let of = |seed| Schedule::new(Arrivals::Poisson, 1e3, 0.1, seed).collect::<Vec<_>>();
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
    }
}
