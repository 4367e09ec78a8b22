//! Interval logs, format 1.3.

use std::io::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use hdrhistogram::Histogram;

use crate::as_float;

/// Version 2 of the encoding, with words of up to 9 bytes; bare, and compressed.
const COOKIE: u32 = 0x1C84_9313;
const COOKIE_COMPRESSED: u32 = 0x1C84_9314;

/// One line of a log.
#[derive(Clone, Copy, Debug)]
pub struct Interval<'h> {
    /// When it began, in seconds since 1970.
    pub begun: f64,
    /// Its length in seconds.
    pub seconds: f64,
    /// Times in nanoseconds.
    pub histogram: &'h Histogram<u64>,
}

/// The log's text. `when` says in words when it begins, for people; it may be empty.
///
/// # Errors
/// When a histogram's counts take 4 GiB or more.
pub fn hlog(intervals: &[Interval<'_>], when: &str) -> io::Result<String> {
    let start = intervals.first().map_or(0.0, |interval| interval.begun);
    let when = if when.is_empty() { String::new() } else { format!(", {when}") };
    let mut text = "#[Histogram log format version 1.3]\n".to_owned();
    text.push_str(&format!("#[StartTime: {start:.3} (seconds since epoch){when}]\n"));
    text.push_str(&format!("#[BaseTime: {start:.3} (seconds since epoch)]\n"));
    text.push_str("\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n");
    for Interval { begun, seconds, histogram } in intervals {
        // The longest is in milliseconds, as the tools' own unit is; the histogram stays in nanoseconds.
        let (since, longest) = (begun - start, as_float(histogram.max()) / 1e6);
        let payload = STANDARD.encode(compressed(&encoded(histogram)?)?);
        text.push_str(&format!("{since:.3},{seconds:.3},{longest:.3},{payload}\n"));
    }
    Ok(text)
}

fn compressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(vec![], Compression::default());
    encoder.write_all(bytes)?;
    with_length(COOKIE_COMPRESSED, &[], &encoder.finish()?)
}

fn encoded(histogram: &Histogram<u64>) -> io::Result<Vec<u8>> {
    let rest = [
        &0_u32.to_be_bytes()[..], // the offset of normalized values: none
        &u32::from(histogram.sigfig()).to_be_bytes(),
        &histogram.low().to_be_bytes(),
        &histogram.high().to_be_bytes(),
        &1_f64.to_be_bytes(), // one unit is one
    ];
    with_length(COOKIE, &rest.concat(), &counts(histogram))
}

/// A cookie, the length of the body, what else the head has, the body.
fn with_length(cookie: u32, head: &[u8], body: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(body.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    Ok([&cookie.to_be_bytes()[..], &length.to_be_bytes(), head, body].concat())
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
    use std::io::Read as _;

    use flate2::read::ZlibDecoder;

    use super::*;

    fn of(times: &[(u64, u64)]) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        times.iter().for_each(|(ns, count)| histogram.record_n(*ns, *count).unwrap());
        histogram
    }

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
        // 3; one zero; 1; three zeros; 5.
        assert_eq!(counts(&of(&[(0, 3), (2, 1), (6, 5)])), [6, 0, 2, 5, 10]);
    }

    #[test]
    fn a_line_holds_the_encoded_histogram() {
        let histogram = of(&[(1_000, 7)]);
        let interval = |begun| Interval { begun, seconds: 0.3, histogram: &histogram };
        let text = hlog(&[interval(1_795_478_399.25), interval(1_795_478_400.5)], "before midnight").unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "#[Histogram log format version 1.3]");
        assert_eq!(lines[1], "#[StartTime: 1795478399.250 (seconds since epoch), before midnight]");
        assert_eq!(lines[2], "#[BaseTime: 1795478399.250 (seconds since epoch)]");
        assert!(lines[4].starts_with("0.000,0.300,0.001,HISTFAAA") && lines[5].starts_with("1.250,0.300,"), "{text}");
        let payload = STANDARD.decode(lines[5].rsplit(',').next().unwrap()).unwrap();
        assert_eq!(payload[4..8], u32::try_from(payload.len() - 8).unwrap().to_be_bytes());
        let mut body = vec![];
        ZlibDecoder::new(&payload[8..]).read_to_end(&mut body).unwrap();
        assert_eq!(body, encoded(&histogram).unwrap());
        assert_eq!(body[4..8], u32::try_from(body.len() - 40).unwrap().to_be_bytes());
        let head = [3_u64.to_be_bytes(), 1_u64.to_be_bytes(), 60_000_000_000_u64.to_be_bytes()].concat();
        assert_eq!((&body[12..32], &body[32..40]), (&head[4..], &1_f64.to_be_bytes()[..]));
    }
}
