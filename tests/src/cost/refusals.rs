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
const BATCHES: usize = 2_000;
const TOGETHER: usize = 32;
/// Of calls. The queue is not said to have room sooner, so that a refusal is told at once.
const TIME: Duration = Duration::from_secs(5);

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
        wait_until("a refusal", || refused(client.hold_blocking("", &[])).filter(|after| *after > TIME));
        let ping = || drop(black_box(client.repeat("x", 1, "").expect("it answers")));
        // Of arguments as short as a ping's. Without a gate it would return at once, if it ran.
        let refusal = || assert!(refused(client.hold_blocking("", &[])).is_some(), "it is full");
        let pings = || {
            let starter = client.start();
            let calls: Vec<_> = (0..TOGETHER).map(|_| starter.repeat("x", 1, "")).collect();
            calls.into_iter().for_each(|call| drop(black_box(call.wait().expect("it answers"))));
        };
        let refusals = || {
            let starter = client.start();
            let calls: Vec<_> = (0..TOGETHER).map(|_| starter.hold_blocking("", &[])).collect();
            calls.into_iter().for_each(|call| assert!(refused(call.wait()).is_some(), "it is full"));
        };
        let (mut alone, mut together) = ([(); 2].map(|()| Vec::new()), [(); 2].map(|()| Vec::new()));
        for _ in 0..rounds {
            alone[0].push(median_us(&ping));
            alone[1].push(median_us(&refusal));
            together[0].push(cpu_us(worker, &pings));
            together[1].push(cpu_us(worker, &refusals));
        }
        say(&format!("{name}: p50 of a caller in µs"), alone);
        say(&format!("{name}: the worker's CPU in µs for each of {TOGETHER} in flight"), together);
    }
    std::fs::write(format!("{gate}.out"), "").expect("the gate can be opened");
    held.into_iter().for_each(|call| drop(call.wait()));
}

/// Rounds of pings and refusals, and how much more a refusal is, round by round.
fn say(what: &str, rounds: [Vec<f64>; 2]) {
    let ratios = rounds[0].iter().zip(&rounds[1]).map(|(ping, refusal)| refusal / ping).collect();
    let [ping, refusal] = rounds.map(Spread::of);
    println!("{what}: ping {ping}, refusal {refusal}: {} of it", Spread::of(ratios));
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
    let before = proc::cpu_ns(worker);
    (0..BATCHES).for_each(|_| batch());
    (proc::cpu_ns(worker) as f64 - before as f64) / 1e3 / (BATCHES * TOGETHER) as f64
}
