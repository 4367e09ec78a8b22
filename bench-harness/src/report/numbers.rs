//! Numbers as people read them: three digits, and a unit.

use crate::stats::bootstrap::Interval;
use crate::stats::extra::Unit;

/// `102 ns`, `45.1 us`, `1.2 ms`, `2 s`.
pub(crate) fn time(ns: f64) -> String {
    match ns {
        ns if !ns.is_finite() => "-".into(),
        ns if ns < 1e3 => format!("{} ns", digits(ns)),
        ns if ns < 1e6 => format!("{} us", digits(ns / 1e3)),
        ns if ns < 1e9 => format!("{} ms", digits(ns / 1e6)),
        ns => format!("{} s", digits(ns / 1e9)),
    }
}

/// `9.8 M`, `21.8 k`, `130`.
pub(crate) fn count(value: f64) -> String {
    match value {
        value if !value.is_finite() => "-".into(),
        value if value < 1e3 => digits(value),
        value if value < 1e6 => format!("{} k", digits(value / 1e3)),
        value => format!("{} M", digits(value / 1e6)),
    }
}

/// `4.1 KiB`, `12 MiB`.
pub(super) fn bytes(value: f64) -> String {
    match value {
        value if !value.is_finite() => "-".into(),
        value if value < 1024.0 => format!("{} B", digits(value)),
        value if value < 1_048_576.0 => format!("{} KiB", digits(value / 1024.0)),
        value => format!("{} MiB", digits(value / 1_048_576.0)),
    }
}

/// In its unit.
pub(super) fn unit(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Nanoseconds => time(value),
        Unit::PerSecond => count(value) + "/s",
        Unit::Bytes => bytes(value),
        Unit::Part if value == 0.0 => "0 %".into(),
        Unit::Part => part(value),
        Unit::Count => count(value),
    }
}

/// `2.9..3.1`.
pub(super) fn range(interval: &Interval, show: impl Fn(f64) -> String) -> String {
    format!("{}..{}", show(interval.low), show(interval.high))
}

/// A part of a whole: `0.3 %`; nothing when there is none.
pub(crate) fn part(value: f64) -> String {
    match value {
        value if !value.is_finite() => "-".into(),
        value if value <= 0.0 => String::new(),
        value if value < 0.001 => "< 0.1 %".into(),
        value => format!("{} %", digits(value * 100.0)),
    }
}

/// Three significant digits, without zeros at the end.
pub(crate) fn digits(value: f64) -> String {
    let places = match value.abs() {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        value if value >= 0.9995 => 2,
        _ => 3,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let shown = [102.4, 45_123.0, 1_200_000.0, 2e9, f64::NAN].map(time);
        assert_eq!(shown, ["102 ns", "45.1 us", "1.2 ms", "2 s", "-"]);
    }

    #[test]
    fn counts_and_parts() {
        assert_eq!([9_800_000.0, 21_800.0, 130.2, f64::NAN].map(count), ["9.8 M", "21.8 k", "130", "-"]);
        assert_eq!([0.0, 0.000_2, 0.003, 0.5].map(part), ["", "< 0.1 %", "0.3 %", "50 %"]);
        assert_eq!([100.0, 4_198.4, 12_582_912.0].map(bytes), ["100 B", "4.1 KiB", "12 MiB"]);
        assert_eq!([unit(0.0, Unit::Part), unit(2e3, Unit::PerSecond)], ["0 %", "2 k/s"]);
    }

    #[test]
    fn three_digits() {
        assert_eq!(
            [999.6, 100.0, 12.34, 1.234, 0.012_34, 0.0].map(digits),
            ["1000", "100", "12.3", "1.23", "0.012", "0"]
        );
    }
}
