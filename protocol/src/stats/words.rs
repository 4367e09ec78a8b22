//! A service's numbers in one line, for people.

use std::fmt;

use super::table::{MethodCounter, Timing};
use super::{MethodStats, Snapshot};

/// `1,234 calls, 3 errors; handler p50 1.2 µs, p99 8 µs`, and of how many calls when not all were timed.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all_methods().fmt(f)
    }
}

/// As for a [`Snapshot`], of one method.
impl fmt::Display for MethodStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (calls, timed) = (self.counter(MethodCounter::Calls), self.counter(MethodCounter::Timed));
        write!(f, "{}, {}", count(calls, "call"), count(self.errors(), "error"))?;
        let handler = self.times(Timing::Handler);
        let (Some(median), Some(high)) = (handler.percentile(0.5), handler.percentile(0.99)) else { return Ok(()) };
        write!(f, "; handler p50 {}, p99 {}", time(median), time(high))?;
        if timed < calls { write!(f, " ({} timed)", thousands(timed)) } else { Ok(()) }
    }
}

fn count(number: u64, what: &str) -> String {
    format!("{} {what}{}", thousands(number), if number == 1 { "" } else { "s" })
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Two significant digits, as many as there are.
fn time(ns: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let ns = ns as f64;
    let scale = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")].into_iter().find(|(size, _)| ns >= *size * 0.9995);
    let (size, unit) = scale.unwrap_or((1.0, "ns"));
    let number = ns / size;
    let text = if number < 9.95 { format!("{number:.1}") } else { format!("{number:.0}") };
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::super::buckets::bucket_of;
    use super::*;

    #[test]
    fn times_and_numbers_read_well() {
        let times = [63, 850, 999, 1_234, 8_000, 12_345, 999_700, 1_500_000, 3_600_000_000_000].map(time);
        assert_eq!(times, ["63 ns", "850 ns", "999 ns", "1.2 µs", "8 µs", "12 µs", "1 ms", "1.5 ms", "3600 s"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_service_in_one_line() {
        let mut stats = Snapshot::default();
        assert_eq!(stats.to_string(), "0 calls, 0 errors");
        let echo = stats.method_mut("echo");
        (echo.counters[MethodCounter::Calls as usize], echo.counters[MethodCounter::Timed as usize]) = (1, 1);
        echo.times[Timing::Handler as usize].add(bucket_of(1_200), 1);
        assert_eq!(stats.to_string(), "1 call, 0 errors; handler p50 1.2 µs, p99 1.2 µs");
        let sum = stats.method_mut("sum");
        sum.counters[MethodCounter::Calls as usize] = 1_233;
        sum.errors[0] = 3;
        assert_eq!(stats.to_string(), "1,234 calls, 3 errors; handler p50 1.2 µs, p99 1.2 µs (1 timed)");
    }
}
