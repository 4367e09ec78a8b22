//! Numbers as people read them.

/// A time in nanoseconds, three digits.
pub(crate) fn duration(ns: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")];
    match UNITS.iter().find(|(size, _)| ns >= *size) {
        Some((size, unit)) => format!("{} {unit}", digits(as_float(ns) / as_float(*size))),
        None => format!("{ns} ns"),
    }
}

/// The same; a dash where there is none.
pub(crate) fn duration_or_dash(ns: Option<u64>) -> String {
    ns.map_or_else(|| "–".to_owned(), duration)
}

/// Three digits, as many of them after the point as there is room for.
pub(crate) fn digits(value: f64) -> String {
    let places = match value.abs() {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.places$}")
}

/// How often a second.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        none if none <= 0.0 => "0".to_owned(),
        few if few < 1_000.0 => digits(few),
        some if some < 1_000_000.0 => format!("{} k", digits(some / 1_000.0)),
        many => format!("{} M", digits(many / 1_000_000.0)),
    }
}

/// A count, in groups of three digits.
pub(crate) fn count(value: u64) -> String {
    let plain = value.to_string();
    let mut text = String::new();
    for (place, digit) in plain.chars().enumerate() {
        if place > 0 && (plain.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size, in powers of 1024.
pub(crate) fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = value.max(0.0);
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0} B") } else { format!("{} {}", digits(value), UNITS[unit]) }
}

/// A share of one, in per cent.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        none if none <= 0.0 => "0 %".to_owned(),
        little if little < 0.01 => "< 0.01 %".to_owned(),
        some => format!("{} %", digits(some)),
    }
}

/// A length of time in seconds, its two largest units.
pub(crate) fn age(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and saturating")]
    let seconds = seconds as u64;
    const UNITS: [(u64, &str); 3] = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let smaller = [("h", 3_600), ("min", 60), ("s", 1)];
    for ((size, unit), (below, step)) in UNITS.iter().zip(smaller) {
        if seconds >= *size {
            return format!("{} {unit} {} {below}", seconds / size, seconds % size / step);
        }
    }
    format!("{seconds} s")
}

/// The time of day in UTC, from microseconds since 1970.
pub(crate) fn clock(time_us: u64) -> String {
    let (seconds, ms) = (time_us / 1_000_000, time_us / 1_000 % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
}

/// `1 worker`, `2 workers`
pub(crate) fn plural(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {one}s", self::count(count)) }
}

/// A number for a drawing or a share.
#[expect(clippy::cast_precision_loss, reason = "for people: sixteen digits are plenty")]
pub(crate) const fn as_float(value: u64) -> f64 {
    value as f64
}

/// A part of a query or a path, so that it stays one whatever is in it.
pub(crate) fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        let durations = [0, 385, 1_250, 12_345, 999_999, 5_000_000, 61_000_000_000].map(duration);
        assert_eq!(durations, ["0 ns", "385 ns", "1.25 µs", "12.3 µs", "1000 µs", "5.00 ms", "61.0 s"]);
        assert_eq!([0.0, 0.25, 12.34, 999.0, 5_890_000.0].map(rate), ["0", "0.25", "12.3", "999", "5.89 M"]);
        assert_eq!([7, 1_234, 1_234_567].map(count), ["7", "1,234", "1,234,567"]);
        assert_eq!([0.0, 1023.0, 1536.0, 3e9].map(bytes), ["0 B", "1023 B", "1.50 KiB", "2.79 GiB"]);
        assert_eq!([0.0, 0.00001, 0.123, 1.0].map(percent), ["0 %", "< 0.01 %", "12.3 %", "100 %"]);
        assert_eq!(
            [5.9, 65.0, 3_700.0, 90_000.0, f64::NAN].map(age),
            ["5 s", "1 min 5 s", "1 h 1 min", "1 d 1 h", "–"]
        );
        assert_eq!(clock(86_400_000_000 + 3_661_002_003), "01:01:01.002");
        assert_eq!([1, 2_000].map(|n| plural(n, "worker")), ["1 worker", "2,000 workers"]);
        assert_eq!(encoded("a b&c=<é>"), "a+b%26c%3D%3C%C3%A9%3E");
    }
}
