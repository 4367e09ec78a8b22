//! `crowd`: services and clients that never pause, more of them than processors. Not a row of a campaign: nobody is
//! pinned, as it is about what the scheduler makes of them.

use std::env;
use std::io::{self, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::arguments::Crowd;
use crate::contender::{Engine, OneByOne};
use crate::stats::latency;

/// What a stall is here: a wait for a slice of the scheduler, not for a wake.
const STALL_NS: u64 = 1_000_000;

/// Starts the services, then all clients at once; prints a line for each of them.
pub(crate) fn run(what: &Crowd) -> Result<ExitCode> {
    let engines = (0..what.pairs).map(|_| Engine::echo()).collect::<Result<Vec<Engine>>>()?;
    let own = env::current_exe().context("this program's own path is not known")?;
    let start = |engine: &Engine| -> Result<Child> {
        let mut command = Command::new(&own);
        command.args(["crowd-client", &engine.shm_address("echo"), &what.seconds.to_string()]);
        command.arg(what.timeout_ms.to_string());
        Ok(command.stdin(Stdio::null()).spawn()?)
    };
    let clients = engines.iter().map(start).collect::<Result<Vec<Child>>>()?;
    for mut client in clients {
        ensure!(client.wait()?.success(), "a client failed");
    }
    engines.into_iter().for_each(Engine::stop);
    Ok(ExitCode::SUCCESS)
}

/// One client: blocking calls of 32 bytes, each of them timed.
pub(crate) fn client(address: &str, seconds: f64, timeout: Duration) -> Result<ExitCode> {
    let mut calls = OneByOne::connect(address)?.with_timeout(timeout);
    let (mut all, mut stalled) = (latency::empty(), Duration::ZERO);
    let begin = Instant::now();
    let mut last = begin;
    while last - begin < Duration::from_secs_f64(seconds) {
        calls.call(&[7; 32])?;
        let now = Instant::now();
        let took = now - last;
        let ns = u64::try_from(took.as_nanos())?;
        all.saturating_record(ns);
        if ns > STALL_NS {
            stalled += took;
        }
        last = now;
    }
    let us = |quantile| all.value_at_quantile(quantile) as f64 / 1e3;
    let share = 100.0 * stalled.as_secs_f64() / (last - begin).as_secs_f64();
    writeln!(
        io::stdout(),
        "{} calls; p50 {:.2}, p99 {:.1}, p99.9 {:.1}, p99.99 {:.1}, longest {:.0} us; \
         in calls over 1 ms {share:.2} % of the time",
        all.len(),
        us(0.5),
        us(0.99),
        us(0.999),
        us(0.9999),
        all.max() as f64 / 1e3
    )?;
    Ok(ExitCode::SUCCESS)
}
