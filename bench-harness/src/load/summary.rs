//! What a run says: for people, and for files.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::measure::accounts::Usage;
use crate::open::log::Log;
use crate::open::schedule::Arrivals;
use crate::open::verdict::Wanted;
use crate::report::numbers::{count, digits, time};

/// Percentiles that are shown, with their names.
const SHOWN: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Asked {
    pub(crate) address: String,
    pub(crate) method: String,
    /// Calls in a second.
    pub(crate) rate: f64,
    pub(crate) arrivals: Arrivals,
    pub(crate) seed: u64,
    pub(crate) connections: usize,
    /// Bytes of each call's JSON.
    pub(crate) body_bytes: usize,
    /// For how long calls were to be due.
    pub(crate) seconds: f64,
    /// What void is measured by.
    #[serde(skip)]
    pub(crate) lag_max: Duration,
}

/// A percentile, counted both ways, in nanoseconds; none when there are too few calls to know it.
#[derive(Clone, PartialEq, Debug, Serialize)]
struct Percentile {
    name: &'static str,
    corrected_ns: Option<f64>,
    uncorrected_ns: Option<f64>,
}

/// A run in numbers.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    #[serde(flatten)]
    asked: Asked,
    /// Why nothing here may be believed.
    pub(crate) void: Option<String>,
    /// Ended by Ctrl-C.
    pub(crate) is_interrupted: bool,
    due: u64,
    sent: u64,
    answered: u64,
    unsent: u64,
    errors: BTreeMap<&'static str, u64>,
    pub(crate) failed_part: f64,
    /// Answers in a second.
    pub(crate) rate_achieved: f64,
    percentiles: Vec<Percentile>,
    own_lag_p99_ns: f64,
    own_lag_max_ns: f64,
    lag_p99_ns: f64,
    /// Whether calls waited because all connections were in calls.
    is_saturated: bool,
    /// Processor time of this process for each call, in nanoseconds.
    cpu_per_call_ns: f64,
    #[serde(skip)]
    corrected: Histogram<u64>,
}

/// The value at a quantile, if at least one call is beyond it.
fn known(histogram: &Histogram<u64>, quantile: f64) -> Option<f64> {
    let beyond = (1.0 - quantile) * histogram.len() as f64;
    let is_known = if quantile < 1.0 { beyond > 1.0 - 1e-6 } else { !histogram.is_empty() };
    is_known.then(|| histogram.value_at_quantile(quantile) as f64)
}

impl Summary {
    pub(crate) fn new(asked: Asked, log: &Log, used: Usage, is_interrupted: bool) -> Self {
        let last = log.last_done_ns as f64 / 1e9;
        let seconds = if is_interrupted { last.min(asked.seconds) } else { asked.seconds };
        let wanted = Wanted { seconds, connections: asked.connections, lag_max: asked.lag_max };
        let percentiles = SHOWN.map(|(name, quantile)| Percentile {
            name,
            corrected_ns: known(&log.corrected, quantile),
            uncorrected_ns: known(&log.uncorrected, quantile),
        });
        let at99 = |histogram: &Histogram<u64>| histogram.value_at_quantile(0.99) as f64;
        Self {
            void: wanted.void(log),
            is_interrupted,
            due: log.due(),
            sent: log.sent(),
            answered: log.answered(),
            unsent: log.unsent,
            errors: log.errors.clone(),
            failed_part: log.failed_part(),
            rate_achieved: if last > 0.0 { log.answered() as f64 / last.max(seconds) } else { 0.0 },
            percentiles: percentiles.into(),
            own_lag_p99_ns: at99(&log.own_lag),
            own_lag_max_ns: log.own_lag.max() as f64,
            lag_p99_ns: at99(&log.lag),
            is_saturated: wanted.is_saturated(log),
            cpu_per_call_ns: used.cpu_ns as f64 / log.sent().max(1) as f64,
            corrected: log.corrected.clone(),
            asked,
        }
    }

    /// A percentile from the moment at which calls were due, in nanoseconds.
    pub(crate) fn corrected_at(&self, quantile: f64) -> Option<f64> {
        known(&self.corrected, quantile)
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let Asked { address, method, rate, arrivals, connections, seconds, .. } = &self.asked;
        let arrivals = format!("{arrivals:?}").to_lowercase();
        let mut text = format!(
            "{method} at {address}: {}/s wanted for {} s ({arrivals}), {connections} connections\n\n",
            count(*rate).replace(' ', ""),
            digits(*seconds),
        );
        text.push_str(&format!("{:<8}{:>14}{:>14}\n", "", "corrected", "uncorrected"));
        for Percentile { name, corrected_ns, uncorrected_ns } in &self.percentiles {
            let [corrected, uncorrected] = [corrected_ns, uncorrected_ns].map(|ns| ns.map_or("-".into(), time));
            text.push_str(&format!("{name:<8}{corrected:>14}{uncorrected:>14}\n"));
        }
        text.push_str("corrected: from when a call was due; uncorrected: from when it was sent\n\n");
        text + &self.counts()
    }

