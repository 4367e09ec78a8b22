//! `compare`: the campaign.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::report::Before;
use crate::arguments::Compare;
use crate::contender::{self, Contender};
use crate::experiment::{self, Experiment};
use crate::machine::{IdlePolling, Machine};
use crate::measure::job::{Cpus, Length};
use crate::measure::{cpus, sharing};
use crate::report::progress::Progress;
use crate::report::{self, Absent, Present, Report, missing};
use crate::run::campaign;
use crate::run::interrupt::{self, Interrupt};
use crate::run::real::Real;
use crate::stats::analysis::{self, Done};
use crate::stats::plan::{self, Row, Scenario};
use crate::stats::sharing::Sharing;

const ROUNDS: u16 = 10;
const QUICK_ROUNDS: u16 = 5;
const QUICK: [&str; 7] =
    ["floor-spin", "floor-one-area", "std-tcp", "std-unix", "axum-raw", "speedysvc-shm", "speedysvc-tcp"];
const WARM_UP: Duration = Duration::from_millis(150);
/// About what starting, probing and ending two processes takes, for the estimate.
const OVERHEAD_MS: u64 = 150;
/// And about what one of many connections takes.
const CONNECT_US: u64 = 200;

pub(crate) fn run(what: &Compare) -> Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let before = Before::read(&what.baseline)?;
    let cpus = two_processors()?;
    let experiments = experiment::choose(&what.scenario, what.quick)?;
    let (present, absent) = contenders(what, &experiments)?;
    let scenarios: Vec<Scenario> = experiments.iter().map(|experiment| scenario(experiment, &present)).collect();
    let rounds = what.rounds.unwrap_or(if what.quick { QUICK_ROUNDS } else { ROUNDS });
    let rows = plan::rows(&scenarios, rounds.into());
    let folder = what.out.clone().unwrap_or_else(|| PathBuf::from("bench-results").join(date_for_a_path()));
    let _polling = if what.idle_poll { Some(IdlePolling::hold().context(IDLE_POLL)?) } else { None };
    estimate(&rows, what.span_ms);

    let begun = crate::date::now();
    let machine = Machine::here();
    let length = Length::Timed { warm_up: WARM_UP, span: Duration::from_millis(what.span_ms) };
    let own_cores = if what.own_cores { own_cores(cpus).context("the cores cannot be probed")? } else { None };
    let mut real = Real { cpus: Some(cpus), own_cores, length, interrupt: interrupt.clone() };
    let progress = Progress::new(rows.len());
    let done = campaign::run(&rows, &mut real, &|| interrupt.has_come(), &mut |done, row| progress.before(done, row));
    progress.end();

    let distances = analysis::distances(&done);
    let compared = scenarios.iter().map(|scenario| analysis::compare(scenario, &done, &distances)).collect();
    let mut report = Report {
        format: report::FORMAT,
        harness: format!("bench-harness {}", env!("CARGO_PKG_VERSION")),
        command: env::args().collect::<Vec<_>>().join(" "),
        begun,
        ended: crate::date::now(),
        warnings: warnings(&rows, &done, interrupt.has_come()),
        machine,
        cpus,
        rounds: rounds.into(),
        warm_up_ms: millis(WARM_UP),
        span_ms: what.span_ms,
        rows_wanted: rows.len(),
        rows_run: done.len(),
        present: present.iter().map(|contender| presence(*contender)).collect(),
        absent,
        distances: (0..distances.count()).filter_map(|kind| distances.range(kind)).collect(),
        scenarios: experiments,
        compared,
        baseline: None,
    };
    if let Some(before) = &before {
        before.judge(&mut report);
    }
    // The folder first: a terminal that has gone must not cost the results.
    report::write(&folder, &report, &done)?;
    say(&report, &folder)?;
    // What was interrupted or failed is no verdict.
    let code = ended(&done, interrupt.has_come());
    Ok(code.or_else(|| before?.code(&report)).unwrap_or(ExitCode::SUCCESS))
}

const IDLE_POLL: &str = "--idle-poll needs to write /dev/cpu_dma_latency: run as root, or leave it out";

