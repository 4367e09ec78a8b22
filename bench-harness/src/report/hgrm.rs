//! The curve in a file of percentiles, as HdrHistogram's own tools read and plot it, too.

use crate::measure::clock::round;

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

/// Reads a file that [`speedysvc_hdr::hgrm`] wrote; lines that it would not have written are passed over.
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

#[cfg(test)]
mod tests {
    use speedysvc_hdr::hgrm;

    use super::*;
    use crate::stats::latency;

    #[test]
    fn what_was_written_is_read() {
        let mut histogram = latency::empty();
        histogram.record_n(1_000, 99).unwrap();
        histogram.record(50_000).unwrap();
        let curve = curve(&hgrm(&histogram));
        assert_eq!(curve.calls, 100);
        assert_eq!(curve.points.first(), Some(&Point { quantile: 0.0, ns: 1_000.0 }));
        let last = curve.points.last().unwrap();
        assert!(last.quantile == 1.0 && (last.ns - 50_015.0).abs() < 0.1, "{last:?}");
    }

    #[test]
    fn what_is_no_curve_is_none() {
        assert_eq!(curve("NaN 0.5 3\n1 2 3\n-1 0.5 3\n#[Max]\nx"), Curve::default());
    }
}
