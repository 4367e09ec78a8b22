//! The whole way from rows to verdicts, on contenders whose answers are known.

use crate::contender::Shape;
use crate::measure::accounts::Usage;
use crate::measure::job::Outcome;
use crate::measure::task::{Handler, Load, Task};
use crate::run::campaign::{self, Executor};
use crate::stats::analysis::{Compared, Line, compare, distances};
use crate::stats::latency;
use crate::stats::plan::{Row, Scenario, rows};
use crate::stats::random;
use crate::stats::ratio::Verdict;
use crate::stats::voiding::Void;

const NEAR: f64 = 95.0;
const FAR: f64 = 400.0;
const ALONE: f64 = 0.29;
const SHARED: f64 = 0.43;

/// What a fake contender did in a row.
struct Fake {
    /// Half-way latency.
    p50: u64,
    stall: Option<u64>,
    probe: f64,
    sharing: f64,
    involuntary: u64,
    seconds: f64,
    steal_ticks: u64,
    others_ms: u64,
    is_late: bool,
}

impl Default for Fake {
    fn default() -> Self {
        let (seconds, steal_ticks, others_ms) = (1.0, 0, 0);
        Self {
            p50: 1_000,
            stall: None,
            probe: NEAR,
            sharing: ALONE,
            involuntary: 0,
            seconds,
            steal_ticks,
            others_ms,
            is_late: false,
        }
    }
}

/// Calls a function for each row, with its number in the whole campaign.
struct FakeExecutor<F>(usize, F);

impl<F: FnMut(usize, &Row) -> Result<Fake, String>> Executor for FakeExecutor<F> {
    fn run(&mut self, row: &Row) -> Result<Outcome, String> {
        self.0 += 1;
        let fake = (self.1)(self.0 - 1, row)?;
        let mut histogram = latency::empty();
        histogram.record_n(fake.p50, 100_000).map_err(|error| error.to_string())?;
        fake.stall.into_iter().for_each(|stall| histogram.saturating_record(stall));
        Ok(Outcome {
            calls: histogram.len(),
            seconds: fake.seconds,
            steal_ticks: fake.steal_ticks,
            others_ns: Some(fake.others_ms * 1_000_000),
            void: fake.is_late.then(|| "late".into()),
            latencies: latency::pairs(&histogram),
            client: Usage { cpu_ns: 500_000_000, involuntary: fake.involuntary, ..Usage::default() },
            probe_before: Some(fake.probe),
            probe_after: Some(fake.probe),
            sharing: [Some(ALONE), Some(fake.sharing)],
            ..Outcome::default()
        })
    }
}

fn run(rounds: usize, fake: impl FnMut(usize, &Row) -> Result<Fake, String>) -> Compared {
    run_load(Load::Closed, rounds, fake)
}

fn run_load(load: Load, rounds: usize, fake: impl FnMut(usize, &Row) -> Result<Fake, String>) -> Compared {
    let scenario = Scenario {
        name: "s".into(),
        shape: Shape::new(32, 1),
        task: Task { load, ..Task::default() },
        contenders: ["base", "other"].map(Into::into).into(),
        references: vec!["base".into()],
    };
    let all = rows(std::slice::from_ref(&scenario), rounds);
    let done = campaign::run(&all, &mut FakeExecutor(0, fake), &|| false, &mut |_, _| ());
    compare(&scenario, &done, &distances(&done))
}

fn other(compared: &Compared) -> &Line {
    compared.lines.iter().find(|line| line.contender == "other").unwrap()
}

fn is_other(row: &Row) -> bool {
    row.contender == "other"
}

fn close(found: Option<f64>, expected: f64, tolerance: f64) {
    let found = found.unwrap();
    assert!((found / expected - 1.0).abs() <= tolerance, "{found} instead of {expected}");
}

