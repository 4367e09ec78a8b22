//! From a worker's death to its caller's answer, against the least that it could be: the kill, the pidfd, a wake.

use std::fs;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use speedysvc::Outcome;

use super::spread::Spread;
use crate::harness::{Engine, Home, command, proc, wait_for, wait_until};
use crate::test_service::TestServiceClient;

/// Kills so many workers and as many bare processes in turns, and prints what came of it.
///
/// # Panics
/// When a caller is told anything but "unknown".
pub fn measure(kills: usize) {
    let home = Home::new(
        "[service.test]\nprogram = \"test-service\"\nworkers = 2\n\
         restart = { backoff = \"10ms..20ms\", limit = \"none\" }\n",
    );
    let engine = home.start();
    let (mut floor, mut answers, mut next) = (vec![], vec![], vec![]);
    for number in 0..kills {
        floor.push(floor_once(&engine));
        let (answer, after) = death_once(&engine, number);
        answers.push(answer);
        next.push(after);
    }
    let [floor, answers, next] = [floor, answers, next].map(Spread::of);
    println!("deaths: {kills} kills each, in turns; µs");
    println!("| | p50 | p99 | greatest |");
    println!("|---|---|---|---|");
    for (name, spread) in [
        ("kill, pidfd, wake", &floor),
        ("kill of a worker to its caller's \"unknown\"", &answers),
        ("and to the answer of the caller's next call, by the other worker", &next),
    ] {
        let [p50, p99, most] = [50, 99, 100].map(|percent| spread.percentile(percent));
        println!("| {name} | {p50:.0} | {p99:.0} | {most:.0} |");
    }
    let ratio = answers.percentile(99) / floor.percentile(99);
    let [median] = [answers.median() / floor.median()];
    println!("p99 of the answer: {ratio:.2} times that of the floor (at most 3); median {median:.2} times");
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

/// A process that does what a worker does when it has nothing to do: the same program, waiting in a handler.
struct Bare(Child);

impl Bare {
    fn start(engine: &Engine) -> Self {
        // The same program, alone, on a folder of its own.
        let folder = engine.home().path().join("bare");
        fs::create_dir_all(&folder).expect("the folder is ours");
        let mut bare = command("test-service");
        bare.env("SPEEDYSVC_RUN_DIR", &folder).stdout(Stdio::null()).stderr(Stdio::null());
        let child = bare.spawn().expect("it can be started");
        let socket = folder.join("default/test.sock");
        wait_for("the bare service", || socket.exists());
        Self(child)
    }
}

/// A thread waits for the pidfd and wakes another: the time from the kill until that one runs.
fn floor_once(engine: &Engine) -> f64 {
    let mut bare = Bare::start(engine);
    let pidfd = pidfd_open(Pid::from_child(&bare.0), PidfdFlags::empty()).expect("it lives");
    let (tell, told) = mpsc::channel();
    let (ready, is_ready) = mpsc::channel();
    let watcher = thread::spawn(move || {
        ready.send(()).expect("somebody waits");
        poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None).expect("it can be waited for");
        tell.send(()).expect("somebody waits");
    });
    is_ready.recv().expect("it says so");
    settle();
    let killed = Instant::now();
    proc::kill(bare.0.id());
    told.recv().expect("it says so");
    let took = micros(killed);
    watcher.join().expect("it does not panic");
    bare.0.wait().expect("it has ended");
    fs::remove_dir_all(engine.home().path().join("bare")).expect("it is ours");
    took
}

/// Until whoever has just been told to wait does so.
fn settle() {
    crate::harness::let_pass(Duration::from_millis(5));
}

/// A caller that sleeps in a call whose worker is killed: until it is told, and until its next call is answered.
fn death_once(engine: &Engine, number: usize) -> (f64, f64) {
    wait_for("both workers", || engine.workers().len() == 2);
    let client = TestServiceClient::connect(&engine.address("test")).expect("the service is there");
    let client = client.with_timeout(Duration::from_secs(60));
    let gate = engine.home().path().join(format!("gate{number}"));
    let path = gate.to_str().expect("a plain name").to_owned();
    let (tell, told) = mpsc::channel();
    let caller = thread::spawn(move || {
        let ended = client.hold(&path);
        tell.send(Instant::now()).expect("somebody waits");
        let begin = Instant::now();
        client.pid().expect("the other worker answers");
        (ended, begin.elapsed())
    });
    let dead = wait_until("the handler", || fs::read_to_string(gate.with_extension("in")).ok()?.trim().parse().ok());
    settle();
    let killed = Instant::now();
    proc::kill(dead);
    let heard = told.recv().expect("it is told");
    let (ended, next) = caller.join().expect("it does not panic");
    let error = ended.expect_err("the handler was killed");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    wait_for("the next worker", || !engine.workers().contains(&dead) && engine.workers().len() == 2);
    let answer = heard.duration_since(killed);
    (answer.as_secs_f64() * 1e6, (answer + next).as_secs_f64() * 1e6)
}
