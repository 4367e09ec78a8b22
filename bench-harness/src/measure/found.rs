//! What the measured span of a row gave.

use hdrhistogram::Histogram;

use super::accounts::Usage;
use crate::stats::extra::{Better, Extra, Unit};

pub(crate) struct Found {
    /// Calls that were answered.
    pub(crate) calls: u64,
    pub(crate) seconds: f64,
    pub(crate) latencies: Histogram<u64>,
    /// Figures that only this kind of scenario has.
    pub(crate) extras: Vec<Extra>,
    /// Why the row does not count: its generator did not keep up.
    pub(crate) void: Option<String>,
    /// The client's accounts, when they must be read before its threads end.
    pub(crate) client: Option<Usage>,
}

/// A figure of one row.
pub(crate) fn figure(name: &str, unit: Unit, better: Better, value: f64) -> Extra {
    Extra { name: name.into(), unit, better, value, interval: None }
}

/// A time.
pub(crate) fn nanoseconds(name: &str, better: Better, value: f64) -> Extra {
    figure(name, Unit::Nanoseconds, better, value)
}
