//! Histograms as files of the usual HdrHistogram tools.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram as Hdr;
use speedysvc_protocol::stats::Histogram;
use speedysvc_protocol::stats::buckets::LONGEST_NS;

use crate::words::as_float;

/// Significant digits: what the engine's own histograms keep.
const DIGITS: u8 = 2;
/// Lines of a .hgrm file between a share and half of what is missing to all.
const TICKS: u32 = 5;
/// Values in these files are microseconds.
const US: f64 = 1000.0;

fn hdr(histogram: &Histogram) -> Option<Hdr<u64>> {
    let mut hdr = Hdr::new_with_bounds(1, LONGEST_NS, DIGITS).ok()?;
    for (ns, count) in histogram.pairs() {
        hdr.record_n(ns.clamp(1, LONGEST_NS), count).ok()?;
    }
    Some(hdr)
}

/// The percentile distribution, in microseconds, as `outputPercentileDistribution` of HdrHistogram writes it.
pub(crate) fn hgrm(histogram: &Histogram) -> String {
    let Some(hdr) = hdr(histogram) else { return String::new() };
    let mut text = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut seen = 0;
    for step in hdr.iter_quantiles(TICKS) {
        seen += step.count_since_last_iteration();
        let (value, share) = (as_float(step.value_iterated_to()) / US, step.quantile_iterated_to());
        text.push_str(&format!("{value:12.3} {share:.12} {seen:10}"));
        if share < 1.0 {
            text.push_str(&format!(" {:14.2}", 1.0 / (1.0 - share)));
        }
        text.push('\n');
    }
    let (mean, deviation) = if hdr.is_empty() { (0.0, 0.0) } else { (hdr.mean(), hdr.stdev()) };
    let max = if hdr.is_empty() { 0 } else { hdr.max() };
    text.push_str(&format!("#[Mean    = {:12.3}, StdDeviation   = {:12.3}]\n", mean / US, deviation / US));
    text.push_str(&format!("#[Max     = {:12.3}, Total count    = {:12}]\n", as_float(max) / US, hdr.len()));
    text.push_str(&format!("#[Buckets = {:12}, SubBuckets     = {:12}]\n", hdr.buckets(), 256));
    text
}

/// A log with one interval for each histogram: its beginning and length in seconds, and itself.
pub(crate) fn hlog(intervals: &[(u64, u64, Histogram)]) -> String {
    let begin = intervals.first().map_or(0, |(at, ..)| *at);
    let mut text = String::from("#[Histogram log format version 1.3]\n");
    text.push_str(&format!("#[StartTime: {begin}.000 (seconds since epoch)]\n"));
    text.push_str("\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n");
    for (at, length, histogram) in intervals {
        let Some(hdr) = hdr(histogram).filter(|hdr| !hdr.is_empty()) else { continue };
        let Some(encoded) = deflated(&hdr) else { continue };
        // By custom the column of the maximum is in milliseconds.
        let max = as_float(hdr.max()) / 1e6;
        text.push_str(&format!("{at}.000,{length}.000,{max:.3},{encoded}\n"));
    }
    text
}

/// HdrHistogram's "V2 compressed" encoding, as text.
fn deflated(hdr: &Hdr<u64>) -> Option<String> {
    let plain = v2::encoded(hdr)?;
    let mut body = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    body.write_all(&plain).ok()?;
    let body = body.finish().ok()?;
    let mut bytes = v2::COMPRESSED.to_be_bytes().to_vec();
    bytes.extend(u32::try_from(body.len()).ok()?.to_be_bytes());
    bytes.extend(body);
    Some(STANDARD.encode(bytes))
}

/// The encoding by itself. The library's own would bring a second base64 and a parser along.
mod v2 {
    use super::{DIGITS, Hdr, LONGEST_NS};

    /// Marks of the format: of a histogram, with counts of as many bytes as they need; and of a compressed one.
    const PLAIN: u32 = 0x1c84_9313;
    pub(super) const COMPRESSED: u32 = 0x1c84_9314;

    pub(super) fn encoded(hdr: &Hdr<u64>) -> Option<Vec<u8>> {
        let counts = counts(hdr);
        let mut bytes = PLAIN.to_be_bytes().to_vec();
        bytes.extend(u32::try_from(counts.len()).ok()?.to_be_bytes());
        bytes.extend(0_u32.to_be_bytes());
        bytes.extend(u32::from(DIGITS).to_be_bytes());
        bytes.extend(1_u64.to_be_bytes());
        bytes.extend(LONGEST_NS.to_be_bytes());
        bytes.extend(1.0_f64.to_bits().to_be_bytes());
        bytes.extend(counts);
        Some(bytes)
    }

    /// Each count up to the last that is not none; a run of none is one negative number.
    fn counts(hdr: &Hdr<u64>) -> Vec<u8> {
        let (mut bytes, mut none) = (Vec::new(), 0_i64);
        for value in hdr.iter_all() {
            match i64::try_from(value.count_at_value()).unwrap_or(i64::MAX) {
                0 => none += 1,
                count => {
                    if none > 0 {
                        zigzag(&mut bytes, if none == 1 { 0 } else { -none });
                    }
                    zigzag(&mut bytes, count);
                    none = 0;
                }
            }
        }
        bytes
    }

    /// Zigzag and seven bits a byte; the ninth byte holds eight.
    fn zigzag(bytes: &mut Vec<u8>, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        for _ in 0..8 {
            let [low, ..] = rest.to_le_bytes();
            if rest < 0x80 {
                bytes.push(low);
                return;
            }
            bytes.push(low | 0x80);
            rest >>= 7;
        }
        bytes.push(rest.to_le_bytes()[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::ZlibDecoder;
    use speedysvc_protocol::stats::buckets::bucket_of;
    use std::io::Read as _;

    fn of(times: &[(u64, u64)]) -> Histogram {
        let mut histogram = Histogram::default();
        times.iter().for_each(|(ns, count)| histogram.add(bucket_of(*ns), *count));
        histogram
    }

    #[test]
    fn a_distribution_ends_with_everything() {
        let text = hgrm(&of(&[(1_000, 99), (5_000_000, 1)]));
        assert!(text.contains("       Value     Percentile TotalCount 1/(1-Percentile)"), "{text}");
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with(' ') && line.contains("0.")).collect();
        assert!(rows[0].trim().starts_with("1.0"), "{text}");
        assert!(text.contains("Total count    =          100]"), "{text}");
        assert!(!hgrm(&of(&[])).is_empty());
    }

    #[test]
    fn a_log_holds_what_its_intervals_held() {
        let text = hlog(&[(1_000, 60, of(&[(64, 3), (70, 1)])), (1_060, 60, of(&[]))]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "an empty interval has no line");
        assert!(lines[3].starts_with("1000.000,60.000,0.000,HISTFAAA"), "{}", lines[3]);
        let bytes = STANDARD.decode(lines[3].rsplit(',').next().unwrap()).unwrap();
        let mut plain = Vec::new();
        ZlibDecoder::new(&bytes[8..]).read_to_end(&mut plain).unwrap();
        // 64 zeros, 3 times 64 ns, 5 zeros, once 70 ns.
        assert_eq!(plain[40..], [0x7f, 6, 9, 2]);
    }
}
