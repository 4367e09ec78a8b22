//! A row with real processes.

use std::time::Duration;

use anyhow::{Context, Result};

use super::campaign::Executor;
use super::helper::Helper;
use super::interrupt::Interrupt;
use super::server::{Server, cpu_arguments, shape_arguments};
use crate::contender::{self, Contender, Shape};
use crate::measure::job::{Cpus, Length, Outcome};
use crate::measure::task::Task;
use crate::stats::plan::Row;

/// Beyond the row's own time, how long a client may take to start, to be probed and to end.
const OVERHEAD: Duration = Duration::from_secs(30);

/// How long one more connection, or its first call, may take.
const CONNECTS: Duration = Duration::from_millis(10);

/// Starts a server and a client for each row, and ends both.
pub(crate) struct Real {
    /// Where they are pinned.
    pub(crate) cpus: Option<Cpus>,
    /// As [`Job::own_cores`](crate::measure::job::Job::own_cores).
    pub(crate) own_cores: Option<f64>,
    /// How long each client runs.
    pub(crate) length: Length,
    /// Ctrl-C.
    pub(crate) interrupt: Interrupt,
}

impl Real {
    /// One row.
    ///
    /// # Errors
    /// When a process cannot be started, fails, takes too long, or gives a wrong answer.
    pub(crate) fn row(&self, contender: &dyn Contender, shape: Shape, task: Task) -> Result<Outcome> {
        let server = Server::start(contender, shape, self.cpus.map(|cpus| cpus.server), &self.interrupt)?;
        let length = self.length(task);
        let mut arguments = self.arguments(contender, shape, &server, length);
        arguments.extend(["--task".into(), serde_json::to_string(&task)?]);
        let mut client = Helper::start(contender.program(), &arguments)?;
        let line = client.line(longest(length, shape), &self.interrupt).context("the client")?;
        let json = line.strip_prefix("outcome ").with_context(|| format!("the client said `{line}`"))?;
        Ok(serde_json::from_str(json)?)
    }

    fn arguments(&self, contender: &dyn Contender, shape: Shape, server: &Server, length: Length) -> Vec<String> {
        let mut arguments: Vec<String> = vec!["drive".into(), contender.name().into(), server.address.clone()];
        arguments.extend(shape_arguments(shape));
        let numbers: Vec<String> = server.processes.iter().map(u32::to_string).collect();
        arguments.extend(["--server".into(), numbers.join(",")]);
        arguments.extend(cpu_arguments(self.cpus.map(|cpus| cpus.client)));
        if let Some(cpus) = self.cpus {
            arguments.extend(["--server-cpu".into(), cpus.server.to_string()]);
        }
        if let Some(own) = self.own_cores {
            arguments.extend(["--own-cores".into(), own.to_string()]);
        }
        match length {
            Length::Checked(calls) => arguments.extend(["--calls".into(), calls.to_string()]),
            Length::Timed { warm_up, span } => {
                arguments.extend(["--warm-up-ms".into(), warm_up.as_millis().to_string()]);
                arguments.extend(["--span-ms".into(), span.as_millis().to_string()]);
            }
        }
        arguments
    }

    /// A scenario may have a span of its own.
    fn length(&self, task: Task) -> Length {
        match (self.length, task.span_ms) {
            (Length::Timed { warm_up, .. }, Some(ms)) => Length::Timed { warm_up, span: Duration::from_millis(ms) },
            (length, _) => length,
        }
    }
}

fn longest(length: Length, shape: Shape) -> Duration {
    let connections = CONNECTS * u32::try_from(shape.connections).unwrap_or(u32::MAX);
    match length {
        Length::Checked(_) => OVERHEAD + connections,
        Length::Timed { warm_up, span } => OVERHEAD + connections + warm_up + span,
    }
}

impl Executor for Real {
    fn run(&mut self, row: &Row) -> Result<Outcome, String> {
        let run = contender::find(&row.contender).and_then(|contender| self.row(contender, row.shape, row.task));
        run.map_err(|error| format!("{error:#}"))
    }
}
