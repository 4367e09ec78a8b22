//! A small part of what the `chaos` program does, on every change: `cargo run --release --bin chaos -- --help`.

use std::time::Duration;

use speedysvc_tests::chaos::plan::Plan;
use speedysvc_tests::chaos::{Options, Report, Sabotage, Transport, run, storm, usual_span};

fn options(transport: Transport) -> Options {
    Options {
        transport,
        plan: Plan { seed: 1, calls: 20_000, big: 10, message_max: 4 << 20 },
        kills: 6,
        // However 4 connections fall on 3 workers, one has two of them, and so 32 threads.
        threads: 64,
        clients: 4,
        workers: 3,
        in_flight_min: 32,
        deadline: Duration::from_secs(20),
        sleep: Duration::from_secs(15),
        sabotage: None,
        linger: Duration::ZERO,
    }
}

fn survive(transport: Transport) -> Report {
    let options = options(transport);
    let report = run(&options).unwrap_or_else(|why| panic!("{transport:?}, seed {}: {why}", options.plan.seed));
    println!("{transport:?}: {report}");
    assert!(report.deaths.in_flight.len() >= 6 && report.deaths.in_flight.iter().all(|count| *count >= 32));
    let told = report.tally.right + report.tally.done + report.tally.not_started + report.tally.unknown;
    assert!(told >= 20_000, "{report}");
    report
}

#[test]
fn calls_over_shared_memory_tell_the_truth_while_workers_are_killed() {
    survive(Transport::Shm);
}

#[test]
fn calls_over_tcp_tell_the_truth_while_workers_are_killed() {
    survive(Transport::Tcp);
}

#[test]
fn a_mistake_is_found_and_its_call_is_named() {
    for (sabotage, expected) in [
        (Sabotage::Twice(17), "call 17: told Right, so it ran 1 times; it ran 2 times in worker "),
        (Sabotage::Silent(17), "call 17: told Right, so it ran 1 times; it ran 0 times"),
        (Sabotage::WrongReply(17), "call 17: its caller got an answer that is not this call's"),
        (Sabotage::Lie(17), "call 17: told NotStarted, so it ran 0 times; it ran 1 times in worker "),
        (Sabotage::Forget(17), "call 17: its caller was told nothing"),
    ] {
        let mut options = options(Transport::Shm);
        options.plan = Plan { calls: 200, big: 0, ..options.plan };
        (options.kills, options.threads, options.sabotage) = (0, 4, Some(sabotage));
        let why = run(&options).expect_err("the mistake is found");
        assert!(why.contains(expected), "{sabotage}: {why}");
    }
}

#[test]
fn a_lost_wake_is_found() {
    let mut options = options(Transport::Shm);
    options.plan = Plan { calls: 100, big: 0, ..options.plan };
    // One worker, so that all replies after that call are its.
    (options.kills, options.threads, options.workers, options.sabotage) = (0, 4, 1, Some(Sabotage::Mute(17)));
    options.sleep = Duration::from_millis(300);
    let why = run(&options).expect_err("the loss is found");
    assert!(why.contains("callers slept through their replies: wakes were lost"), "{why}");
}

/// Longer by `SPEEDYSVC_STORM=600 cargo test --test chaos storm`, in seconds; and by the `chaos` program's `--storm`.
fn weather(transport: Transport) {
    let options = Options { plan: Plan { calls: 1_000, big: 0, ..options(transport).plan }, ..options(transport) };
    let stormed = storm(&options, usual_span()).unwrap_or_else(|why| panic!("{transport:?}: {why}"));
    println!("{transport:?}: {stormed}");
    assert!(stormed.weather.had_everything(), "{stormed}");
    assert!(stormed.tally.right > 1_000, "{stormed}");
}

#[test]
fn a_storm_over_shared_memory_loses_nothing_doubles_nothing_and_leaves_nothing_behind() {
    weather(Transport::Shm);
}

#[test]
fn a_storm_over_tcp_loses_nothing_doubles_nothing_and_leaves_nothing_behind() {
    weather(Transport::Tcp);
}

#[test]
fn a_mistake_is_found_in_a_storm_too() {
    let mut options = options(Transport::Shm);
    options.plan = Plan { calls: 1_000, big: 0, ..options.plan };
    options.sabotage = Some(Sabotage::Twice(17));
    let why = storm(&options, Duration::ZERO).expect_err("the mistake is found");
    assert!(why.contains("call 17: told ") && why.contains("it ran 2 times"), "{why}");
}
