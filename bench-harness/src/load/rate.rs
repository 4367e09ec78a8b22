//! `20k`, `1.5M/s`, `100`: calls in a second, as people write them.

const EXPECTED: &str = "a number of calls in a second, such as 500, 20k or 1.5M/s";
/// More than any machine does.
const RATE_MAX: f64 = 1e9;

/// Reads a rate.
///
/// # Errors
/// What to write instead.
pub(crate) fn parse(text: &str) -> Result<f64, String> {
    let wrong = || format!("expected {EXPECTED}");
    let bare = text.strip_suffix("/s").unwrap_or(text);
    let (digits, factor) = match bare.char_indices().last() {
        Some((at, 'k')) => (&bare[..at], 1e3),
        Some((at, 'M')) => (&bare[..at], 1e6),
        Some((at, 'K' | 'm')) => return Err(format!("{}; did you mean {}?", wrong(), meant(&bare[..at], &bare[at..]))),
        _ => (bare, 1.0),
    };
    if !digits.chars().all(|letter| letter.is_ascii_digit() || letter == '.') {
        return Err(wrong());
    }
    let rate = digits.parse::<f64>().map_err(|_| wrong())? * factor;
    match rate {
        rate if rate <= 0.0 => Err("a rate of 0 makes no calls; expected at least 0.001".into()),
        rate if rate > RATE_MAX => Err(format!("over a billion calls in a second; {}", wrong())),
        rate if rate < 0.001 => Err("less than a call in 1000 seconds; expected at least 0.001".into()),
        rate => Ok(rate),
    }
}

fn meant(digits: &str, unit: &str) -> String {
    format!("{digits}{}", if unit == "K" { "k" } else { "M" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_as_people_write_them() {
        let rates = ["20k", "1.5M/s", "100", "0.5/s", "2k/s"].map(|text| parse(text).unwrap());
        assert_eq!(rates, [20_000.0, 1_500_000.0, 100.0, 0.5, 2_000.0]);
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for text in ["", "k", "/s", "fast", "-5", "1e3", "20 k", "1.2.3", "20k/m"] {
            let said = parse(text).unwrap_err();
            assert!(said.contains("20k"), "{text}: {said}");
        }
        assert!(parse("20K").unwrap_err().ends_with("did you mean 20k?"));
        assert!(parse("3m/s").unwrap_err().ends_with("did you mean 3M?"));
        assert!(parse("0").unwrap_err().contains("makes no calls"));
        assert!(parse("99999M").unwrap_err().contains("over a billion"));
    }
}
