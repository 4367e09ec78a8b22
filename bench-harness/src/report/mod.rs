//! What a campaign leaves behind: tables to look at, and files to check them by.

pub(crate) mod baseline;
pub(crate) mod hgrm;
mod html;
mod markdown;
pub(crate) mod missing;
pub(crate) mod numbers;
pub(crate) mod progress;
mod ratios;
mod read;
mod summary;
mod table;
mod terminal;
#[cfg(test)]
mod tests;
mod wins;
mod write;

pub(crate) use read::{curves, read};
pub(crate) use terminal::text;
pub(crate) use write::{pages, write};

use serde::{Deserialize, Serialize};

use crate::contender::Group;
use crate::experiment::Experiment;
use crate::machine::Machine;
use crate::measure::job::Cpus;
use crate::stats::analysis::Compared;
use baseline::Against;

/// What `results.json` looks like; it changes whenever an older program could not read a newer file, or the other way.
pub(crate) const FORMAT: u64 = 1;

/// A contender that could not take part, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Absent {
    /// Which.
    pub(crate) contender: String,
    /// What to do.
    pub(crate) why: String,
}

/// One contender as it took part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Present {
    /// Its name.
    pub(crate) contender: String,
    /// Its kind.
    pub(crate) group: Group,
    /// Its version.
    pub(crate) version: String,
    /// What it is.
    pub(crate) what: String,
}

/// Everything that is said about a campaign.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// [`FORMAT`].
    pub(crate) format: u64,
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
    /// Against an earlier campaign.
    pub(crate) baseline: Option<Against>,
}

impl Report {
    /// A scenario as it was run.
    fn scenario(&self, name: &str) -> Option<&Experiment> {
        self.scenarios.iter().find(|scenario| scenario.name == name)
    }

    /// A contender's kind; plain for one that is not said to have taken part.
    fn group(&self, contender: &str) -> Group {
        let found = self.present.iter().find(|present| present.contender == contender);
        found.map_or(Group::Plain, |present| present.group)
    }
}