#[test]
fn a_steady_machine_gives_the_true_ratio() {
    let compared = run(5, |_, row| Ok(Fake { p50: if is_other(row) { 3_000 } else { 1_000 }, ..Fake::default() }));
    let line = other(&compared);
    let (ratio, verdict) = &line.ratios[0];
    close(ratio.median, 3.0, 0.002);
    assert_eq!((*verdict, ratio.pairs, line.rounds), (Verdict::More, 5, 5));
    close(compared.resolutions[0].ratio.median, 1.0, 0.001);
    close(line.medians.map(|row| row.client_cpu), 5_000.0, 0.01);
}

#[test]
fn drift_that_hits_all_alike_cancels() {
    // Each row is 3 % slower than the one before: from the first to the last, by 2.4 times.
    let drifted = |number: usize, p50: f64| crate::measure::clock::round(p50 * 1.03_f64.powf(number as f64));
    let compared = run(8, |number, row| {
        Ok(Fake { p50: drifted(number, if is_other(row) { 2_000.0 } else { 1_000.0 }), ..Fake::default() })
    });
    let line = other(&compared);
    close(line.ratios[0].0.median, 2.0, 0.01);
    // The figures themselves are not to be believed, and say so by the width of their interval.
    let p50 = line.p50.unwrap();
    assert!(p50.high / p50.low > 1.3, "{p50:?}");
}

#[test]
fn two_distances_do_not_mix() {
    // At the greater distance everything takes 4 times as long; the processors move at random.
    let mut state = 3;
    let compared = run(40, |_, row| {
        let is_far = random::below(&mut state, 2) == 1;
        let p50 = if is_other(row) { 1_500 } else { 1_000 } * if is_far { 4 } else { 1 };
        Ok(Fake { p50, probe: if is_far { FAR } else { NEAR }, ..Fake::default() })
    });
    let line = other(&compared);
    let (ratio, verdict) = &line.ratios[0];
    close(ratio.median, 1.5, 0.002);
    assert!(ratio.unlike > 5 && ratio.pairs > 5, "{ratio:?}");
    assert_eq!(*verdict, Verdict::More);
    let split: Vec<f64> = line.by_distance.iter().map(|(_, p50, _)| *p50).collect();
    close(Some(split[0]), 1_500.0, 0.002);
    close(Some(split[1]), 6_000.0, 0.002);
}

#[test]
fn what_shared_cores_cost_is_told_apart() {
    // Beside others on the cores one of them takes 1.4 times as long, and the reference does not.
    let mut state = 5;
    let compared = run(40, |_, row| {
        let is_shared = random::below(&mut state, 2) == 1;
        let p50 = if !is_other(row) {
            1_000
        } else if is_shared {
            2_100
        } else {
            1_500
        };
        Ok(Fake { p50, sharing: if is_shared { SHARED } else { ALONE }, ..Fake::default() })
    });
    let ratio = &other(&compared).ratios[0].0;
    assert_eq!(ratio.apart.iter().map(|apart| apart.is_alone).collect::<Vec<_>>(), [true, false]);
    let alone = ratio.apart[0];
    close(Some(alone.median), 1.5, 0.002);
    close(alone.interval.map(|interval| interval.high), 1.5, 0.002);
    close(ratio.interval.map(|interval| interval.high), 2.1, 0.002);
    assert!(ratio.pairs == 40 && alone.pairs > 4 && alone.pairs < 20, "{ratio:?}");
}

#[test]
fn a_bimodal_contender_is_wide_not_wrong() {
    // One process in two finds itself in a slow mode, at one distance: no probe explains it.
    let compared = run(20, |_, row| {
        let is_slow = is_other(row) && row.round % 2 == 1;
        Ok(Fake { p50: if is_slow { 1_900 } else { 1_000 }, ..Fake::default() })
    });
    let interval = other(&compared).ratios[0].0.interval.unwrap();
    assert!(interval.low < 1.1 && interval.high > 1.8, "{interval:?}");
}

