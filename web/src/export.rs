//! Histograms as files of the usual HdrHistogram tools.

use hdrhistogram::Histogram as Hdr;
use speedysvc_hdr::Interval;
use speedysvc_protocol::stats::Histogram;
use speedysvc_protocol::stats::buckets::LONGEST_NS;

use crate::words::as_float;

/// Significant digits: what the engine's own histograms keep.
const DIGITS: u8 = 2;

fn hdr(histogram: &Histogram) -> Option<Hdr<u64>> {
    let mut hdr = Hdr::new_with_bounds(1, LONGEST_NS, DIGITS).ok()?;
    for (ns, count) in histogram.pairs() {
        hdr.record_n(ns.clamp(1, LONGEST_NS), count).ok()?;
    }
    Some(hdr)
}

/// The percentile distribution.
pub(crate) fn hgrm(histogram: &Histogram) -> String {
    hdr(histogram).map(|hdr| speedysvc_hdr::hgrm(&hdr)).unwrap_or_default()
}

/// A log with one interval for each histogram that holds something: its beginning and length in seconds, and itself.
pub(crate) fn hlog(intervals: &[(u64, u64, Histogram)]) -> String {
    let full = |(at, length, histogram): &(u64, u64, Histogram)| {
        let hdr = hdr(histogram).filter(|hdr| !hdr.is_empty())?;
        Some((as_float(*at), as_float(*length), hdr))
    };
    let full: Vec<_> = intervals.iter().filter_map(full).collect();
    let lines: Vec<Interval<'_>> = full
        .iter()
        .map(|(begun, seconds, histogram)| Interval { begun: *begun, seconds: *seconds, histogram })
        .collect();
    speedysvc_hdr::hlog(&lines, "").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use speedysvc_protocol::stats::buckets::bucket_of;

    fn of(times: &[(u64, u64)]) -> Histogram {
        let mut histogram = Histogram::default();
        times.iter().for_each(|(ns, count)| histogram.add(bucket_of(*ns), *count));
        histogram
    }

    #[test]
    fn a_distribution_ends_with_everything() {
        let text = hgrm(&of(&[(1_000, 99), (5_000_000, 1)]));
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with(' ') && line.contains("0.")).collect();
        assert!(rows[0].trim().starts_with("1.0"), "{text}");
        assert!(text.contains("Total count    =          100]"), "{text}");
        assert!(!hgrm(&of(&[])).is_empty());
    }

    #[test]
    fn a_log_holds_what_its_intervals_held() {
        let text = hlog(&[(1_000, 60, of(&[])), (1_060, 60, of(&[(64, 3), (70, 1)])), (1_120, 60, of(&[(64, 1)]))]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 6, "an empty interval has no line: {text}");
        assert_eq!(lines[2], "#[BaseTime: 1060.000 (seconds since epoch)]");
        assert!(
            lines[4].starts_with("0.000,60.000,0.000,HISTFAAA") && lines[5].starts_with("60.000,60.000,"),
            "{text}"
        );
    }
}
