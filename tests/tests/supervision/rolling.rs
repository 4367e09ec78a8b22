//! Restarts, reloads and scaling under load: no call fails, no connection is refused.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::Value;
use speedysvc_tests::harness::{Home, install, install_copy, wait_for};

use crate::fixture::{Load, connect, ctl, ctl_well, edit, engine, file, ready_pids, service};

/// How many of each; the whole of it by `SPEEDYSVC_ROLLS=100 cargo test --test supervision rolling`.
fn rolls() -> usize {
    std::env::var("SPEEDYSVC_ROLLS").map_or(3, |count| count.parse().expect("SPEEDYSVC_ROLLS is a number"))
}

#[test]
fn rolling_restarts_lose_no_call() {
    let mut engine = engine("workers = 2");
    let home = engine.home();
    let load = Load::start(&engine);
    let mut before = ready_pids(&home, "test");
    for _ in 0..rolls() {
        ctl_well(&home, &["restart", "test"]);
        let after = ready_pids(&home, "test");
        assert_eq!(after.len(), 2);
        assert!(after.iter().all(|pid| !before.contains(pid)), "{before:?} {after:?}");
        before = after;
        load.wait_for_more();
    }
    assert!(load.end() > 0);
    assert_eq!(engine.stop(), 0);
}

#[test]
fn reloads_touch_only_what_changed_and_lose_no_call() {
    let mut engine = engine("workers = 2\nenv = { TURN = \"0\" }");
    let home = engine.home();
    let load = Load::start(&engine);
    let before = ready_pids(&home, "test");
    edit(&home, "workers = 2", "workers = 2\ndrain = \"7s\"");
    let dry = ctl_well(&home, &["reload", "--dry-run"]);
    assert_eq!(dry.trim(), "test: drain from 10 s to 7 s; workers stay");
    assert_eq!(ctl_well(&home, &["reload", "--dry-run"]), dry, "a dry run changes nothing");
    ctl_well(&home, &["reload"]);
    assert_eq!(ctl_well(&home, &["reload"]).trim(), "nothing is different");
    assert_eq!(ready_pids(&home, "test"), before, "nobody was disturbed");
    let mut before = before;
    for turn in 0..rolls() {
        edit(&home, &format!("TURN = \"{turn}\""), &format!("TURN = \"{}\"", turn + 1));
        ctl_well(&home, &["reload"]);
        let after = ready_pids(&home, "test");
        assert!(after.len() == 2 && after.iter().all(|pid| !before.contains(pid)), "{before:?} {after:?}");
        before = after;
        load.wait_for_more();
    }
    load.end();
    assert_eq!(engine.stop(), 0);
}

#[test]
fn scaling_up_and_down_loses_no_call() {
    let mut engine = engine("workers = 1");
    let home = engine.home();
    let load = Load::start(&engine);
    for workers in ["3", "1", "4", "2"].into_iter().cycle().take(rolls().max(4)) {
        ctl_well(&home, &["scale", "test", workers]);
        assert_eq!(ready_pids(&home, "test").len().to_string(), workers);
        load.wait_for_more();
    }
    ctl_well(&home, &["scale", "test", "auto"]);
    assert_eq!(ready_pids(&home, "test").len(), 1);
    load.end();
    assert_eq!(engine.stop(), 0);
}

/// Who is attached, as the supervisor tells it.
fn clients(home: &Home) -> Value {
    let mut socket = UnixStream::connect(home.run_dir().join("default/_control.sock")).unwrap();
    socket.write_all(b"{\"verb\":\"clients\"}\n").unwrap();
    let mut reply = String::new();
    BufReader::new(socket).read_line(&mut reply).unwrap();
    serde_json::from_str::<Value>(&reply).unwrap()["clients"].clone()
}