#[test]
fn a_stall_is_visible_although_no_percentile_shows_it() {
    let stall = 100_000_000;
    let compared = run(5, |_, row| Ok(Fake { stall: is_other(row).then_some(stall), ..Fake::default() }));
    let line = other(&compared);
    let row = line.medians.unwrap();
    close(Some(row.latency.p999), 1_000.0, 0.002);
    close(Some(row.latency.max), 1e8, 0.002);
    close(Some(row.latency.stalled), 0.5, 0.01);
    assert_eq!(line.ratios[0].1, Verdict::NotResolved);
}

#[test]
fn a_difference_below_the_noise_is_not_claimed() {
    let mut state = 11;
    let compared = run(7, |_, row| {
        let noise = random::below(&mut state, 200) as u64;
        Ok(Fake { p50: if is_other(row) { 1_010 } else { 1_000 } + noise, ..Fake::default() })
    });
    assert_eq!(other(&compared).ratios[0].1, Verdict::NotResolved);
}

#[test]
fn disturbed_rounds_are_voided_and_counted() {
    let compared = run(6, |_, row| {
        let is_disturbed = is_other(row) && row.round < 2;
        let p50 = if is_disturbed { 9_000 } else { 2_000 };
        Ok(Fake { p50, involuntary: if is_disturbed { 50 } else { 3 }, ..Fake::default() })
    });
    let line = other(&compared);
    assert_eq!((line.rounds, line.void, line.ratios[0].0.pairs), (4, 2, 4));
    close(line.medians.map(|row| row.latency.p50), 2_000.0, 0.002);
}

#[test]
fn an_open_loop_is_void_for_what_came_from_outside_only() {
    let load = Load::Queue { handler: Handler::Exponential { mean_us: 2_000 }, rate: 450 };
    // Rounds 0 to 3 of the other are as they are: it wakes more threads, and a tick is now and then read as stolen,
    // in a row that is a little shorter than those of the A/A run. Each of the later ones was disturbed.
    let compared = run_load(load, 8, |_, row| {
        let usual = Fake { p50: 2_000_000, seconds: 20.0, involuntary: 9_000, others_ms: 180, ..Fake::default() };
        if !is_other(row) {
            return Ok(Fake { involuntary: 20, seconds: 20.1, ..usual });
        }
        Ok(match row.round {
            0..=2 => usual,
            3 => Fake { steal_ticks: 1, ..usual },
            4 => Fake { steal_ticks: 3, ..usual },
            // A program that takes a twentieth of a processor, and one that came for a second.
            5 => Fake { others_ms: 1_000, ..usual },
            6 => Fake { others_ms: 180 + 1_000, ..usual },
            _ => Fake { is_late: true, ..usual },
        })
    });
    let voids = compared.rows.iter().filter(|row| row.row.contender == "other").collect::<Vec<_>>();
    let of_round = |round: usize| voids.iter().find(|row| row.row.round == round).unwrap().figures.unwrap().void;
    assert_eq!([0, 1, 2, 3].map(of_round), [None; 4]);
    let why = [Void::Steal, Void::Others, Void::Others, Void::Generator];
    assert_eq!([4, 5, 6, 7].map(of_round), why.map(Some));
    let (base, line) = (&compared.lines[0], other(&compared));
    assert_eq!((line.rounds, line.void, base.rounds, base.void), (4, 4, 8, 0));
}

#[test]
fn failures_are_counted_and_quoted() {
    let compared =
        run(4, |_, row| if is_other(row) && row.round == 2 { Err("it broke".into()) } else { Ok(Fake::default()) });
    let line = other(&compared);
    assert_eq!((line.rounds, line.failed, line.failure.as_deref()), (3, 1, Some("it broke")));
}

#[test]
fn an_interrupted_campaign_keeps_what_it_has() {
    let scenario = Scenario { name: "s".into(), contenders: vec!["a".into()], ..Scenario::default() };
    let all = rows(&[scenario], 10);
    let ran = std::cell::Cell::new(0);
    let mut executor = FakeExecutor(0, |number, _: &Row| {
        ran.set(number + 1);
        Ok(Fake::default())
    });
    let done = campaign::run(&all, &mut executor, &|| ran.get() == 4, &mut |_, _| ());
    assert_eq!(done.len(), 4);
}
