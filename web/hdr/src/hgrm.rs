//! Percentile distributions.

use hdrhistogram::Histogram;

use crate::as_float;

/// Steps for each halving of what is left to 100 %.
const STEPS: u32 = 5;

/// The distribution of times in nanoseconds, written in microseconds as `outputPercentileDistribution` of HdrHistogram
/// writes it.
#[must_use]
pub fn hgrm(histogram: &Histogram<u64>) -> String {
    let mut text = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut total = 0;
    for value in histogram.iter_quantiles(STEPS) {
        total += value.count_since_last_iteration();
        let (micros, quantile) = (as_float(value.value_iterated_to()) / 1e3, value.quantile_iterated_to());
        text.push_str(&format!("{micros:12.3} {quantile:14.12} {total:>10}"));
        if quantile < 1.0 {
            text.push_str(&format!(" {:14.2}", 1.0 / (1.0 - quantile)));
        }
        text.push('\n');
    }
    let (mean, deviation, max) = (histogram.mean() / 1e3, histogram.stdev() / 1e3, as_float(histogram.max()) / 1e3);
    text.push_str(&format!("#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]\n"));
    text.push_str(&format!("#[Max     = {max:12.3}, Total count    = {:>12}]\n", histogram.len()));
    let sub_buckets = histogram.distinct_values() / (usize::from(histogram.buckets()) + 1) * 2;
    text.push_str(&format!("#[Buckets = {:>12}, SubBuckets     = {sub_buckets:>12}]\n", histogram.buckets()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: &[(u64, u64)]) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        times.iter().for_each(|(ns, count)| histogram.record_n(*ns, *count).unwrap());
        histogram
    }

    #[test]
    fn lines_are_as_the_tools_expect_them() {
        let text = hgrm(&of(&[(1_000, 99), (50_000, 1)]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "       Value     Percentile TotalCount 1/(1-Percentile)");
        assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["1.000", "0.000000000000", "99", "1.00"]);
        let last = lines.iter().rfind(|line| !line.starts_with('#')).unwrap();
        assert_eq!(last.split_whitespace().collect::<Vec<_>>(), ["50.015", "1.000000000000", "100"]);
        assert!(text.contains("Total count    =          100]"), "{text}");
        assert!(text.contains("SubBuckets     =         2048]"), "{text}");
    }

    #[test]
    fn without_times_there_are_no_lines_between_head_and_end() {
        let text = hgrm(&of(&[]));
        assert!(text.lines().all(|line| line.is_empty() || line.contains("Value") || line.starts_with("#[")), "{text}");
        assert!(text.contains("Mean    =        0.000") && text.contains("Total count    =            0"), "{text}");
    }
}
