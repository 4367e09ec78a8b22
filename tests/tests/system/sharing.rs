//! Many callers, many clients, and no work without calls.

use std::thread;
use std::time::Duration;

use speedysvc_tests::harness::{Engine, let_pass, proc, wait_for, wait_until};
use speedysvc_tests::test_service::{TestServiceClient, pattern};

use crate::fixture::{Gate, addresses, connect, engine, soon};

const THREADS: usize = 8;
const CALLS: usize = 500;
const CLIENTS: usize = 100;
/// How long nothing must happen.
const IDLE: Duration = Duration::from_secs(2);

/// Sizes from nothing to some pages, and now and then a large one.
fn size(caller: usize, round: usize) -> usize {
    match (caller * 31 + round * 17) % 50 {
        0 => 100_000 + round,
        spread @ 1..10 => spread * 997,
        spread => spread * 3,
    }
}

/// Mixed calls whose answers nobody else can have got.
fn calls(client: &TestServiceClient, caller: usize, rounds: usize) {
    let all = pattern(120_000);
    for round in 0..rounds {
        let size = size(caller, round);
        match round % 4 {
            0 => {
                let text = format!("{caller} {round}");
                assert_eq!(client.echo(&text).unwrap(), text);
            }
            1 => assert!(client.big(size as u64).unwrap() == all[..size], "{caller} {round}: {size}"),
            2 => {
                let numbers = vec![caller as u64; size / 8];
                assert_eq!(client.sum(&numbers).unwrap(), (caller * numbers.len()) as u64);
            }
            _ => {
                let from = caller + round % 10_000;
                let bytes = &all[from..(from + size).min(all.len())];
                assert!(client.echo_bytes(bytes).unwrap() == bytes, "{caller} {round}: {size}");
            }
        }
    }
}

#[test]
fn threads_share_a_client() {
    for workers in [1, 2] {
        let engine = engine(&format!("workers = {workers}"));
        for address in addresses(&engine) {
            let client = connect(&address);
            thread::scope(|scope| {
                for caller in 0..THREADS {
                    let client = &client;
                    scope.spawn(move || calls(client, caller, CALLS));
                }
            });
        }
    }
}

#[test]
fn a_hundred_clients_at_once() {
    let engine = engine("workers = 2");
    for address in addresses(&engine) {
        let clients: Vec<TestServiceClient> = thread::scope(|scope| {
            let coming: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| connect(&address))).collect();
            coming.into_iter().map(|client| client.join().unwrap()).collect()
        });
        thread::scope(|scope| {
            for (caller, client) in clients.iter().enumerate() {
                scope.spawn(move || calls(client, caller, 20));
            }
        });
        // All are there still, and each after the other works as well.
        clients.iter().for_each(|client| assert_eq!(client.echo("hi").unwrap(), "hi"));
    }
}

/// A worker in a long handler must not take connections that the other could serve, whichever of them it is.
#[test]
fn clients_come_in_while_one_worker_is_busy() {
    let engine = engine("workers = 2");
    let client = connect(&engine.address("test"));
    let [one, two, three] = ["one", "two", "three"].map(|name| Gate::new(&engine.home(), name));
    let (in_one, first) = (one.hold(&client), one.wait_for(1)[0]);
    let (in_two, second) = (two.hold(&client), two.wait_for(1)[0]);
    one.open();
    in_one.end().unwrap();
    others_come_in(&engine, second);
    // The other is busy still, so it is the first again.
    let in_three = three.hold(&client);
    assert_eq!(three.wait_for(1), [first]);
    two.open();
    in_two.end().unwrap();
    others_come_in(&engine, first);
    three.open();
    in_three.end().unwrap();
}

fn others_come_in(engine: &Engine, busy: u32) {
    for address in addresses(engine) {
        let clients: Vec<TestServiceClient> = (0..10).map(|_| connect(&address)).collect();
        for client in &clients {
            assert_ne!(soon("a call beside a busy worker", || client.pid()).unwrap(), busy);
        }
    }
}

#[test]
fn clients_that_leave_make_room() {
    let engine = engine("");
    for address in addresses(&engine) {
        for round in 0..300 {
            assert_eq!(connect(&address).echo(&round.to_string()).unwrap(), round.to_string());
        }
    }
    let descriptors = |pid: u32| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    // What is left of 300 clients is less than one descriptor for each.
    wait_until("descriptors to be closed", || {
        let mut open = [engine.pid()].into_iter().chain(engine.workers()).map(descriptors);
        open.all(|count| count < 100).then_some(())
    });
}

#[test]
fn who_is_not_called_does_not_work() {
    let engine = engine("workers = 2");
    let clients: Vec<TestServiceClient> =
        addresses(&engine).iter().flat_map(|address| (0..CLIENTS / 2).map(|_| connect(address))).collect();
    clients.iter().for_each(|client| assert_eq!(client.echo("hi").unwrap(), "hi"));
    // First there is something to settle; what goes on for ever, once a second or all the time, has no such span.
    wait_for("a span in which nobody does anything", || {
        let work = work_in(&engine, IDLE);
        eprintln!("{work:?} in {IDLE:?} without a call");
        work == Work { waits: 0, cpu_ns: 0 }
    });
    clients.iter().for_each(|client| assert_eq!(client.echo("hi").unwrap(), "hi"));
}

/// What processes have done.
#[derive(Debug, PartialEq)]
struct Work {
    /// How often a thread has gone to wait: once for each thing that woke it.
    waits: u64,
    /// What it had of processors, as the scheduler counts it. The ticks that everybody else counts come in tens of
    /// milliseconds, two for each process, any of which may just be full.
    cpu_ns: u64,
}

/// What the supervisor and its workers do in this time.
fn work_in(engine: &Engine, time: Duration) -> Work {
    let processes = engine.home().processes();
    let sum = |count: fn(u32) -> u64| processes.iter().map(|pid| count(*pid)).sum::<u64>();
    let before = Work { waits: sum(proc::waits), cpu_ns: sum(proc::cpu_ns) };
    let_pass(time);
    Work { waits: sum(proc::waits) - before.waits, cpu_ns: sum(proc::cpu_ns) - before.cpu_ns }
}
