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

    /// The latencies in nanoseconds.
    pub(super) fn into_nanoseconds(self, clock: &Clock) -> Histogram<u64> {
        let mut all = latency::empty();
        let exact = self.exact.iter().zip(0_u64..).filter(|(count, _)| **count > 0);
        for (count, ticks) in exact {
            all.saturating_record_n(round(clock.ns(ticks)), u64::from(*count));
        }
        for value in self.long.iter_recorded() {
            all.saturating_record_n(round(clock.ns(value.value_iterated_to())), value.count_since_last_iteration());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
