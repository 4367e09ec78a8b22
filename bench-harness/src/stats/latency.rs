//! Histograms of latencies in nanoseconds, and what is read from them.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::absent;

/// Beyond this a call counts as this long; the harness ends a row long before.
const LONGEST: Duration = Duration::from_secs(60);
/// Three digits are kept: a thousandth.
const DIGITS: u8 = 3;
/// A call is a stall when it took this many times the median, and at least so long.
const STALL_TIMES: u64 = 20;
const STALL_NS: u64 = 20_000;

/// An empty histogram.
pub(crate) fn empty() -> Histogram<u64> {
    let longest = u64::try_from(LONGEST.as_nanos()).unwrap_or(u64::MAX);
    Histogram::new_with_bounds(1, longest, DIGITS).expect("1 ns to 60 s in three digits is a valid range")
}

/// A histogram as pairs of latency and count.
pub(crate) fn pairs(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    histogram.iter_recorded().map(|value| (value.value_iterated_to(), value.count_at_value())).collect()
}

/// And back.
pub(crate) fn from_pairs(pairs: &[(u64, u64)]) -> Histogram<u64> {
    let mut histogram = empty();
    for (value, count) in pairs {
        histogram.saturating_record_n(*value, *count);
    }
    histogram
}

/// What a row's latencies say, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Latency {
    /// Half of the calls were faster.
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) p50: f64,
    /// One in a hundred was slower.
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) p99: f64,
    /// One in a thousand was slower; not a number below 1000 calls.
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) p999: f64,
    /// The slowest.
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) max: f64,
    /// The part of all time that was spent in stalls. A closed loop sends nothing during a stall, so that a stall is
    /// one call among many, and no percentile shows it: this does.
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) stalled: f64,
}

impl Latency {
    /// Of a histogram; without calls, nothing is a number.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let known = |value: u64| if histogram.is_empty() { f64::NAN } else { value as f64 };
        let at = |quantile| known(histogram.value_at_quantile(quantile));
        let is_enough = histogram.len() >= 1_000;
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: if is_enough { at(0.999) } else { f64::NAN },
            max: known(histogram.max()),
            stalled: if histogram.is_empty() { f64::NAN } else { stalled(histogram) },
        }
    }
}

fn stalled(histogram: &Histogram<u64>) -> f64 {
    let limit = histogram.value_at_quantile(0.5).saturating_mul(STALL_TIMES).max(STALL_NS);
    let (mut all, mut stalls) = (0.0, 0.0);
    for value in histogram.iter_recorded() {
        let time = value.value_iterated_to() as f64 * value.count_at_value() as f64;
        all += time;
        if value.value_iterated_to() > limit {
            stalls += time;
        }
    }
    if all > 0.0 { stalls / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_a_histogram() {
        let mut histogram = empty();
        for value in [80, 80, 90, 45_000, 3_000_000] {
            histogram.record(value).unwrap();
        }
        assert_eq!(from_pairs(&pairs(&histogram)), histogram);
    }

    #[test]
    fn too_few_calls_have_no_thousandth() {
        let mut histogram = empty();
        histogram.record_n(100, 999).unwrap();
        assert!(Latency::of(&histogram).p999.is_nan());
        assert!(Latency::of(&empty()).p50.is_nan() && Latency::of(&empty()).max.is_nan());
        histogram.record(100).unwrap();
        assert_eq!(Latency::of(&histogram).p999, 100.0);
    }

    #[test]
    fn one_stall_among_many_calls_shows_as_time() {
        let mut histogram = empty();
        histogram.record_n(1_000, 900_000).unwrap();
        histogram.record(100_000_000).unwrap();
        let latency = Latency::of(&histogram);
        assert_eq!((latency.p50, latency.p999), (1_000.0, 1_000.0));
        assert!((latency.stalled - 0.1).abs() < 0.001, "{}", latency.stalled);
    }

    #[test]
    fn slow_calls_are_no_stalls() {
        let mut histogram = empty();
        histogram.record_n(50_000, 990).unwrap();
        histogram.record_n(200_000, 10).unwrap();
        assert_eq!(Latency::of(&histogram).stalled, 0.0);
    }
}
