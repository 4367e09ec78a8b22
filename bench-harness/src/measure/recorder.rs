//! Latencies as they are taken: short ones are counted in a table, which costs one increment, so that the recording
//! does not weigh on the fastest floors.

use hdrhistogram::Histogram;

use super::clock::{Clock, round};
use crate::stats::latency;

/// Ticks up to which there is a counter each: 25 µs and more at 2.6 GHz.
const EXACT: usize = 1 << 16;

pub(super) struct Recorder {
    exact: Vec<u32>,
    long: Histogram<u64>,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self { exact: vec![0; EXACT], long: latency::empty() }
    }

    #[inline]
    pub(super) fn add(&mut self, ticks: u64) {
        match usize::try_from(ticks).ok().and_then(|ticks| self.exact.get_mut(ticks)) {
            Some(count) => *count += 1,
            None => self.long.saturating_record(ticks),
        }
    }

    /// The latencies in nanoseconds. A clock that moves in steps says of each only by which multiple it was about:
    /// around that they are taken to lie evenly, as else a median could only be one of a few numbers.
    pub(super) fn into_nanoseconds(self, clock: &Clock) -> Histogram<u64> {
        let mut all = latency::empty();
        let exact = self.exact.iter().zip(0_u64..).filter(|(count, _)| **count > 0);
        for (count, ticks) in exact {
            for (at, share) in evenly(u64::from(*count), clock.step()) {
                all.saturating_record_n(round(clock.ns((ticks + at).saturating_sub(clock.step() / 2))), share);
            }
        }
        for value in self.long.iter_recorded() {
            all.saturating_record_n(round(clock.ns(value.value_iterated_to())), value.count_since_last_iteration());
        }
        all
    }
}

/// So many, laid out evenly over so many places: the places that have any, and how many.
fn evenly(count: u64, places: u64) -> impl Iterator<Item = (u64, u64)> {
    let before = move |place| (place * count + places / 2) / places;
    (0..places).map(move |place| (place, before(place + 1) - before(place))).filter(|(_, share)| *share > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_step_is_laid_out_evenly() {
        let laid_out = |count, places| evenly(count, places).collect::<Vec<_>>();
        assert_eq!(laid_out(9, 1), [(0, 9)]);
        assert_eq!(laid_out(8, 4), [(0, 2), (1, 2), (2, 2), (3, 2)]);
        assert_eq!((laid_out(1, 26), laid_out(2, 26)), (vec![(12, 1)], vec![(6, 1), (19, 1)]));
        for (count, places) in [(0, 26), (7, 26), (26, 26), (1_000, 26), (12_345, 7)] {
            let shares = laid_out(count, places);
            assert_eq!(shares.iter().map(|(_, share)| share).sum::<u64>(), count);
            assert!(shares.iter().all(|(place, share)| *place < places && *share <= count.div_ceil(places)));
        }
    }

    #[test]
    fn a_clock_in_steps_moves_no_median() {
        const STEP: u64 = 26;
        for takes in [57, 78, 93, 317, 1_001] {
            let mut recorder = Recorder::new();
            let stamp = |at: u64| at / STEP * STEP;
            // Begun anywhere in a step.
            (0..10_000_u64)
                .map(|call| call * 7_919)
                .for_each(|begun| recorder.add(stamp(begun + takes) - stamp(begun)));
            let all = recorder.into_nanoseconds(&Clock::in_steps(STEP));
            assert_eq!(all.len(), 10_000);
            let median = all.value_at_quantile(0.5);
            assert!(median.abs_diff(takes) <= STEP / 8, "{median} of {takes}");
            assert!((all.mean() - takes as f64).abs() < 1.0, "{} of {takes}", all.mean());
        }
    }

    #[test]
    fn short_and_long_ones_are_all_there() {
        let mut recorder = Recorder::new();
        [5, 5, 70_000, u64::MAX].into_iter().for_each(|ticks| recorder.add(ticks));
        let all = recorder.into_nanoseconds(&Clock::new());
        assert_eq!(all.len(), 4);
        assert_eq!(all.min(), 5);
        assert_eq!(all.count_between(69_900, 70_100), 1);
    }
}
