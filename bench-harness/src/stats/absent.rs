//! Numbers that may be absent: not a number here, `null` in JSON.

use serde::{Deserialize, Deserializer};

/// Reads what `serde_json` makes of a number that is none.
pub(super) fn or_number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
}

/// What a number is that an older program did not write.
pub(super) fn none() -> f64 {
    f64::NAN
}

/// The number, if it is one.
pub(crate) fn known(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
