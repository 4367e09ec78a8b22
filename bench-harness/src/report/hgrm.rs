//! A histogram's percentiles in the text format that HdrHistogram's own tools read and plot.

use hdrhistogram::Histogram;

use crate::measure::clock::round;

/// Steps for each halving of what is left to 100 %.
const STEPS: u32 = 5;

/// A point of a curve.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Point {
    /// The part of calls that were at most so slow.
    pub(crate) quantile: f64,
    /// How slow, in nanoseconds.
    pub(crate) ns: f64,
}

/// What a file says: points from the fastest to the slowest call, and how many calls there were.
#[derive(Clone, PartialEq, Default, Debug)]
pub(crate) struct Curve {
    /// Ascending.
    pub(crate) points: Vec<Point>,
    /// All calls.
    pub(crate) calls: u64,
}

/// Reads a file that [`text`] wrote; lines that it would not have written are passed over.
pub(super) fn curve(text: &str) -> Curve {
    let mut curve = Curve::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let mut number = || words.next()?.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
        if let (Some(micros), Some(quantile @ 0.0..=1.0), Some(total)) = (number(), number(), number()) {
            curve.points.push(Point { quantile, ns: micros * 1e3 });
            curve.calls = round(total);
        }
    }
    curve
}

/// The file's text, in microseconds.
pub(crate) fn text(histogram: &Histogram<u64>) -> String {
    let mut text = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut total = 0;
    for value in histogram.iter_quantiles(STEPS) {
        total += value.count_since_last_iteration();
        let (micros, quantile) = (value.value_iterated_to() as f64 / 1e3, value.quantile_iterated_to());
        let line = if quantile < 1.0 {
            format!("{micros:12.3} {quantile:14.12} {total:>10} {:14.2}\n", 1.0 / (1.0 - quantile))
        } else {
            format!("{micros:12.3} {quantile:14.12} {total:>10}\n")
        };
        text.push_str(&line);
    }
    let (mean, deviation, max) = (histogram.mean() / 1e3, histogram.stdev() / 1e3, histogram.max() as f64 / 1e3);
    text.push_str(&format!("#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]\n"));
    text.push_str(&format!("#[Max     = {max:12.3}, Total count    = {:>12}]\n", histogram.len()));
    text.push_str(&format!(
        "#[Buckets = {:>12}, SubBuckets     = {:>12}]\n",
        histogram.buckets(),
        histogram.distinct_values() / (usize::from(histogram.buckets()) + 1) * 2
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::latency;

    #[test]
    fn what_was_written_is_read() {
        let mut histogram = latency::empty();
        histogram.record_n(1_000, 99).unwrap();
        histogram.record(50_000).unwrap();
        let curve = curve(&text(&histogram));
        assert_eq!(curve.calls, 100);
        assert_eq!(curve.points.first(), Some(&Point { quantile: 0.0, ns: 1_000.0 }));
        let last = curve.points.last().unwrap();
        assert!(last.quantile == 1.0 && (last.ns - 50_015.0).abs() < 0.1, "{last:?}");
    }

    #[test]
    fn what_is_no_curve_is_none() {
        assert_eq!(curve("NaN 0.5 3\n1 2 3\n-1 0.5 3\n#[Max]\nx"), Curve::default());
    }

    #[test]
    fn lines_are_as_the_tools_expect_them() {
        let mut histogram = latency::empty();
        histogram.record_n(1_000, 99).unwrap();
        histogram.record(50_000).unwrap();
        let text = text(&histogram);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("Value     Percentile TotalCount 1/(1-Percentile)"), "{}", lines[0]);
        assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["1.000", "0.000000000000", "99", "1.00"]);
        let last = lines.iter().rfind(|line| !line.starts_with('#')).unwrap();
        assert_eq!(last.split_whitespace().collect::<Vec<_>>(), ["50.015", "1.000000000000", "100"]);
        assert!(
            text.contains("Total count    =          100]") && text.contains("SubBuckets     =         2048]"),
            "{text}"
        );
    }
}
