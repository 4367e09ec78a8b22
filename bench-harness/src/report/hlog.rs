//! A contender's rounds one by one, in HdrHistogram's interval log (format 1.3), which its own tools read and plot.
//!
//! The `hdrhistogram` crate would write it too, but brings an older base64 than the workspace's.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use hdrhistogram::Histogram;

use crate::date;
use crate::measure::clock::round;

/// Version 2 of the encoding, with words of up to 9 bytes; bare, and compressed.
const COOKIE: u32 = 0x1C84_9313;
const COOKIE_COMPRESSED: u32 = 0x1C84_9314;

/// One round that counts.
pub(super) struct Round {
    /// When it began, in seconds since 1970.
    pub(super) begun: f64,
    /// How long was measured, in seconds.
    pub(super) seconds: f64,
    /// Latencies in nanoseconds.
    pub(super) histogram: Histogram<u64>,
}

/// The file's text. Intervals begin when their rows did, which is some 100 ms before the first call that is measured.
///
/// # Errors
/// None in practice: it writes to memory.
pub(super) fn text(rounds: &[Round]) -> io::Result<String> {
    let start = rounds.first().map_or(0.0, |round| round.begun);
    let mut text = "#[Histogram log format version 1.3]\n".to_owned();
    text.push_str(&format!("#[StartTime: {start:.3} (seconds since epoch), {}]\n", date::utc(round(start.floor()))));
    text.push_str(&format!("#[BaseTime: {start:.3} (seconds since epoch)]\n"));
    text.push_str("\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n");
    for Round { begun, seconds, histogram } in rounds {
        // The longest is in milliseconds, as the tools' own unit is; the histogram stays in nanoseconds.
        let (since, longest) = (begun - start, histogram.max() as f64 / 1e6);
        let payload = STANDARD.encode(compressed(&encoded(histogram))?);
        text.push_str(&format!("{since:.3},{seconds:.3},{longest:.3},{payload}\n"));
    }
    Ok(text)
}

fn compressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(vec![], Compression::default());
    encoder.write_all(bytes)?;
    Ok(with_length(&COOKIE_COMPRESSED.to_be_bytes(), &[], &encoder.finish()?))
}

fn encoded(histogram: &Histogram<u64>) -> Vec<u8> {
    let rest = [
        &0_u32.to_be_bytes()[..], // the offset of normalized values: none
        &u32::from(histogram.sigfig()).to_be_bytes(),
        &histogram.low().to_be_bytes(),
        &histogram.high().to_be_bytes(),
        &1_f64.to_be_bytes(), // one unit is one
    ];
    with_length(&COOKIE.to_be_bytes(), &rest.concat(), &counts(histogram))
}

/// A cookie, the length of the body, what else the head has, the body.
fn with_length(cookie: &[u8], head: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a histogram's counts are far below 4 GiB");
    [cookie, &length.to_be_bytes(), head, body].concat()
}

/// Every count up to the last that is not 0; several 0 after each other are one negative number.
fn counts(histogram: &Histogram<u64>) -> Vec<u8> {
    let (mut bytes, mut zeros) = (vec![], 0_i64);
    for value in histogram.iter_all() {
        let count = i64::try_from(value.count_at_value()).unwrap_or(i64::MAX);
        if count == 0 {
            zeros += 1;
            continue;
        }
        match zeros {
            0 => {}
            1 => put(0, &mut bytes),
            _ => put(-zeros, &mut bytes),
        }
        put(count, &mut bytes);
        zeros = 0;
    }
    bytes
}

/// Zigzag, then seven bits a byte, the least first; the ninth byte has eight.
fn put(number: i64, bytes: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::ZlibDecoder;

    use super::*;
    use crate::stats::latency;

    fn bytes_of(number: i64) -> Vec<u8> {
        let mut bytes = vec![];
        put(number, &mut bytes);
        bytes
    }

    #[test]
    fn numbers_are_zigzag_in_at_most_nine_bytes() {
        assert_eq!([bytes_of(0), bytes_of(-1), bytes_of(1), bytes_of(63)], [[0], [1], [2], [126]]);
        assert_eq!([bytes_of(64), bytes_of(-65)], [[0x80, 1], [0x81, 1]]);
        assert_eq!(bytes_of(i64::MIN), [0xFF; 9]);
    }

    #[test]
    fn counts_are_by_index_and_zeros_together() {
        let mut histogram = latency::empty();
        for (value, count) in [(0, 3), (2, 1), (6, 5)] {
            histogram.record_n(value, count).unwrap();
        }
        // 3; one zero; 1; three zeros; 5.
        assert_eq!(counts(&histogram), [6, 0, 2, 5, 10]);
    }

    #[test]
    fn a_line_holds_the_encoded_histogram() {
        let mut histogram = latency::empty();
        histogram.record_n(1_000, 7).unwrap();
        let round = |begun| Round { begun, seconds: 0.3, histogram: histogram.clone() };
        let text = text(&[round(1_795_478_399.25), round(1_795_478_400.5)]).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "#[Histogram log format version 1.3]");
        assert_eq!(lines[1], "#[StartTime: 1795478399.250 (seconds since epoch), 2026-11-23T23:59:59Z]");
        assert!(lines[4].starts_with("0.000,0.300,0.001,HISTFAAA") && lines[5].starts_with("1.250,0.300,"), "{text}");
        let payload = STANDARD.decode(lines[5].rsplit(',').next().unwrap()).unwrap();
        assert_eq!(payload[4..8], u32::try_from(payload.len() - 8).unwrap().to_be_bytes());
        let mut body = vec![];
        ZlibDecoder::new(&payload[8..]).read_to_end(&mut body).unwrap();
        assert_eq!(body, encoded(&histogram));
        assert_eq!(body[4..8], u32::try_from(body.len() - 40).unwrap().to_be_bytes());
    }
}
