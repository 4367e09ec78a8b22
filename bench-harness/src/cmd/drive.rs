//! `drive`: the client's process of a row. Hidden: `compare` and `verify` start it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::arguments::Drive;
use crate::contender::Contender;
use crate::measure::job::{Cpus, Job, Length, Outcome};
use crate::measure::{descriptors, probe};
use crate::run::parent::Parent;

pub(crate) fn run(what: &Drive, find: impl Fn(&str) -> Result<&'static dyn Contender>) -> Result<ExitCode> {
    Parent.end_with_it_holding(probe::hold_none)?;
    let (line, code) = match drive(what, find) {
        Ok(outcome) => (format!("outcome {}", serde_json::to_string(&outcome)?), ExitCode::SUCCESS),
        Err(error) => (format!("failed {error:#}").replace('\n', "; "), ExitCode::FAILURE),
    };
    Parent.say(&line)?;
    Ok(code)
}

fn drive(what: &Drive, find: impl Fn(&str) -> Result<&'static dyn Contender>) -> Result<Outcome> {
    descriptors::raise_limit();
    let millis = Duration::from_millis;
    let length = match (what.calls, what.span_ms) {
        (Some(calls), _) => Length::Checked(calls),
        (None, span) => Length::Timed { warm_up: millis(what.warm_up_ms), span: millis(span.unwrap_or_default()) },
    };
    let cpus = what.cpu.zip(what.server_cpu).map(|(client, server)| Cpus { server, client });
    let (shape, server, own_cores) = (what.shape.shape(), what.server.clone(), what.own_cores);
    let job = Job { shape, length, cpus, server, own_cores, task: what.task };
    find(&what.name)?.drive(&what.address, &job)
}
