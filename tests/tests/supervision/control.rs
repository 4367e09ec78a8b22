//! `ctl`: what it says, what it does, what it refuses.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use speedysvc_tests::harness::{Home, wait_for};

use crate::fixture::{connect, ctl, ctl_well, engine, file, ready_pids, says, service, status};

#[test]
fn one_screen_says_whether_it_is_well() {
    let mut engine = engine("workers = 2");
    let home = engine.home();
    let client = connect(&engine.address("test"));
    for _ in 0..50 {
        client.echo("hi").unwrap();
    }
    let screen = ctl_well(&home, &["status"]);
    assert!(screen.starts_with("all is well; engine "), "{screen}");
    assert!(screen.lines().count() < 15 && screen.contains("2/2") && screen.contains("shm://test"), "{screen}");
    call_by_http(&engine.tcp_address("test"));
    wait_for("the calls to be counted, whatever they came by", || service(&home, "test")["calls"] == 51);
    let seen = service(&home, "test");
    assert_eq!((&seen["state"], &seen["clients"], &seen["errors"]), (&"ready".into(), &1.into(), &0.into()));
    assert!(seen["handler_p99_ns"].as_u64().unwrap() >= seen["handler_p50_ns"].as_u64().unwrap());
    assert!(ctl_well(&home, &["driver"]).contains("io_uring"));
    let numbers = ctl_well(&home, &["stats", "test"]);
    assert!(numbers.contains("method echo: 0 errors") && numbers.contains("handler_time"), "{numbers}");
    let top = ctl_well(&home, &["top", "--count", "1", "--every", "100ms"]);
    assert!(top.contains("calls/s") && top.contains("test"), "{top}");
    assert_eq!(engine.stop(), 0);
}

fn call_by_http(address: &str) {
    let mut socket = TcpStream::connect(address.trim_start_matches("tcp://")).unwrap();
    socket.write_all(b"POST /test/echo HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n\"hi\"").unwrap();
    assert!(socket.read(&mut [0; 512]).unwrap() > 0);
}

#[test]
fn a_service_is_stopped_and_started_again_at_the_same_port() {
    let mut engine = engine("workers = 2");
    let (home, address) = (engine.home(), engine.tcp_address("test"));
    let said = ctl_well(&home, &["stop", "test"]);
    assert!(said.contains("test is being stopped"), "{said}");
    assert_eq!(service(&home, "test")["state"], "stopped");
    let refused = speedysvc_tests::test_service::TestServiceClient::connect(&address).map(|_| ()).unwrap_err();
    assert_eq!(refused.outcome(), speedysvc::Outcome::NotStarted, "{refused}");
    assert!(ctl_well(&home, &["stop", "test"]).contains("nothing had to be changed"));
    assert!(status(&home)["well"].as_bool().unwrap(), "stopped on purpose is well");
    ctl_well(&home, &["start", "test"]);
    for address in [engine.address("test"), address] {
        assert_eq!(connect(&address).echo("hi").unwrap(), "hi");
    }
    says(&engine, "asked to stop test");
    let audit = engine.err().into_iter().find(|line| line.contains("asked to start test")).unwrap();
    assert!(audit.contains("control: uid ") && audit.contains("(pid "), "{audit}");
    assert_eq!(engine.stop(), 0);
}

#[test]
fn a_failed_service_is_not_well_and_gets_a_new_chance() {
    let limit = "restart = { backoff = \"1ms..1ms\", limit = \"2 in 60s\" }\n[service.echo]\nbuiltin = \"echo\"";
    let toml = file("").replace("restart = { backoff = \"10ms..100ms\" }", "");
    let mut engine = speedysvc_tests::harness::Engine::start(&format!("{toml}{limit}"));
    let home = engine.home();
    let client = connect(&engine.address("test"));
    for _ in 0..2 {
        client.die().unwrap_err();
    }
    says(&engine, "has failed");
    let ended = ctl(&home, &["status"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.out.starts_with("NOT all is well"), "{ended:?}");
    assert!(ended.out.contains("(SIGABRT") && ended.out.contains("while it ran `die`"), "{ended:?}");
    ctl_well(&home, &["start", "test"]);
    assert_eq!(connect(&engine.address("test")).echo("hi").unwrap(), "hi");
    assert!(status(&home)["well"].as_bool().unwrap());
    assert_eq!(engine.stop(), 0);
}

#[test]
fn what_makes_no_sense_is_refused_with_a_code() {
    let mut engine = engine("");
    let home = engine.home();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["restart", "tset"], 2, "there is no service `tset`; there are: test"),
        (&["scale", "test", "0"], 2, "1 to 64"),
        (&["scale", "test", "many"], 2, "neither a number"),
        (&["stop"], 2, "required"),
        (&["stats", "nobody"], 2, "no service"),
    ];
    for (words, code, text) in cases {
        let ended = ctl(&home, words);
        assert_eq!(ended.code, Some(code), "{words:?}: {ended:?}");
        assert!(ended.err.contains(text), "{words:?}: {ended:?}");
    }
    assert_eq!(engine.stop(), 0);
    let ended = ctl(&home, &["status"]);
    assert_eq!((ended.code, ended.err.contains("no engine runs here")), (Some(69), true), "{ended:?}");
}

#[test]
fn drain_ends_the_engine_and_waits_for_it() {
    let mut engine = engine("");
    let home = engine.home();
    ctl_well(&home, &["drain"]);
    assert_eq!(engine.wait(), 0);
    assert!(!home.run_dir().exists(), "nothing is left behind");
}

#[test]
fn strangers_and_nonsense_do_not_disturb() {
    let mut engine = engine("");
    let home = engine.home();
    let socket = home.run_dir().join("default/_control.sock");
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&socket).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    let mut nonsense = UnixStream::connect(&socket).unwrap();
    nonsense.write_all(b"\xff\xfe{}\n{\"verb\":\"stop\"}\n").unwrap();
    let mut reply = [0; 4096];
    let count = nonsense.read(&mut reply).unwrap();
    assert!(String::from_utf8_lossy(&reply[..count]).contains("this is no request"));
    let silent: Vec<UnixStream> = (0..70).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    // The last ones are told that there are too many; nobody else is kept waiting.
    let mut told = String::new();
    silent.last().unwrap().read_to_string(&mut told).unwrap();
    assert!(told.contains("64 connections"), "{told}");
    assert_eq!(connect(&engine.address("test")).echo("hi").unwrap(), "hi");
    drop((nonsense, silent));
    wait_for("room for the next", || ctl(&home, &["status"]).code == Some(0));
    assert_eq!(engine.stop(), 0);
}

#[test]
fn a_second_engine_is_refused_naming_the_first_even_with_other_services() {
    let mut first = engine("");
    let other = first.home().path().join("other.toml");
    first.home().write(&other, "[service.other]\nbuiltin = \"echo\"\n");
    let mut command = first.home().command("speedysvc-engine");
    command.arg("--config").arg(&other);
    let ended = speedysvc_tests::harness::Ended::of(command);
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(ended.err.contains("already runs in") && ended.err.contains(&first.pid().to_string()), "{ended:?}");
    assert_eq!(ready_pids(&first.home(), "test").len(), 1);
    assert_eq!(first.stop(), 0);
}

#[test]
fn a_file_of_another_engine_is_found_by_its_own_rule() {
    let home = Home::new(&format!("namespace = \"blue\"\n{}", file("")));
    let mut engine = home.start();
    let mut command = home.command("speedysvc-engine");
    command.args(["ctl", "status", "--config"]).arg(home.config());
    let ended = speedysvc_tests::harness::Ended::of(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(engine.stop(), 0);
}
