//! Whole reports of contenders whose answers are known.

mod against;
mod markup;
mod page;
mod ratios;

use crate::contender::Group;
use crate::experiment::{self, Experiment};
use crate::machine::Machine;
use crate::measure::accounts::Usage;
use crate::measure::job::{Cpus, Outcome};
use crate::report::{Absent, FORMAT, Present, Report};
use crate::stats::analysis::{self, Done};
use crate::stats::latency;
use crate::stats::plan::{self, Row, Scenario};

const NEAR: f64 = 95.0;
const FAR: f64 = 400.0;

/// A contender of a fake campaign; one whose half-way latency is 0 makes no calls.
#[derive(Clone)]
struct Fake {
    name: &'static str,
    group: Group,
    p50: u64,
}

const fn fake(name: &'static str, group: Group, p50: u64) -> Fake {
    Fake { name, group, p50 }
}

/// A floor, a plain socket and two of ours, one of which the plain socket beats.
fn usual() -> Vec<Fake> {
    vec![
        fake("floor-spin", Group::Floor, 100),
        fake("std-tcp", Group::Plain, 30_000),
        fake("speedysvc-shm", Group::Ours, 600),
        fake("speedysvc-tcp", Group::Ours, 40_000),
    ]
}

/// A little more or less in each round, alike for all; in every second one others are on the cores.
fn outcome(fake: &Fake, row: &Row, distance: f64) -> Outcome {
    let sharing = [Some(if row.round.is_multiple_of(2) { 0.29 } else { 0.43 }); 2];
    let probes = Outcome { probe_before: Some(distance), probe_after: Some(distance), sharing, ..Outcome::default() };
    if fake.p50 == 0 {
        return Outcome { seconds: 1.0, ..probes };
    }
    let mut histogram = latency::empty();
    let p50 = fake.p50 + fake.p50 * (row.round as u64 % 3) / 100;
    histogram.saturating_record_n(p50, 9_900);
    histogram.saturating_record_n(p50 * 3, 100);
    let cpu = Usage { cpu_ns: p50 * 5_000, ..Usage::default() };
    Outcome {
        calls: histogram.len(),
        seconds: p50 as f64 / 1e5,
        latencies: latency::pairs(&histogram),
        client: cpu,
        server: cpu,
        ..probes
    }
}

fn experiment() -> Experiment {
    let all = experiment::all().expect("they are tested");
    all.into_iter().find(|experiment| experiment.name == "round-trip-32b").expect("it is there")
}

fn scenario(fakes: &[Fake]) -> Scenario {
    let experiment = experiment();
    Scenario {
        name: experiment.name.clone(),
        shape: experiment.shape(),
        task: experiment.task(),
        contenders: fakes.iter().map(|fake| fake.name.to_owned()).collect(),
        references: vec![experiment.floor.clone(), experiment.plain.clone()],
    }
}

/// A campaign in which everybody is as said.
fn campaign(fakes: &[Fake], rounds: usize, distance: f64) -> (Report, Vec<Done>) {
    let scenario = scenario(fakes);
    let rows = plan::rows(std::slice::from_ref(&scenario), rounds);
    let done = rows.iter().zip(0_u32..).filter_map(|(row, number)| {
        let fake = fakes.iter().find(|fake| fake.name == row.contender)?;
        Some(Done { row: row.clone(), begun: f64::from(number), outcome: Ok(outcome(fake, row, distance)) })
    });
    let done: Vec<Done> = done.collect();
    (report(fakes, experiment(), &scenario, &done, rounds), done)
}

fn report(fakes: &[Fake], experiment: Experiment, scenario: &Scenario, done: &[Done], rounds: usize) -> Report {
    let distances = analysis::distances(done);
    let present = fakes.iter().map(|fake| Present {
        contender: fake.name.into(),
        group: fake.group,
        version: "1".into(),
        what: format!("{} & <co>", fake.name),
    });
    Report {
        format: FORMAT,
        harness: "bench-harness 0".into(),
        command: "bench-harness compare --peers '<b>'".into(),
        begun: "2026-11-24T00:00:00Z".into(),
        ended: "2026-11-24T00:02:00Z".into(),
        warnings: vec!["1 < 2".into()],
        machine: Machine { facts: vec![("processor".into(), "A & B".into())] },
        cpus: Cpus { server: 0, client: 1 },
        rounds,
        warm_up_ms: 150,
        span_ms: 300,
        rows_wanted: done.len(),
        rows_run: done.len(),
        present: present.collect(),
        absent: vec![Absent { contender: "tonic".into(), why: "not built: run `x > y`".into() }],
        distances: (0..distances.count()).filter_map(|kind| distances.range(kind)).collect(),
        compared: vec![analysis::compare(scenario, done, &distances)],
        scenarios: vec![experiment],
        baseline: None,
    }
}