/// The most that cores of one's own show.
fn own_cores(cpus: Cpus) -> Result<Option<f64>> {
    Ok(Sharing::of(sharing::looks(cpus)?.into_iter()).map(|sharing| sharing.own()))
}

fn ended(done: &[Done], is_interrupted: bool) -> Option<ExitCode> {
    match (is_interrupted, done.iter().any(|done| done.outcome.is_err())) {
        (true, _) => Some(ExitCode::from(interrupt::CODE)),
        (false, true) => Some(ExitCode::FAILURE),
        (false, false) => None,
    }
}

fn two_processors() -> Result<Cpus> {
    match cpus::allowed()?.as_slice() {
        [server, client, ..] => Ok(Cpus { server: *server, client: *client }),
        _ => bail!("`compare` pins server and client to one processor each, and there is only one for this process"),
    }
}

/// Those who take part, and those who were asked for and cannot. References always take part.
fn contenders(what: &Compare, experiments: &[Experiment]) -> Result<(Vec<&'static dyn Contender>, Vec<Absent>)> {
    for name in &what.peers {
        contender::find(name)?;
    }
    let is_reference = |name: &str| experiments.iter().any(|wanted| wanted.floor == name || wanted.plain == name);
    let is_wanted = |name: &str| match (what.peers.is_empty(), what.quick) {
        (false, _) => what.peers.iter().any(|peer| peer == name) || is_reference(name),
        (true, true) => QUICK.contains(&name) || is_reference(name),
        (true, false) => true,
    };
    let (mut present, mut absent) = (vec![], vec![]);
    for contender in contender::ALL.iter().filter(|contender| is_wanted(contender.name())) {
        match contender.missing() {
            None => present.push(*contender),
            Some(why) => absent.push(Absent { contender: contender.name().into(), why }),
        }
    }
    let not_yet = contender::NOT_YET.iter().filter(|_| what.peers.is_empty());
    absent.extend(not_yet.map(|(name, _)| Absent { contender: (*name).into(), why: "not yet".into() }));
    Ok((present, absent))
}

fn scenario(experiment: &Experiment, present: &[&dyn Contender]) -> Scenario {
    let taking = present.iter().filter(|contender| experiment.is_for(**contender));
    let contenders: Vec<String> = taking.map(|contender| contender.name().to_owned()).collect();
    let references = [&experiment.floor, &experiment.plain];
    let references = references.into_iter().filter(|name| contenders.contains(name)).cloned().collect();
    let (name, shape, task) = (experiment.name.clone(), experiment.shape(), experiment.task());
    Scenario { name, shape, task, contenders, references }
}

fn presence(contender: &dyn Contender) -> Present {
    let (name, group, version, what) = (contender.name(), contender.group(), contender.version(), contender.what());
    Present { contender: name.into(), group, version, what: what.into() }
}

fn warnings(wanted: &[Row], done: &[Done], is_interrupted: bool) -> Vec<String> {
    let mut warnings = vec![];
    if cfg!(debug_assertions) {
        warnings.push("This is a debug build: its figures mean nothing. Build with --release.".into());
    }
    if is_interrupted {
        warnings.push(format!("Interrupted: {} of {} rows are missing.", wanted.len() - done.len(), wanted.len()));
        warnings.extend(missing::lines(wanted, done));
    }
    let failed = done.iter().filter(|done| done.outcome.is_err()).count();
    if failed > 0 {
        warnings.push(format!("{failed} rows failed."));
    }
    warnings
}

fn date_for_a_path() -> String {
    crate::date::now().replace(':', "-")
}

fn estimate(rows: &[Row], span_ms: u64) {
    let connecting = |row: &Row| row.shape.connections as u64 * CONNECT_US / 1000;
    let row = |row: &Row| millis(WARM_UP) + row.task.span_ms.unwrap_or(span_ms) + OVERHEAD_MS + connecting(row);
    let seconds = rows.iter().map(row).sum::<u64>() / 1000;
    let rows = rows.len();
    eprintln!("{rows} rows, about {} min {} s; Ctrl-C ends and writes what there is", seconds / 60, seconds % 60);
}

fn say(report: &Report, folder: &std::path::Path) -> Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{}", report::text(report))?;
    writeln!(out, "\nwritten to {}", folder.display())?;
    Ok(())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
