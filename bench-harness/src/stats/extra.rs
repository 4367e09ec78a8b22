//! Figures that only some scenarios have, such as the memory of an idle connection or how late a generator was.

use serde::{Deserialize, Serialize};

use super::absent;
use super::bootstrap::Interval;

/// What a figure is counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    /// A time.
    Nanoseconds,
    /// So many in a second.
    PerSecond,
    /// Memory.
    Bytes,
    /// A part of a whole: 0.5 is half of it.
    Part,
    /// A bare number.
    Count,
}

/// Which of two figures is the better one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Better {
    /// The smaller one.
    Less,
    /// The greater one.
    More,
    /// Neither: it describes, and nobody wins by it.
    Neither,
}

/// One figure of a line. Lines of one scenario that have a figure in common give it the same name, unit and direction.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Extra {
    /// As a column's head: short.
    pub(crate) name: String,
    /// What it is counted in.
    pub(crate) unit: Unit,
    /// Who wins by it.
    pub(crate) better: Better,
    /// The median over rounds that count.
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) value: f64,
    /// Its interval; none for few rounds.
    pub(crate) interval: Option<Interval>,
}
