//! A histogram as readers have it: only the buckets in which something is.

use super::buckets::value_of;

/// How many times fell into each bucket. Sparse, so that thousands of them can be kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Histogram {
    /// Bucket and count, in the order of the buckets; no count is zero.
    filled: Vec<(u16, u64)>,
}

impl Histogram {
    /// Adds `count` times to a bucket of [`super::buckets`]. Cheapest in the order of the buckets.
    pub fn add(&mut self, bucket: usize, count: u64) {
        let bucket = u16::try_from(bucket).unwrap_or(u16::MAX);
        match self.filled.last() {
            _ if count == 0 => {}
            Some((last, _)) if *last >= bucket => self.insert(bucket, count),
            _ => self.filled.push((bucket, count)),
        }
    }

    fn insert(&mut self, bucket: u16, count: u64) {
        match self.filled.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(place) => self.filled[place].1 = self.filled[place].1.saturating_add(count),
            Err(place) => self.filled.insert(place, (bucket, count)),
        }
    }

    /// Adds everything of another histogram.
    pub fn merge(&mut self, other: &Self) {
        let mut merged = Self { filled: Vec::with_capacity(self.filled.len().max(other.filled.len())) };
        let (mut ours, mut theirs) = (self.filled.iter().peekable(), other.filled.iter().peekable());
        while let Some((bucket, count)) = match (ours.peek(), theirs.peek()) {
            (Some(our), Some(their)) if our.0 <= their.0 => ours.next(),
            (Some(_), None) => ours.next(),
            _ => theirs.next(),
        } {
            merged.add(usize::from(*bucket), *count);
        }
        *self = merged;
    }

    /// How many times it holds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.filled.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The time in nanoseconds that this share of all times does not exceed: 0.5 for the median. `None` when it is
    /// empty.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<u64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "ranks beyond 2^53 do not occur"
        )]
        #[expect(clippy::cast_sign_loss, reason = "a share below none is the first")]
        let rank = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0_u64;
        let reaches = |(_, count): &&(u16, u64)| {
            seen = seen.saturating_add(*count);
            seen >= rank
        };
        let found = self.filled.iter().find(reaches).or(self.filled.last())?;
        Some(value_of(usize::from(found.0)))
    }

    /// Times in nanoseconds with their counts, shortest first: what HdrHistogram's `record_n` takes.
    pub fn pairs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.filled.iter().map(|(bucket, count)| (value_of(usize::from(*bucket)), *count))
    }
}

#[cfg(test)]
mod tests {
    use super::super::buckets::{BUCKETS, bucket_of};
    use super::*;
    use proptest::prelude::*;

    fn of(times: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        times.iter().for_each(|ns| histogram.add(bucket_of(*ns), 1));
        histogram
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!((of(&[]).count(), of(&[]).percentile(0.5)), (0, None));
        let mut none = of(&[]);
        none.add(7, 0);
        assert_eq!(none, of(&[]));
    }

    #[test]
    fn counts_stop_at_the_largest_number() {
        let mut full = Histogram::default();
        full.add(3, u64::MAX);
        full.merge(&full.clone());
        assert_eq!((full.count(), full.percentile(1.0)), (u64::MAX, Some(value_of(3))));
    }

    proptest! {
        /// Against a sorted list of all times.
        #[test]
        fn percentiles_are_within_a_per_cent(
            mut times in prop::collection::vec(64..100_000_000_u64, 1..300),
            sixty_fourths in 0..=64_u32,
        ) {
            // Shares that a float holds exactly.
            let found = of(&times).percentile(f64::from(sixty_fourths) / 64.0).unwrap();
            times.sort_unstable();
            let rank = (times.len() * sixty_fourths as usize).div_ceil(64).max(1);
            let exact = times[rank - 1];
            prop_assert!(found.abs_diff(exact) * 100 <= exact + 100, "{} for {}", found, exact);
        }

        #[test]
        fn merging_is_recording_into_one(
            a in prop::collection::vec(0..1_000_000_u64, 0..50),
            b in prop::collection::vec(0..1_000_000_u64, 0..50),
        ) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(&merged, &of(&[a.clone(), b.clone()].concat()));
            prop_assert_eq!(merged.count(), (a.len() + b.len()) as u64);
        }

        /// What is exported and recorded again is the same histogram.
        #[test]
        fn pairs_come_back(counts in prop::collection::vec((64..1_u64 << 41, 1..9_u64), 0..50)) {
            let mut first = Histogram::default();
            counts.iter().for_each(|(ns, count)| first.add(bucket_of(*ns), *count));
            let mut again = Histogram::default();
            first.pairs().for_each(|(ns, count)| again.add(bucket_of(ns), count));
            prop_assert_eq!(first, again);
            prop_assert!(bucket_of(u64::MAX) < BUCKETS);
        }
    }
}
