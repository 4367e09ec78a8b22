//! Loops that do not move.

use std::thread;

use rustix::process::Signal;
use speedysvc_tests::harness::{proc, wait_for};

use crate::fixture::{connect, engine, ready_pids, says, service};

#[test]
fn a_handler_that_never_ends_is_ended() {
    let mut engine = engine("hang = \"500ms\"");
    let home = engine.home();
    let client = connect(&engine.address("test"));
    let held = {
        let client = client.clone();
        thread::spawn(move || client.sleep_ms(600_000))
    };
    says(&engine, "its loop has not moved for");
    let error = held.join().unwrap().unwrap_err();
    assert_eq!(error.outcome(), speedysvc::Outcome::Unknown, "{error}");
    assert!(engine.err().iter().any(|line| line.contains("in `sleep_ms`; killing it")), "{:#?}", engine.err());
    assert_eq!(client.echo("hi").unwrap(), "hi");
    wait_for("its successor", || service(&home, "test")["state"] == "ready");
    assert_eq!(engine.stop(), 0);
}

#[test]
fn a_stopped_worker_with_work_is_ended_and_sleepers_are_left_alone() {
    let mut engine = engine("hang = \"500ms\"");
    let home = engine.home();
    let client = connect(&engine.address("test"));
    client.echo("hi").unwrap();
    let [pid] = ready_pids(&home, "test")[..] else { panic!("one worker") };
    let pid = u32::try_from(pid).unwrap();
    wait_for("the loop to sleep", || service(&home, "test")["workers"][0]["loop_state"] == "sleeps");
    let held = {
        let client = client.clone();
        thread::spawn(move || client.sleep_ms(3_000))
    };
    wait_for("the handler", || service(&home, "test")["workers"][0]["method"] == "sleep_ms");
    proc::signal(pid, Signal::STOP);
    says(&engine, "its loop has not moved for");
    held.join().unwrap().unwrap_err();
    assert_eq!(client.echo("hi").unwrap(), "hi");
    assert_eq!(engine.stop(), 0);
}