/// A link is the service's, not a worker's: every worker that there was is replaced, and it is the same one.
#[test]
fn links_stay_while_workers_are_replaced() {
    let mut engine = engine("workers = 2");
    let home = engine.home();
    let client = connect(&engine.address("test"));
    let (first, pids) = (clients(&home), ready_pids(&home, "test"));
    assert_eq!((first.as_array().unwrap().len(), &first[0]["service"]), (1, &"test".into()));
    for words in [&["restart", "test"][..], &["scale", "test", "3"], &["restart", "test"], &["scale", "test", "1"]] {
        ctl_well(&home, words);
        assert_eq!(client.echo("on the same link").unwrap(), "on the same link");
        assert_eq!(clients(&home), first, "{words:?}");
    }
    assert!(ready_pids(&home, "test").iter().all(|pid| !pids.contains(pid)));
    assert_eq!(engine.stop(), 0);
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    let mut engine = engine("");
    let home = engine.home();
    let before = ready_pids(&home, "test");
    edit(&home, "[service.test]", "[service.test]\nwokers = 3");
    for words in [&["reload"][..], &["reload", "--dry-run"]] {
        let ended = ctl(&home, words);
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.err.contains("did you mean `workers`") && ended.err.contains(":3:1"), "{ended:?}");
    }
    // A port that somebody has is as wrong as a misspelt key: it is found before anything is touched.
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    edit(&home, "wokers = 3", "workers = 3");
    edit(&home, "tcp://127.0.0.1:0", &format!("tcp://{}", holder.local_addr().unwrap()));
    let ended = ctl(&home, &["reload"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.err.contains("nothing was changed") && ended.err.contains("another program listens"), "{ended:?}");
    assert_eq!(ready_pids(&home, "test"), before);
    assert_eq!(engine.stop(), 0);
}

#[test]
fn services_come_and_go_by_reload() {
    let mut engine = engine("");
    let home = engine.home();
    let before = ready_pids(&home, "test");
    edit(&home, "[service.test]", "[service.more]\nbuiltin = \"echo\"\n\n[service.test]");
    let said = ctl_well(&home, &["reload"]);
    assert!(said.contains("more: new, to be started"), "{said}");
    let reply = speedysvc::untyped::call(&home.address("more"), "echo", b"\"hi\"", None).unwrap();
    assert!(matches!(reply, speedysvc::untyped::Reply::Ok(text) if text == b"\"hi\""));
    edit(&home, "[service.more]\nbuiltin = \"echo\"\n", "");
    ctl_well(&home, &["reload"]);
    assert!(!home.run_dir().join("default/more.sock").exists());
    assert_eq!(ready_pids(&home, "test"), before);
    assert_eq!(engine.stop(), 0);
}

#[test]
fn a_new_program_is_picked_up_and_a_broken_one_is_taken_back() {
    let home = Home::new(&file("workers = 2").replace("\"test-service\"", "\"./service\""));
    let path = home.path().join("service");
    install_copy("test-service", &path);
    let mut engine = home.start();
    let load = Load::start(&engine);
    let before = ready_pids(&home, "test");
    for broken in [&b"#!/bin/sh\nexit 3\n"[..], b"neither this nor that"] {
        install(broken, &path);
        let ended = ctl(&home, &["restart", "test"]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("goes back to the version before, of which 2 workers serve"), "{ended:?}");
        assert_eq!(ready_pids(&home, "test"), before, "nobody was disturbed");
    }
    // A worker that crashes now is replaced by the program that worked, not by the broken one.
    connect(&engine.address("test")).die().unwrap_err();
    wait_for("two workers", || ready_pids(&home, "test").len() == 2);
    assert_eq!(service(&home, "test")["state"], "ready");
    install_copy("test-service", &path);
    ctl_well(&home, &["restart", "test"]);
    let after = ready_pids(&home, "test");
    assert!(after.len() == 2 && after.iter().all(|pid| !before.contains(pid)));
    let is_new = |pid: &u64| fs::read_link(format!("/proc/{pid}/exe")).unwrap() == fs::canonicalize(&path).unwrap();
    assert!(after.iter().all(is_new));
    drop(load);
    assert_eq!(engine.stop(), 0);
}
