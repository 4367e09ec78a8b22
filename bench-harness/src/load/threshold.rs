//! `p99<1ms`, `errors<0.1%`, `rate>19k`: what a run must keep.

use std::fmt;

use speedysvc_config::units::parse_duration;

use super::rate;
use super::summary::Summary;
use crate::report::numbers::{count, digits, time};

const EXPECTED: &str = "expected a threshold such as 'p99<1ms', 'max<50ms', 'errors<0.1%' or 'rate>19k'";

/// What is limited.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Limit {
    /// The latency of this part of the calls, counted from when they were due, is below so many nanoseconds.
    Latency { quantile: f64, ns: f64 },
    /// The part of calls that failed or were not sent is below this.
    Errors(f64),
    /// More calls are answered in a second.
    Rate(f64),
}

/// One of them, with its text.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Threshold {
    text: String,
    limit: Limit,
}

/// What came of a threshold.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Judged {
    pub(crate) is_kept: bool,
    /// The threshold, and the figure.
    text: String,
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_kept { "kept" } else { "MISSED" };
        write!(f, "{word}: {}", self.text)
    }
}

/// Reads a threshold.
///
/// # Errors
/// What to write instead.
pub(crate) fn parse(text: &str) -> Result<Threshold, String> {
    let at = text.find(['<', '>']).ok_or(EXPECTED)?;
    let (name, rest) = (text[..at].trim(), text[at..].trim());
    let is_below = rest.starts_with('<');
    let value = rest[1..].trim();
    if let Some(value) = value.strip_prefix('=') {
        return Err(format!("write '{name}{}{}': no two latencies are equal", &rest[..1], value.trim()));
    }
    let must_be = |wanted: bool, sign: char| {
        if is_below == wanted {
            Ok(())
        } else {
            Err(format!("a good {name} is on the other side: write '{name}{sign}{value}'"))
        }
    };
    let limit = match name {
        "errors" => must_be(true, '<').and_then(|()| errors(value))?,
        "rate" => must_be(false, '>').and_then(|()| rate::parse(value).map(Limit::Rate))?,
        _ => {
            let quantile = quantile(name)?;
            must_be(true, '<')?;
            let time = parse_duration(value).map_err(|error| error.to_string())?;
            Limit::Latency { quantile, ns: time.as_secs_f64() * 1e9 }
        }
    };
    Ok(Threshold { text: text.to_owned(), limit })
}

fn quantile(name: &str) -> Result<f64, String> {
    if name == "max" {
        return Ok(1.0);
    }
    let percent = name.strip_prefix('p').and_then(|digits| digits.parse::<f64>().ok());
    match percent {
        // Exactly what the decimal says: 99.9 / 100 is a little more than 0.999.
        Some(percent) if percent > 0.0 && percent < 100.0 => Ok((percent * 1e6).round() / 1e8),
        _ => Err(format!("there is no figure `{name}`; {EXPECTED}")),
    }
}

fn errors(value: &str) -> Result<Limit, String> {
    let percent = value.strip_suffix('%').and_then(|digits| digits.trim().parse::<f64>().ok());
    match percent {
        Some(percent) if percent > 0.0 && percent <= 100.0 => Ok(Limit::Errors(percent / 100.0)),
        _ => Err("expected a part of the calls above 0%, such as 'errors<0.1%'".into()),
    }
}

impl Threshold {
    /// Whether a run kept it. A percentile that the run has too few calls for is not kept: nobody knows it.
    pub(crate) fn judge(&self, summary: &Summary) -> Judged {
        let (is_kept, found) = match self.limit {
            Limit::Latency { quantile, ns } => match summary.corrected_at(quantile) {
                Some(found) => (found < ns, format!("it was {}", time(found))),
                None => (false, "too few calls to know it".into()),
            },
            Limit::Errors(part) => {
                let found = summary.failed_part;
                (found < part, format!("{}% failed or were not sent", digits(found * 100.0)))
            }
            Limit::Rate(rate) => (summary.rate_achieved > rate, format!("it was {}/s", count(summary.rate_achieved))),
        };
        Judged { is_kept, text: format!("{}: {found}", self.text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(text: &str) -> Limit {
        parse(text).unwrap().limit
    }

    #[test]
    fn thresholds_as_people_write_them() {
        assert_eq!(limit("p99<1ms"), Limit::Latency { quantile: 0.99, ns: 1e6 });
        assert_eq!(limit("p99.9 < 500us"), Limit::Latency { quantile: 0.999, ns: 5e5 });
        assert_eq!(limit("max<2s"), Limit::Latency { quantile: 1.0, ns: 2e9 });
        assert_eq!(limit("errors<0.1%"), Limit::Errors(0.001));
        assert_eq!(limit("rate>19k"), Limit::Rate(19_000.0));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let said = |text| parse(text).unwrap_err();
        for text in ["p99", "", "x<1ms", "p0<1ms", "p100<1ms", "<1ms"] {
            assert!(said(text).contains("'p99<1ms'"), "{text}: {}", said(text));
        }
        assert!(said("p99>1ms").contains("write 'p99<1ms'"));
        assert!(said("rate<19k").contains("write 'rate>19k'"));
        assert!(said("p99<=1ms").contains("write 'p99<1ms'"));
        assert!(said("p99<1").contains("30s"), "{}", said("p99<1"));
        assert!(said("errors<0.001").contains("errors<0.1%"));
        assert!(said("errors<0%").contains("above 0%"));
    }
}
