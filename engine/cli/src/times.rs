//! How long calls took, for people and for scripts.

use std::time::Duration;

use serde_json::{Value, json};
use speedysvc_protocol::stats::Histogram;
use speedysvc_protocol::stats::buckets::bucket_of;

use crate::ctl::time;

/// The times of calls.
#[derive(Default)]
pub(crate) struct Times {
    histogram: Histogram,
    fastest: Option<u64>,
    slowest: Option<u64>,
}

/// What is told of them.
const SHARES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

impl Times {
    pub(crate) fn note(&mut self, took: Duration) {
        let ns = nanos(took);
        self.histogram.add(bucket_of(ns), 1);
        self.fastest = Some(self.fastest.map_or(ns, |fastest| fastest.min(ns)));
        self.slowest = Some(self.slowest.map_or(ns, |slowest| slowest.max(ns)));
    }

    pub(crate) fn count(&self) -> u64 {
        self.histogram.count()
    }

    /// A bucket's number may be a little more than all that is in it.
    fn percentile(&self, share: f64) -> Option<u64> {
        self.histogram.percentile(share).min(self.slowest)
    }

    /// `1234 calls: min 1.1 µs, p50 1.2 µs, ..., max 80 µs`. Percentiles are of buckets, which are 3 % wide.
    pub(crate) fn line(&self) -> String {
        let shares = SHARES.map(|(name, share)| format!("{name} {}", time(self.percentile(share))));
        let calls = if self.count() == 1 { "call" } else { "calls" };
        let (count, min, max) = (self.count(), time(self.fastest), time(self.slowest));
        format!("{count} {calls}: min {min}, {}, max {max}", shares.join(", "))
    }

    pub(crate) fn json(&self) -> Value {
        let mut value = json!({ "calls": self.count(), "min_ns": self.fastest, "max_ns": self.slowest });
        for (name, share) in SHARES {
            value[format!("{}_ns", name.replace('.', "_"))] = self.percentile(share).into();
        }
        value
    }
}

pub(crate) fn nanos(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_words_and_numbers() {
        let mut times = Times::default();
        assert_eq!(times.line(), "0 calls: min -, p50 -, p90 -, p99 -, p99.9 -, max -");
        (1..=100).for_each(|us| times.note(Duration::from_micros(us)));
        let line = times.line();
        assert!(line.starts_with("100 calls: min 1.0 µs, p50 ") && line.ends_with(", max 100.0 µs"), "{line}");
        let json = times.json();
        assert_eq!((&json["calls"], &json["min_ns"], &json["max_ns"]), (&100.into(), &1_000.into(), &100_000.into()));
        let p50 = json["p50_ns"].as_u64().unwrap();
        assert!((48_000..=52_000).contains(&p50), "{json}");
        assert!(json["p99_9_ns"].as_u64().unwrap() >= p50, "{json}");
    }
}
