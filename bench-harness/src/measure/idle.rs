//! Connections that nobody calls on: what they cost.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::closed::Closed;
use super::found::{Found, figure};
use super::job::{Job, Outcome};
use super::memory;
use crate::contender::Client;
use crate::stats::extra::{Better, Extra, Unit};
use crate::stats::latency;

/// After the last call both sides may go on looking for more, and free what they do not need. None of ours does so for
/// longer than milliseconds.
const SETTLES: Duration = Duration::from_millis(500);
/// Connections from one look at the descriptors to the next...
const LOOK_EVERY: usize = 64;
/// ...for which as many must be left: none takes more than ten, and accounts that are read and libraries have theirs.
const SPARE: u64 = 10 * LOOK_EVERY as u64;

/// Memory of both sides, in bytes.
#[derive(Clone, Copy)]
struct Memory {
    server: u64,
    client: u64,
}

impl Memory {
    fn read(job: &Job) -> Result<Self> {
        let read = |processes: &[u32]| memory::proportional(processes).context("memory cannot be read");
        Ok(Self { server: read(&job.server)?, client: read(&[std::process::id()])? })
    }
}

/// Connects, makes one call on each connection, and watches both sides do nothing.
pub(super) fn run<C: Client>(job: &Job, mut connect: impl FnMut() -> Result<C>, span: Duration) -> Result<Outcome> {
    let before = Memory::read(job)?;
    let count = job.shape.connections;
    let mut clients = Vec::with_capacity(count);
    for number in 0..count {
        match connect() {
            Ok(client) => clients.push(client),
            // The first one says that something is wrong; another that there is a limit, which is an answer.
            Err(error) if number > 0 => {
                return Ok(Outcome::skipped(format!("stopped at {number} connections: {error:#}")));
            }
            Err(error) => return Err(error),
        }
        if number % LOOK_EVERY == 0
            && let Some(why) = near_the_limit(job)?
        {
            return Ok(Outcome::skipped(format!("stopped at {} connections: {why}", number + 1)));
        }
    }
    job.pin()?;
    let mut closed = Closed::new(clients, job.shape, job.task.body);
    closed.check(count as u64)?;
    thread::sleep(SETTLES);
    let after = Memory::read(job)?;
    let mut outcome = job.account(|| {
        thread::sleep(span);
        let found = Found {
            calls: 0,
            seconds: span.as_secs_f64(),
            latencies: latency::empty(),
            extras: memory_figures(before, after, count),
            void: None,
            client: None,
        };
        Ok(found)
    })?;
    outcome.checked = closed.checked();
    let part = |ns: u64| ns as f64 / 1e9 / span.as_secs_f64();
    let cpu = |name, ns| figure(name, Unit::Part, Better::Less, part(ns));
    outcome.extras.extend([cpu("CPU server", outcome.server.cpu_ns), cpu("CPU client", outcome.client.cpu_ns)]);
    Ok(outcome)
}

fn memory_figures(before: Memory, after: Memory, count: usize) -> Vec<Extra> {
    let bytes = |name, value| figure(name, Unit::Bytes, Better::Less, value);
    let mut extras = vec![bytes("server", after.server as f64)];
    if count > 0 {
        let each = |before: u64, after: u64| (after as f64 - before as f64).max(0.0) / count as f64;
        extras.push(bytes("server/connection", each(before.server, after.server)));
        extras.push(bytes("client/connection", each(before.client, after.client)));
    }
    extras
}

/// Which side has hardly any descriptors left, before it finds that out itself. What a connection takes is not
/// foretold: the first ones bring what later ones share.
fn near_the_limit(job: &Job) -> Result<Option<String>> {
    for process in job.server.iter().copied().chain([std::process::id()]) {
        let (open, limit) = memory::descriptors(process)?;
        if open + SPARE > limit {
            let side = if process == std::process::id() { "the client" } else { "the server" };
            return Ok(Some(format!("limit {limit}, and {side} has {open} descriptors")));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_divided_by_the_connections() {
        let (before, after) = (Memory { server: 1_000, client: 500 }, Memory { server: 5_000, client: 400 });
        let values: Vec<f64> = memory_figures(before, after, 4).iter().map(|extra| extra.value).collect();
        assert_eq!(values, [5_000.0, 1_000.0, 0.0]);
        assert_eq!(memory_figures(before, after, 0).len(), 1);
    }
}
