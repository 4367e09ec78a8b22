//! What it costs to be refused where a queue is full, against an answer: on the worker's processor and for the caller.

use std::hint::black_box;
use std::time::{Duration, Instant};

use speedysvc::Error;

use super::spread::Spread;
use crate::handlers_service::HandlersClient;
use crate::harness::{Engine, proc, wait_until};

/// Calls of each kind in a round, one at a time.
const ALONE: usize = 2_000;
/// Batches of each kind in a round, and calls in flight together.
const BATCHES: usize = 600;
const TOGETHER: usize = 32;
/// Of calls. The queue is not said to have room sooner, so that a refusal is told at once.
const TIME: Duration = Duration::from_secs(5);
/// The scheduler's clock, in which `/proc` counts: 100 a second on every Linux of today.
const TICK_NS: f64 = 1e7;

/// Measures rounds of answers and refusals, over both transports, and prints what came out.
///
/// # Panics
/// When the engine or a call fails in another way: that is no question of cost.
pub fn measure(rounds: usize) {
    let listen = "listen = [\"tcp://127.0.0.1:0\"]";
    let service = format!("[service.handlers]\nprogram = \"handlers-service\"\nworkers = 1\n{listen}\n");
    let engine = Engine::start(&format!("[web]\nlisten = false\n{service}"));
    let (worker, tcp) = (engine.workers()[0], engine.tcp_address("handlers"));
    let gate = engine.home().path().join("gate").to_str().expect("a plain name").to_owned();
    let connect = |address: &str| HandlersClient::connect(address).expect("it is there").with_timeout(TIME);
    // One call each, until all room is taken.
    let fillers: Vec<HandlersClient> = (0..240).map(|_| connect(&tcp).with_timeout(Duration::from_secs(600))).collect();
    let held: Vec<_> = fillers.iter().map(|client| client.start().hold_blocking(&gate, &[])).collect();
    println!("{rounds} rounds; ping: a call of a short method on the loop; refusal: of a blocking one, its queue full");
    for (name, address) in [("shm", engine.address("handlers")), ("tcp", tcp)] {
        let client = connect(&address);
        wait_until("a refusal", || refused(client.hold_blocking(&gate, &[])).filter(|after| *after > TIME));
        let ping = || drop(black_box(client.repeat("x", 1, "").expect("it answers")));
        let refusal = || assert!(refused(client.hold_blocking(&gate, &[])).is_some(), "it is full");
        let pings = || {
            let starter = client.start();
            let calls: Vec<_> = (0..TOGETHER).map(|_| starter.repeat("x", 1, "")).collect();
            calls.into_iter().for_each(|call| drop(black_box(call.wait().expect("it answers"))));
        };
        let refusals = || {
            let starter = client.start();
            let calls: Vec<_> = (0..TOGETHER).map(|_| starter.hold_blocking(&gate, &[])).collect();
            calls.into_iter().for_each(|call| assert!(refused(call.wait()).is_some(), "it is full"));
        };
        let (mut alone, mut together) = ([Vec::new(), Vec::new()], [0.0; 2]);
        for _ in 0..rounds {
            alone[0].push(median_us(&ping));
            alone[1].push(median_us(&refusal));
            together[0] += cpu_us(worker, &pings);
            together[1] += cpu_us(worker, &refusals);
        }
        let ratios = alone[0].iter().zip(&alone[1]).map(|(ping, refusal)| refusal / ping).collect();
        let [ping, refusal] = alone.map(Spread::of);
        println!("{name}: p50 of a caller in µs: ping {ping}, refusal {refusal}: {} of it", Spread::of(ratios));
        let [ping, refusal] = together.map(|us| us / rounds as f64);
        let ratio = refusal / ping;
        println!(
            "{name}: the worker's CPU in µs, {TOGETHER} in flight: ping {ping:.3}, refusal {refusal:.3}: {ratio:.2}"
        );
    }
    std::fs::write(format!("{gate}.out"), "").expect("the gate can be opened");
    held.into_iter().for_each(|call| drop(call.wait()));
}

/// When to come again, if that was said.
fn refused<T>(ended: Result<T, Error>) -> Option<Duration> {
    ended.err().and_then(|error| error.retry_after())
}

/// Of calls one after the other.
fn median_us(call: &impl Fn()) -> f64 {
    let timed = |_| {
        let begin = Instant::now();
        call();
        begin.elapsed().as_secs_f64() * 1e6
    };
    Spread::of((0..ALONE).map(timed).collect()).median()
}

/// What the worker spends on each call of so many batches.
fn cpu_us(worker: u32, batch: &impl Fn()) -> f64 {
    let before = proc::cpu_ticks(worker);
    (0..BATCHES).for_each(|_| batch());
    (proc::cpu_ticks(worker) - before) as f64 * TICK_NS / 1e3 / (BATCHES * TOGETHER) as f64
}
