//! The bench-harness: speedysvc beside what the bare hardware can do, beside plain sockets, and beside other work.
//!
//! How it measures stands in `METHOD.md`, why to doubt it in `BIAS.md`. Reading order: `contender` (who is compared),
//! `measure` (one row, in the client's process), `run` (processes, and rows one after the other), `stats` (from rows to
//! what may be said; pure), `report`, and `cmd` with one file per verb.
//!
//! It is a library so that programs with contenders of their own ([`peers`]) are measured by the same code.
#![deny(unsafe_code)]

mod arguments;
mod cmd;
mod contender;
mod date;
mod experiment;
#[expect(unsafe_code, reason = "the room: memory that another process writes, and the processor's own counter")]
mod floors;
mod load;
mod machine;
mod measure;
mod open;
mod report;
mod run;
mod stats;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

pub use contender::{Client, Contender, Does, Group, Shape};
pub use measure::job::{Job, Outcome};
pub use run::parent::Parent;

use arguments::{Arguments, Peers, PeersVerb, Verb};

/// The program `bench-harness`.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Compare(what) => cmd::compare::run(&what),
        Verb::Report(what) => cmd::report::run(&what),
        Verb::Load(what) => cmd::load::run(&what),
        Verb::Crowd(what) => cmd::crowd::run(&what),
        Verb::CrowdClient { address, seconds, timeout_ms } => {
            cmd::crowd::client(&address, seconds, Duration::from_millis(timeout_ms))
        }
        Verb::List => cmd::list::run(),
        Verb::Env => cmd::env::run(),
        Verb::Verify(what) => cmd::verify::run(&what),
        Verb::Serve(what) => cmd::serve::run(&what, contender::find),
        Verb::Drive(what) => cmd::drive::run(&what, contender::find),
        Verb::Work => Ok(contender::work()),
    };
    code("bench-harness", done)
}

/// A program with contenders of its own, which the harness starts for them: its whole `main`.
#[must_use]
pub fn peers(contenders: &[&'static dyn Contender]) -> ExitCode {
    let find = |name: &str| {
        let found = contenders.iter().find(|contender| contender.name() == name);
        found.copied().ok_or_else(|| anyhow::anyhow!("this program has no contender `{name}`"))
    };
    let done = match Peers::parse().verb {
        PeersVerb::Version { name } => find(&name).map(|contender| {
            println!("{}", contender.version());
            ExitCode::SUCCESS
        }),
        PeersVerb::Serve(what) => cmd::serve::run(&what, find),
        PeersVerb::Drive(what) => cmd::drive::run(&what, find),
    };
    code("bench-peers", done)
}

fn code(program: &str, done: anyhow::Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|error| {
        eprintln!("{program}: {error:#}");
        ExitCode::FAILURE
    })
}
