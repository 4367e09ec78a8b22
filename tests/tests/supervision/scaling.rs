//! Workers follow the load: by how busy they are, by how long calls wait, by the processor time of the Python project's
//! rule. No call fails, every decision is a sentence in the log and in the status, and nobody goes to and fro.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use speedysvc_tests::harness::{Engine, Home, let_pass, wait_for};
use speedysvc_tests::test_service::TestServiceClient;

use crate::fixture::{Load, connect, ctl_well, engine, ready_pids, says, service};

/// Callers of something that takes its time.
struct Crowd {
    stop: Arc<AtomicBool>,
    callers: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn of(count: usize, engine: &Engine, call: fn(&TestServiceClient)) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let caller = |_| {
            let (client, stop) = (connect(&engine.address("test")), Arc::clone(&stop));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    call(&client);
                }
            })
        };
        Self { callers: (0..count).map(caller).collect(), stop }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.callers.into_iter().for_each(|caller| caller.join().expect("no call fails"));
    }
}

/// Every decision that the log tells of.
fn decisions(engine: &Engine) -> Vec<String> {
    let is_one = |line: &String| line.contains("test: from ") && line.contains(" to ");
    engine.err().into_iter().filter(is_one).collect()
}

/// The load rises until there are two workers, and falls until there is one, by these words.
fn follows(mut engine: Engine, home: &Home, crowd: Crowd, up: &str, down: &str) {
    let load = Load::start(&engine);
    says(&engine, &format!("test: from 1 worker to 2: {up}"));
    wait_for("a second worker", || ready_pids(home, "test").len() == 2);
    let told = service(home, "test")["scaling"].as_str().unwrap().to_owned();
    assert!(told.starts_with(&format!("from 1 worker to 2: {up}")), "{told}");
    assert!(ctl_well(home, &["status"]).contains(&format!("scaling: {told}")));
    // Half of the load is no reason for one worker fewer while the other half goes on: only its end is.
    load.end();
    crowd.end();
    says(&engine, &format!("test: from 2 workers to 1: {down}"));
    wait_for("one worker", || ready_pids(home, "test").len() == 1);
    let told = service(home, "test")["scaling"].as_str().unwrap().to_owned();
    assert!(decisions(&engine).last().unwrap().contains(&told), "the last decision is the one that the status tells");
    assert_eq!(engine.stop(), 0);
}

#[test]
fn calls_that_wait_are_a_reason_for_another_worker() {
    // Workers are never busier than all of the time, so only the queue decides.
    let rule = "up = 100, up_after = \"2s\", down_after = \"3s\", queue = \"1ms\"";
    let engine = engine(&format!("workers = {{ min = 1, max = 2, {rule} }}"));
    let home = engine.home();
    let crowd = Crowd::of(4, &engine, |client| {
        client.sleep_ms(30).unwrap();
    });
    follows(engine, &home, crowd, "calls waited ", "1 would have been ");
}

#[test]
fn the_rule_of_the_python_project_goes_by_processor_time() {
    // Its numbers, but for the windows, and low enough for a machine on which others compute, too.
    let rule = "rule = \"cpu\", up = 3, down = 3, up_after = \"2s\", down_after = \"3s\"";
    let engine = engine(&format!("workers = {{ min = 1, max = 2, {rule} }}"));
    let home = engine.home();
    let crowd = Crowd::of(2, &engine, |client| drop(client.big(2 << 20).unwrap()));
    follows(engine, &home, crowd, "they were ", "all together were ");
}

#[test]
fn a_square_wave_makes_nobody_go_to_and_fro() {
    let rule = "up_after = \"4s\", down_after = \"8s\", queue = \"1h\"";
    let mut engine = engine(&format!("workers = {{ min = 1, max = 3, {rule} }}"));
    let load = Load::start(&engine);
    let client = connect(&engine.address("test"));
    let (begin, half) = (Instant::now(), Duration::from_millis(1500));
    for _ in 0..5 {
        let rise = Instant::now();
        while rise.elapsed() < half {
            client.sleep_ms(100).unwrap();
        }
        let_pass(half);
    }
    // Whoever followed each edge would have decided ten times. On a machine that stands still for seconds a wave may
    // look like a load, and windows may pass more often.
    let windows = usize::try_from(begin.elapsed().as_secs() / 4).unwrap();
    let decided = decisions(&engine);
    assert!(decided.len() <= windows.div_ceil(2).max(2), "{decided:#?}");
    load.end();
    assert_eq!(engine.stop(), 0);
}

#[test]
fn workers_follow_a_load_that_rises_and_falls_and_no_call_fails() {
    // Only how busy they are decides: a slow machine makes anyone wait.
    let windows = "up_after = \"2s\", down_after = \"3s\", queue = \"1h\"";
    let mut engine = engine(&format!("workers = {{ min = 1, max = 2, {windows} }}"));
    let home = engine.home();
    let load = Load::start(&engine);
    assert_eq!(ready_pids(&home, "test").len(), 1);
    // Two callers that are always in a handler.
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let (client, stop) = (connect(&engine.address("test")), stop.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    client.sleep_ms(100).unwrap();
                }
            })
        })
        .collect();
    says(&engine, "test: from 1 worker to 2: ");
    wait_for("a second worker", || ready_pids(&home, "test").len() == 2);
    assert!(service(&home, "test")["scaling"].as_str().unwrap().starts_with("from 1 worker to 2: "));
    stop.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|caller| caller.join().unwrap());
    says(&engine, "test: from 2 workers to 1: ");
    wait_for("one worker", || ready_pids(&home, "test").len() == 1);
    load.end();
    // What an operator says stays.
    ctl_well(&home, &["scale", "test", "2"]);
    assert!(service(&home, "test")["scaling"].as_str().unwrap().contains("by hand"));
    // Until the rule is asked again, which knows its bounds.
    ctl_well(&home, &["scale", "test", "3"]);
    ctl_well(&home, &["scale", "test", "auto"]);
    says(&engine, "test: from 3 workers to 2: the file says at least 1 and at most 2");
    assert_eq!(engine.stop(), 0);
}
