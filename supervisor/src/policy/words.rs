//! Times and numbers, as people say them.

use std::time::Duration;

/// `100 ms`, `1.6 s`, `30 s`.
pub(crate) fn show(duration: Duration) -> String {
    if duration >= Duration::from_secs(1) {
        let text = format!("{:.1}", duration.as_secs_f64());
        format!("{} s", text.strip_suffix(".0").unwrap_or(&text))
    } else if duration >= Duration::from_millis(1) || duration.is_zero() {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{} µs", duration.as_micros())
    }
}

/// `1 call`, `5 calls`.
pub(crate) fn count(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

#[test]
fn numbers_read_well() {
    assert_eq!(show(Duration::from_millis(100)), "100 ms");
    assert_eq!(show(Duration::from_millis(1600)), "1.6 s");
    assert_eq!(show(Duration::from_secs(30)), "30 s");
    assert_eq!(show(Duration::ZERO), "0 ms");
    assert_eq!(show(Duration::from_micros(20)), "20 µs");
    assert_eq!(count(1, "call"), "1 call");
    assert_eq!(count(0, "call"), "0 calls");
}
