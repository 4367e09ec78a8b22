//! `load`: calls at a rate, and what came of them.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use speedysvc::untyped::{self, Method, Reply};
use speedysvc_hdr::hgrm;

use crate::load::arguments::Load;
use crate::load::body;
use crate::load::summary::{Asked, Summary};
use crate::measure::{accounts, descriptors};
use crate::open::log::Log;
use crate::open::pool::{self, Lane, Plan};
use crate::open::schedule::{Due, Schedule};
use crate::open::{Caller, Failed, time};
use crate::run::interrupt::{self, Interrupt};

const USAGE: u8 = 2;
const MISSED: u8 = 3;
const VOID: u8 = 5;
/// What a method's own error is counted as.
const APPLICATION: Failed = "the method's own error";

pub(crate) fn run(what: &Load) -> Result<ExitCode> {
    if let Err(error) = untyped::check_address(&what.address) {
        eprintln!("bench-harness: {}", error.message());
        return Ok(ExitCode::from(USAGE));
    }
    if let Err(error) = serde_json::from_str::<serde_json::Value>(&what.json) {
        eprintln!("bench-harness: --json: {error}; a text needs quotes, as in '\"Hello\"'");
        return Ok(ExitCode::from(USAGE));
    }
    let interrupt = Interrupt::listen()?;
    descriptors::raise_limit();
    let callers = connect(what)?;
    let asked = asked(what, callers[0].body.len());
    let plan = Plan { seconds: asked.seconds, spin: time::spin(what.rate), is_ended: &|| interrupt.has_come() };
    let calls = Schedule::new(what.arrivals, what.rate, asked.seconds, what.seed);
    let own = [std::process::id()];
    let ran = pool::run(vec![Lane { callers, calls }], &plan, || Ok(accounts::usage(&own)?))?;
    let summary = Summary::new(asked, &ran.log, ran.after - ran.before, interrupt.has_come());
    if let Some(folder) = &what.out {
        write(folder, &summary, &ran.log)?;
    }
    say(what, &summary)
}

fn asked(what: &Load, body_bytes: usize) -> Asked {
    Asked {
        address: what.address.clone(),
        method: what.method.clone(),
        rate: what.rate,
        arrivals: what.arrivals,
        seed: what.seed,
        connections: what.connections.into(),
        body_bytes,
        seconds: what.duration.as_secs_f64(),
        lag_max: what.max_lag,
    }
}

/// One connection, as the pool uses it.
struct ByName {
    method: Method,
    body: Vec<u8>,
}

impl Caller for ByName {
    fn call(&mut self, _: Due) -> Result<(), Failed> {
        match self.method.call(&self.body) {
            Ok(Reply::Ok(_)) => Ok(()),
            Ok(Reply::Application(_)) => Err(APPLICATION),
            Err(error) => Err(error.code().name()),
        }
    }
}

/// All connections. The first makes a call, so that what cannot work says so at once.
fn connect(what: &Load) -> Result<Vec<ByName>> {
    let open = || Method::connect(&what.address, &what.method, what.timeout);
    let first = open()?;
    let body = match what.payload {
        Some(bytes) => body::of_size(&first, bytes)?,
        None => body::checked(&first, &what.json)?,
    };
    let mut callers = vec![ByName { method: first, body: body.clone() }];
    for number in 1..what.connections {
        let method = open().with_context(|| format!("after {number} of {} connections", what.connections))?;
        callers.push(ByName { method, body: body.clone() });
    }
    Ok(callers)
}

fn write(folder: &Path, summary: &Summary, log: &Log) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let files = [
        ("load.json", serde_json::to_string_pretty(summary)? + "\n"),
        ("corrected.hgrm", hgrm(&log.corrected)),
        ("uncorrected.hgrm", hgrm(&log.uncorrected)),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Prints it all; the exit code says what matters most.
fn say(what: &Load, summary: &Summary) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    write!(out, "{}", summary.text())?;
    if cfg!(debug_assertions) {
        writeln!(out, "This is a debug build: its figures mean nothing. Build with --release.")?;
    }
    let judged: Vec<_> = what.threshold.iter().map(|threshold| threshold.judge(summary)).collect();
    for judged in &judged {
        writeln!(out, "{judged}")?;
    }
    if let Some(why) = &summary.void {
        writeln!(out, "VOID: {why}")?;
    }
    if summary.is_interrupted {
        writeln!(out, "interrupted: this is what there was")?;
        return Ok(ExitCode::from(interrupt::CODE));
    }
    Ok(match &summary.void {
        Some(_) => ExitCode::from(VOID),
        None if judged.iter().any(|judged| !judged.is_kept) => ExitCode::from(MISSED),
        None => ExitCode::SUCCESS,
    })
}
