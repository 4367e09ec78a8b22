//! Who is not ready yet: services that come after others, and workers that are slow to start.

use std::fs;
use std::sync::Arc;
use std::thread;

use speedysvc_tests::harness::{Home, install, program, wait_for};

use crate::fixture::{connect, ctl, file, ready_pids, says, service, status};

/// A service that is ready only when it is let: its program waits for a file first.
#[test]
fn who_comes_after_another_waits_until_it_is_ready() {
    let second = "[service.second]\nbuiltin = \"echo\"\nafter = [\"first\"]\n";
    let home = Home::new(&format!("[service.first]\nprogram = \"./slow\"\n{second}"));
    let slow = home.path().join("slow");
    let gate = home.path().join("gate");
    let real = program("speedysvc-engine");
    let (gate_path, real) = (gate.display(), real.display());
    let script = format!("#!/bin/sh\nwhile [ ! -e {gate_path} ]; do sleep 0.05; done\nexec {real} builtin echo\n");
    install(script.as_bytes(), &slow);
    let mut engine = home.start_unready();
    wait_for("the control socket", || ctl(&home, &["status"]).code.is_some_and(|code| code != 69));
    let second = service(&home, "second");
    assert_eq!((&second["state"], &second["why"]), (&"waiting".into(), &"it comes after first".into()));
    assert_eq!(second["workers"].as_array().unwrap().len(), 0);
    fs::write(&gate, "").unwrap();
    engine.process().wait_for_line("ready:");
    assert_eq!(engine.stop(), 0);
}

/// A program that loads something large, and says so: it outlives its start timeout by as long as it asks.
#[test]
fn who_asks_for_time_to_start_has_it() {
    let home = Home::new(&file("start_timeout = \"4s\"\nenv = { TEST_SERVICE_GATE = \"gate\" }"));
    let mut engine = home.start_unready();
    let seen = || {
        let answers = ctl(&home, &["status"]).code.is_some_and(|code| code != 69);
        if answers { service(&home, "test") } else { serde_json::Value::Null }
    };
    wait_for("what it does", || seen()["workers"][0]["doing"] == "waiting for the gate");
    says(&engine, "test worker 0 asks for 60 s until it is ready: waiting for the gate");
    let well = ctl(&home, &["status"]);
    assert!(well.code == Some(3) && well.out.contains("0 of 1 worker serve; waiting for the gate"), "{well:?}");
    wait_for("more than its start timeout", || status(&home)["uptime_s"].as_f64().unwrap() > 5.0);
    let late = seen();
    assert_eq!(
        (&late["deaths"], &late["workers"][0]["worker"], &late["state"]),
        (&0.into(), &0.into(), &"starting".into())
    );
    fs::write(home.path().join("gate"), "").unwrap();
    engine.process().wait_for_line("ready:");
    assert_eq!(connect(&engine.address("test")).echo("hi").unwrap(), "hi");
    let ready = seen();
    assert_eq!((&ready["workers"][0]["doing"], &ready["deaths"]), (&serde_json::Value::Null, &0.into()));
    assert_eq!(engine.stop(), 0);
}

/// A second worker whose program waits first, as one does that loads a model.
#[test]
fn a_worker_that_is_not_ready_gets_no_call() {
    let home = Home::new(&file("").replace("\"test-service\"", "\"./slow\""));
    let (slow, closed) = (home.path().join("slow"), home.path().join("closed"));
    let real = program("test-service");
    let (gate, real) = (closed.display(), real.display());
    let script = format!("#!/bin/sh\nwhile [ -e {gate} ]; do sleep 0.05; done\nexec {real}\n");
    install(script.as_bytes(), &slow);
    let mut engine = home.start();
    let first = ready_pids(&home, "test");
    fs::write(&closed, "").unwrap();
    let scaling = thread::spawn({
        let home = Arc::clone(&home);
        move || ctl(&home, &["scale", "test", "2"])
    });
    let workers = || service(&home, "test")["workers"].as_array().cloned().unwrap_or_default();
    wait_for("the second worker", || workers().len() == 2);
    for address in [engine.address("test"), engine.tcp_address("test")] {
        for _ in 0..20 {
            assert_eq!(u64::from(connect(&address).pid().unwrap()), first[0]);
        }
    }
    assert_eq!(ready_pids(&home, "test"), first, "and status says so");
    fs::remove_file(&closed).unwrap();
    let ended = scaling.join().unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ready_pids(&home, "test").len(), 2);
    assert_eq!(engine.stop(), 0);
}
