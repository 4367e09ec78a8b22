//! The bench-harness program: speedysvc beside what the bare hardware can do, and beside plain sockets.
//!
//! How it measures stands in `METHOD.md`, why to doubt it in `BIAS.md`. Reading order: `contender` (who is compared),
//! `measure` (one row, in the client's process), `run` (processes, and rows one after the other), `stats` (from rows to
//! what may be said; pure), `report`, and `cmd` with one file per verb.
#![deny(unsafe_code)]

mod arguments;
mod cmd;
mod contender;
mod date;
mod experiment;
#[expect(unsafe_code, reason = "the room: memory that another process writes, and the processor's own counter")]
mod floors;
mod machine;
mod measure;
mod report;
mod run;
mod stats;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Verb};

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Compare(what) => cmd::compare::run(&what),
        Verb::List => cmd::list::run(),
        Verb::Env => cmd::env::run(),
        Verb::Verify(what) => cmd::verify::run(&what),
        Verb::Serve(what) => cmd::serve::run(&what),
        Verb::Drive(what) => cmd::drive::run(&what),
    };
    done.unwrap_or_else(|error| {
        eprintln!("bench-harness: {error:#}");
        ExitCode::FAILURE
    })
}