    fn counts(&self) -> String {
        let mut text = format!("calls   {} due, {} sent, {} answered", self.due, self.sent, self.answered);
        let reasons = self.errors.iter().map(|(code, count)| format!("{count} {code}"));
        let never = (self.unsent > 0).then(|| format!("{} never sent", self.unsent));
        let reasons: Vec<String> = reasons.chain(never).collect();
        match reasons.as_slice() {
            [] => text.push_str(", none failed\n"),
            some => text.push_str(&format!("; {}% failed: {}\n", digits(self.failed_part * 100.0), some.join(", "))),
        }
        let (wanted, achieved) = (count(self.asked.rate), count(self.rate_achieved));
        text.push_str(&format!("rate    {wanted}/s wanted, {achieved}/s achieved\n"));
        text.push_str(&format!(
            "lag     p99 {} by the generator's own fault (max {}), p99 {} in all\n",
            time(self.own_lag_p99_ns),
            time(self.own_lag_max_ns),
            time(self.lag_p99_ns)
        ));
        text.push_str(&format!("CPU     {} per call, of this process\n", time(self.cpu_per_call_ns)));
        if self.is_saturated {
            text.push_str(
                "All connections were in calls nearly all the time: the service, or their number, was the limit.\n",
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::threshold;
    use crate::open::log::Moments;

    /// 1000 calls at 1000/s, each due every ms and answered 0.1 ms after it was sent; the last was sent 50 ms late,
    /// and one failed.
    fn summary(lag_max: Duration) -> Summary {
        let mut log = Log::new();
        for number in 0..1_000_u64 {
            let due = number * 1_000_000;
            let sent = due + if number == 999 { 50_000_000 } else { 0 };
            let result = if number == 500 { Err("UNAVAILABLE") } else { Ok(()) };
            log.add(Moments { due, free: 0, sent, done: sent + 100_000 }, result);
        }
        let asked = Asked {
            address: "tcp://a:1".into(),
            method: "echo".into(),
            rate: 1_000.0,
            arrivals: Arrivals::Fixed,
            seed: 1,
            connections: 1,
            body_bytes: 4,
            seconds: 1.0,
            lag_max,
        };
        let used = Usage { cpu_ns: 5_000_000, ..Usage::default() };
        Summary::new(asked, &log, used, false)
    }

    #[test]
    fn it_says_both_sides_of_every_figure() {
        let text = summary(Duration::from_millis(1)).text();
        let has = |part: &str| assert!(text.contains(part), "no `{part}` in {text}");
        has("echo at tcp://a:1: 1k/s wanted for 1 s (fixed), 1 connections");
        has("p99             100 us        100 us");
        has("max            50.1 ms        100 us");
        // One of 999 answered calls is not beyond a thousandth.
        has("p99.9                -             -");
        has("calls   1000 due, 1000 sent, 999 answered; 0.1% failed: 1 UNAVAILABLE");
        has("rate    1 k/s wanted");
        has("CPU     5 us per call");
    }

    #[test]
    fn thresholds_are_judged_by_corrected_figures() {
        let summary = summary(Duration::from_millis(1));
        let judged = |text: &str| threshold::parse(text).unwrap().judge(&summary);
        for text in ["p99<1ms", "max<60ms", "errors<0.11%", "rate>900"] {
            assert!(judged(text).is_kept, "{}", judged(text));
        }
        for text in ["p99<10us", "max<1ms", "errors<0.1%", "rate>1k", "p99.9<1s"] {
            assert!(!judged(text).is_kept, "{}", judged(text));
        }
        assert_eq!(judged("p99<10us").to_string(), "MISSED: p99<10us: it was 100 us");
        assert!(judged("p99.9<1s").to_string().contains("too few calls"));
    }

    #[test]
    fn files_have_the_figures_and_the_question() {
        let json = serde_json::to_value(summary(Duration::ZERO)).unwrap();
        assert_eq!((&json["method"], &json["answered"]), (&"echo".into(), &999.into()));
        assert_eq!(json["percentiles"][2]["name"], "p99");
    }
}
