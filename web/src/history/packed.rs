//! A histogram in few bytes: what a second of a busy method leaves for an hour.

use serde::{Deserialize, Serialize};
use speedysvc_protocol::stats::Histogram;
use speedysvc_protocol::stats::buckets::{BUCKETS, bucket_of};

/// Steps of the engine's histograms that are one step here: 25 an octave, so a time is kept within two per cent.
const STEPS: usize = 4;
/// Steps there are.
pub(crate) const COARSE: usize = BUCKETS / STEPS + 1;

/// Pairs of a gap to the step before and a count, each a number of as many bytes as it needs.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Packed(Box<[u8]>);

impl Packed {
    /// What is in `new` and not yet in `old`, an earlier state of the same histogram.
    pub(crate) fn between(old: &Histogram, new: &Histogram) -> Self {
        let mut sum = Dense::default();
        let mut before = old.pairs().peekable();
        for (ns, count) in new.pairs() {
            while before.next_if(|(earlier, _)| *earlier < ns).is_some() {}
            let had = before.next_if(|(earlier, _)| *earlier == ns).map_or(0, |(_, count)| count);
            sum.0[bucket_of(ns) / STEPS] += count.saturating_sub(had);
        }
        sum.pack()
    }

    /// Bytes that it takes beside itself.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Steps and their counts. What no version of this wrote ends early.
    fn pairs(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let (mut at, mut step) = (0, 0_usize);
        std::iter::from_fn(move || {
            let gap = read(&self.0, &mut at)?;
            let count = read(&self.0, &mut at)?;
            step = step.checked_add(usize::try_from(gap).ok()?)?;
            (step < COARSE).then_some((step, count))
        })
    }
}

/// A sum of histograms, a count for each step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dense(Vec<u64>);

impl Default for Dense {
    fn default() -> Self {
        Self(vec![0; COARSE])
    }
}

impl Dense {
    pub(crate) fn add(&mut self, packed: &Packed) {
        packed.pairs().for_each(|(step, count)| self.0[step] = self.0[step].saturating_add(count));
    }

    pub(crate) fn pack(&self) -> Packed {
        let mut bytes = Vec::new();
        let mut last = 0;
        for (step, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            write(&mut bytes, (step - last) as u64);
            write(&mut bytes, *count);
            last = step;
        }
        Packed(bytes.into())
    }

    /// As readers of histograms have it; each step by its middle.
    pub(crate) fn histogram(&self) -> Histogram {
        let mut histogram = Histogram::default();
        let middle = |step: usize| if step == 0 { 0 } else { (step * STEPS + STEPS / 2).min(BUCKETS - 1) };
        self.0.iter().enumerate().for_each(|(step, count)| histogram.add(middle(step), *count));
        histogram
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more come.
fn write(bytes: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

fn read(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(times: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        times.iter().for_each(|ns| histogram.add(bucket_of(*ns), 1));
        histogram
    }

    proptest! {
        /// Against the histogram of only the later times.
        #[test]
        fn the_difference_is_what_came_later(
            before in prop::collection::vec(64..1_u64 << 42, 0..60),
            after in prop::collection::vec(64..1_u64 << 42, 1..60),
        ) {
            let packed = Packed::between(&of(&before), &of(&[before.clone(), after.clone()].concat()));
            let mut sum = Dense::default();
            sum.add(&packed);
            prop_assert_eq!(sum.pack(), packed);
            let (kept, exact) = (sum.histogram(), of(&after));
            prop_assert_eq!(kept.count(), after.len() as u64);
            for share in [0.01, 0.5, 0.99, 1.0] {
                let (kept, exact) = (kept.percentile(share).unwrap(), exact.percentile(share).unwrap());
                prop_assert!(kept.abs_diff(exact) * 30 <= exact + 60, "{} for {}", kept, exact);
            }
        }

        #[test]
        fn numbers_come_back(values in prop::collection::vec(any::<u64>(), 0..20)) {
            let mut bytes = Vec::new();
            values.iter().for_each(|value| write(&mut bytes, *value));
            let mut at = 0;
            let again: Vec<u64> = std::iter::from_fn(|| read(&bytes, &mut at)).collect();
            prop_assert_eq!(again, values);
        }

        /// A file may hold anything.
        #[test]
        fn nonsense_is_harmless(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut sum = Dense::default();
            sum.add(&Packed(bytes.into()));
            sum.histogram();
        }
    }
}
