//! Durations (`30s`, `5ms`, `200us`) and sizes (`64KiB`, `16MiB`, `860B`): a whole number and a unit, no space.
//!
//! Public, so that command lines take the same words as the file.

use std::fmt;
use std::time::Duration;

use crate::ByteSize;

/// Text that is not a duration or a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitError {
    /// What would have been accepted, as the end of the sentence "expected ...".
    pub expected: &'static str,
    /// What was probably meant, ready to paste.
    pub instead: Option<String>,
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.expected)?;
        match &self.instead {
            Some(instead) => write!(f, "; did you mean \"{instead}\"?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UnitError {}

const DURATION: &str = "a whole number and a unit (ns, us, ms, s, m, h), such as \"30s\"";
const SIZE: &str = "a whole number and a unit (B, KiB, MiB, GiB), such as \"64KiB\"";

/// Largest first, in nanoseconds.
const DURATION_UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Largest first, in bytes.
const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// What people write, in lower case, and what it is called here.
const DURATION_NAMES: [(&[&str], &str); 6] = [
    (&["h", "hr", "hrs", "hour", "hours"], "h"),
    (&["m", "min", "mins", "minute", "minutes"], "m"),
    (&["s", "sec", "secs", "second", "seconds"], "s"),
    (&["ms", "msec", "msecs", "millis", "millisecond", "milliseconds"], "ms"),
    (&["us", "µs", "μs", "usec", "micros", "microsecond", "microseconds"], "us"),
    (&["ns", "nsec", "nanos", "nanosecond", "nanoseconds"], "ns"),
];

const SIZE_NAMES: [(&[&str], &str); 4] = [
    (&["g", "gb", "gib", "gig"], "GiB"),
    (&["m", "mb", "mib", "meg"], "MiB"),
    (&["k", "kb", "kib"], "KiB"),
    (&["", "b", "byte", "bytes"], "B"),
];

/// Reads a duration. `"0"` needs no unit.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    exact(text, &DURATION_UNITS).and_then(duration_of_nanos).ok_or_else(|| UnitError {
        expected: DURATION,
        instead: meant(text, &DURATION_UNITS, &DURATION_NAMES).and_then(duration_of_nanos).map(show_duration),
    })
}

/// Writes a duration in the largest unit that loses nothing. [`parse_duration`] reads it back.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let exact = |(_, unit): &&(&str, u64)| nanos.is_multiple_of(u128::from(*unit));
    match DURATION_UNITS.iter().find(exact) {
        Some((name, unit)) if nanos != 0 => format!("{}{name}", nanos / u128::from(*unit)),
        _ => "0".to_owned(),
    }
}

/// Reads a size. Its [`Display`](ByteSize) writes it back.
pub fn parse_size(text: &str) -> Result<ByteSize, UnitError> {
    exact(text, &SIZE_UNITS).and_then(size_of_bytes).ok_or_else(|| UnitError {
        expected: SIZE,
        instead: meant(text, &SIZE_UNITS, &SIZE_NAMES).and_then(size_of_bytes).map(|size| size.to_string()),
    })
}

/// The number of base units, if the text follows the rules to the letter.
fn exact(text: &str, units: &[(&str, u64)]) -> Option<u128> {
    let (number, unit) = split(text)?;
    scale(number, unit, units)
}

fn split(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn scale(number: &str, unit: &str, units: &[(&str, u64)]) -> Option<u128> {
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u128>().ok()?.checked_mul(u128::from(*factor))
}

/// The number of base units, if a person would understand: spaces, long unit names, decimal fractions.
fn meant(text: &str, units: &[(&str, u64)], names: &[(&[&str], &str)]) -> Option<u128> {
    let (whole, rest) = split(text.trim())?;
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => split(rest)?,
        None => ("", rest),
    };
    let said = rest.trim().to_lowercase();
    let (_, unit) = names.iter().find(|(names, _)| names.contains(&said.as_str()))?;
    let scaled = scale(&format!("{whole}{fraction}"), unit, units)?;
    let tenths = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    scaled.is_multiple_of(tenths).then(|| scaled / tenths)
}

fn duration_of_nanos(nanos: u128) -> Option<Duration> {
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    let rest = u32::try_from(nanos % 1_000_000_000).ok()?;
    Some(Duration::new(seconds, rest))
}

fn size_of_bytes(bytes: u128) -> Option<ByteSize> {
    u64::try_from(bytes).ok().map(ByteSize::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_words() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("5ms"), Ok(Duration::from_millis(5)));
        assert_eq!(parse_duration("200us"), Ok(Duration::from_micros(200)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        assert_eq!(parse_size("64KiB"), Ok(ByteSize::kib(64)));
        assert_eq!(parse_size("860B"), Ok(ByteSize::from_bytes(860)));
        assert_eq!(parse_size("16MiB"), Ok(ByteSize::mib(16)));
    }

    #[test]
    fn near_misses_are_understood() {
        let duration = |text| parse_duration(text).unwrap_err().instead;
        assert_eq!(duration("10 s").as_deref(), Some("10s"));
        assert_eq!(duration("10seconds").as_deref(), Some("10s"));
        assert_eq!(duration("1.5s").as_deref(), Some("1500ms"));
        assert_eq!(duration("20µs").as_deref(), Some("20us"));
        assert_eq!(duration("120 Seconds").as_deref(), Some("2m"));
        for hopeless in ["", "s", "-1s", "10", "1e3s", "10parsecs", "0.1ns", "1.s"] {
            assert_eq!(duration(hopeless), None, "{hopeless}");
        }
        let size = |text| parse_size(text).unwrap_err().instead;
        assert_eq!(size("64KB").as_deref(), Some("64KiB"));
        assert_eq!(size("64 mib").as_deref(), Some("64MiB"));
        assert_eq!(size("860").as_deref(), Some("860B"));
        assert_eq!(size("1.5G").as_deref(), Some("1536MiB"));
        assert_eq!(size("99999999999GiB"), None);
    }

    proptest! {
        #[test]
        fn every_duration_comes_back(seconds: u64, nanos in 0..1_000_000_000_u32) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }

        #[test]
        fn every_unit_comes_back(count in 0..1_000_000_u64, unit in 0..DURATION_UNITS.len()) {
            let (name, nanos) = DURATION_UNITS[unit];
            let duration = parse_duration(&format!("{count}{name}")).unwrap();
            prop_assert_eq!(duration.as_nanos(), u128::from(count) * u128::from(nanos));
            prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }

        #[test]
        fn every_size_comes_back(bytes: u64, shift in 0..40_u32) {
            let size = ByteSize::from_bytes(bytes >> shift << shift);
            prop_assert_eq!(parse_size(&size.to_string()), Ok(size));
        }

        #[test]
        fn no_text_panics_and_every_hint_is_good(
            text in ".{0,20}",
            number in "[0-9]{0,30}\\.?[0-9]{0,3} ?[a-zA-Zµ]{0,4}",
        ) {
            for text in [text, number] {
                if let Err(UnitError { instead: Some(instead), .. }) = parse_duration(&text) {
                    prop_assert!(parse_duration(&instead).is_ok(), "{}", instead);
                }
                if let Err(UnitError { instead: Some(instead), .. }) = parse_size(&text) {
                    prop_assert!(parse_size(&instead).is_ok(), "{}", instead);
                }
            }
        }
    }
}
