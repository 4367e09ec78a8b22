//! SIGKILL of the supervisor: its workers go on, the next one takes their sockets, and nobody is refused.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rustix::process::Signal;
use speedysvc_tests::harness::{Engine, Home, proc, wait_for};
use speedysvc_tests::test_service::TestServiceClient;

use crate::fixture::{LONG, connect, ctl_well, file, ready_pids, says};

/// How often; more by `SPEEDYSVC_KILLS=20 cargo test --test supervision killed`.
fn kills() -> usize {
    std::env::var("SPEEDYSVC_KILLS").map_or(3, |count| count.parse().expect("SPEEDYSVC_KILLS is a number"))
}

fn port(engine: &Engine) -> String {
    engine.tcp_address("test")
}

/// Calls of several clients, of which none may fail and none may run twice: each notes itself in a file.
struct Marks {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    callers: Vec<thread::JoinHandle<(u64, Vec<String>)>>,
    folder: std::path::PathBuf,
}

impl Marks {
    /// Over shared memory with one link, over TCP with one connection, and with a new link and a new connection for
    /// each call.
    fn start(engine: &Engine, home: &Home) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let folder = home.path().to_owned();
        let mut callers = Vec::new();
        for (name, address, anew) in [
            ("shm", engine.address("test"), false),
            ("tcp", port(engine), false),
            ("shm-anew", engine.address("test"), true),
            ("tcp-anew", port(engine), true),
        ] {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let file = folder.join(name).display().to_string();
            callers.push(thread::spawn(move || {
                let kept = (!anew).then(|| connect(&address));
                let (mut number, mut failures) = (0, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let client = match &kept {
                        Some(client) => Ok(client.clone()),
                        None => TestServiceClient::connect(&address),
                    };
                    let marked =
                        client.and_then(|client| client.with_timeout(LONG).mark(&file, &number.to_string(), 0));
                    match marked {
                        Ok(()) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                        Err(error) => failures.push(format!("{name} {number}: {error} ({:?})", error.outcome())),
                    }
                }
                (number, failures)
            }));
        }
        let marks = Self { stop, answered, callers, folder };
        marks.wait_for_more();
        marks
    }

    fn wait_for_more(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        wait_for("calls", || self.answered.load(Ordering::Relaxed) > before + 40);
    }

    #[track_caller]
    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for (caller, name) in self.callers.into_iter().zip(["shm", "tcp", "shm-anew", "tcp-anew"]) {
            let (number, failures) = caller.join().unwrap();
            assert_eq!(failures, [""; 0]);
            let lines = fs::read_to_string(self.folder.join(name)).unwrap();
            let lines: Vec<u64> = lines.lines().map(|line| line.parse().unwrap()).collect();
            assert_eq!(lines, (1..=number).collect::<Vec<_>>(), "{name}: each call once, and in order");
        }
        self.answered.load(Ordering::Relaxed)
    }
}

#[test]
fn the_next_engine_takes_over_and_no_call_is_lost_or_refused() {
    let home = Home::new(&file("workers = 2\norphan = \"10m\""));
    let mut engine = home.start();
    let address = port(&engine);
    let marks = Marks::start(&engine, &home);
    for _ in 0..kills() {
        let orphans = ready_pids(&home, "test");
        let killed = engine.pid();
        engine.kill9();
        // Nobody supervises, and everybody is served: those who were there, and those who come over TCP.
        let call = connect(&address);
        assert!(orphans.contains(&u64::from(call.pid().unwrap())));
        let next = home.start();
        drop(std::mem::replace(&mut engine, next));
        assert_eq!(port(&engine), address, "the same port, although the file says 0");
        says(&engine, &format!("the engine that was process {killed} ended without stopping its workers"));
        wait_for("the orphans' end", || {
            let living = home.processes();
            orphans.iter().all(|pid| !living.contains(&u32::try_from(*pid).unwrap()))
        });
        marks.wait_for_more();
        assert_eq!(ready_pids(&home, "test").len(), 2);
    }
    assert!(marks.end() > 0);
    assert_eq!(engine.stop(), 0);
    wait_for("nobody", || home.processes().is_empty());
}

