//! A histogram's percentiles in the text format that HdrHistogram's own tools read and plot.

use hdrhistogram::Histogram;

/// Steps for each halving of what is left to 100 %.
const STEPS: u32 = 5;

/// The file's text, in microseconds.
pub(super) fn text(histogram: &Histogram<u64>) -> String {
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
