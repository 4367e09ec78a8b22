//! What a campaign leaves behind: a table to look at, and files to check it by.

mod hgrm;
mod markdown;
mod numbers;
mod summary;
mod table;
mod write;

pub(crate) use summary::table;
pub(crate) use write::write;

use serde::Serialize;

use crate::experiment::Experiment;
use crate::machine::Machine;
use crate::measure::job::Cpus;
use crate::stats::analysis::Compared;

/// A contender that could not take part, and why.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Absent {
    /// Which.
    pub(crate) contender: String,
    /// What to do.
    pub(crate) why: String,
}

/// One contender as it took part.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Present {
    /// Its name.
    pub(crate) contender: String,
    /// Its version.
    pub(crate) version: String,
    /// What it is.
    pub(crate) what: String,
}

/// Everything that is said about a campaign.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// This program's version.
    pub(crate) harness: String,
    /// The exact command.
    pub(crate) command: String,
    /// When it began and ended, UTC.
    pub(crate) begun: String,
    /// As above.
    pub(crate) ended: String,
    /// What must be known before anything is believed.
    pub(crate) warnings: Vec<String>,
    /// The machine.
    pub(crate) machine: Machine,
    /// Where both sides were pinned.
    pub(crate) cpus: Cpus,
    /// Rounds that were wanted.
    pub(crate) rounds: usize,
    /// Milliseconds of each row's warm-up.
    pub(crate) warm_up_ms: u64,
    /// Milliseconds of each row's measured span.
    pub(crate) span_ms: u64,
    /// Rows that were wanted, and rows that were run.
    pub(crate) rows_wanted: usize,
    /// As above.
    pub(crate) rows_run: usize,
    /// Who took part.
    pub(crate) present: Vec<Present>,
    /// Who could not.
    pub(crate) absent: Vec<Absent>,
    /// The ranges of distance that probes found, in nanoseconds.
    pub(crate) distances: Vec<(f64, f64)>,
    /// The scenarios as they are in `experiments/`.
    pub(crate) scenarios: Vec<Experiment>,
    /// What came of them.
    pub(crate) compared: Vec<Compared>,
}