#[test]
fn clients_that_come_in_the_meantime_wait_for_the_next_engine() {
    let home = Home::new(&file("orphan = \"10m\""));
    let mut engine = home.start();
    engine.kill9();
    let address = engine.address("test");
    let early = thread::spawn(move || connect(&address).echo("early").unwrap());
    let mut next = home.start();
    assert_eq!(early.join().unwrap(), "early");
    assert_eq!(next.stop(), 0);
}

#[test]
fn without_a_next_engine_they_leave_when_their_time_is_over() {
    let home = Home::new(&file("workers = 3\norphan = \"300ms\"\ndrain = \"200ms\"\nkill = \"100ms\""));
    let mut engine = home.start();
    let client = connect(&engine.address("test"));
    // One of them is in a handler that does not end by itself.
    let gate = home.path().join("gate").display().to_string();
    let held = thread::spawn({
        let (client, gate) = (client.clone(), gate.clone());
        move || client.hold(&gate)
    });
    wait_for("the call", || fs::exists(format!("{gate}.in")).unwrap());
    engine.kill9();
    engine.wait_for_no_worker();
    held.join().unwrap().unwrap_err();
    // What is left on disk is no obstacle.
    let mut next = home.start();
    assert_eq!(client.echo("again").unwrap(), "again");
    assert_eq!(next.stop(), 0);
}

#[test]
fn an_engine_that_dies_while_it_takes_over_leaves_everything_to_the_next() {
    let home = Home::new(&file("orphan = \"10m\"\nstart_timeout = \"10m\""));
    let mut first = home.start();
    let address = port(&first);
    let client = connect(&first.address("test"));
    first.kill9();
    // Its worker cannot get ready: the second engine is killed before it has one that serves.
    let text = fs::read_to_string(home.config()).unwrap();
    fs::write(home.config(), text.replace("\"test-service\"", "\"sleep\"\nargs = [\"1000\"]")).unwrap();
    let mut second = home.start_unready();
    says(&second, "ended without stopping its workers");
    wait_for("its worker", || home.processes().len() >= 3);
    second.kill9();
    assert_eq!(client.echo("the first one's worker").unwrap(), "the first one's worker");
    fs::write(home.config(), text).unwrap();
    let mut third = home.start();
    assert_eq!(port(&third), address);
    assert_eq!(client.echo("the third one's").unwrap(), "the third one's");
    assert_eq!(third.stop(), 0);
    // What is no worker of ours knows nothing of supervisors.
    home.processes().into_iter().for_each(proc::kill);
}

#[test]
fn a_start_succeeds_whatever_was_killed_before() {
    let home = Home::new(&file("workers = 2\norphan = \"10m\""));
    for _ in 0..kills() {
        let engine = home.start();
        let everybody = home.processes();
        // The supervisor in the middle, so that some workers are orphans for a moment.
        everybody.iter().skip(1).chain(&everybody[..1]).for_each(|pid| proc::kill(*pid));
        wait_for("the end of everything", || home.processes().is_empty());
        drop(engine);
    }
    let mut engine = home.start();
    assert_eq!(connect(&engine.address("test")).echo("hi").unwrap(), "hi");
    assert_eq!(engine.stop(), 0);
    assert!(!home.run_dir().exists(), "nor is a folder left that one of the killed ones made");
}

#[test]
fn a_second_engine_is_refused_while_the_first_lives_and_names_it() {
    let home = Home::new(&file("orphan = \"10m\""));
    let mut first = home.start();
    let refused = || {
        let mut second = home.start_unready();
        assert_eq!(second.wait(), 69);
        says(&second, &format!("in process {}", first.pid()));
    };
    refused();
    // Stopped is not dead.
    proc::signal(first.pid(), Signal::STOP);
    refused();
    let client = connect(&port(&first));
    assert_eq!(client.echo("served").unwrap(), "served");
    first.process().signal(Signal::CONT);
    let before = ready_pids(&home, "test");
    ctl_well(&home, &["status"]);
    assert_eq!(ready_pids(&home, "test"), before);
    assert_eq!(first.stop(), 0);
}
