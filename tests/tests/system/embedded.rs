//! Services without an engine, and the example as written.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use speedysvc::{Outcome, Server};
use speedysvc_tests::harness::{Ended, Engine, Process, command};
use speedysvc_tests::test_service::{Obedient, TestServiceClient, pattern};

use crate::fixture::{connect, soon};

#[test]
fn a_service_in_this_process() {
    let folder = tempfile::tempdir().unwrap();
    let running = Server::new(Obedient).folder(folder.path()).listen("tcp://127.0.0.1:0").start().unwrap();
    let addresses: Vec<String> = running.addresses().collect();
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    assert_eq!(addresses[0], format!("shm://{}/test.sock", folder.path().display()));
    let clients: Vec<TestServiceClient> = addresses.iter().map(|address| connect(address)).collect();
    for client in &clients {
        assert_eq!(client.pid().unwrap(), std::process::id());
        assert!(client.echo_bytes(&pattern(300_000)).unwrap() == pattern(300_000));
        assert!(client.panic("oh no").unwrap_err().message().contains("oh no"));
    }
    let taken = Server::new(Obedient).folder(folder.path()).start().err().unwrap().to_string();
    assert!(taken.contains("already runs") && taken.contains(&std::process::id().to_string()), "{taken}");
    soon("the end", || running.stop().unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    for client in &clients {
        let error = soon("a call to nobody", || client.echo("hi").unwrap_err());
        assert_eq!(error.outcome(), Outcome::NotStarted, "{error}");
    }
}

#[test]
fn a_service_that_is_dropped_leaves_its_name_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Server::new(Obedient).folder(folder.path()).start().unwrap();
    let mut running = start();
    let client = connect(&running.shm_address());
    for _ in 0..5 {
        assert_eq!(client.echo("hi").unwrap(), "hi");
        drop(running);
        running = start();
    }
    drop(running);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_example_greets_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = command("hello-service");
    service.env("SPEEDYSVC_RUN_DIR", folder.path()).env("SPEEDYSVC_LISTEN", "tcp://127.0.0.1:0");
    let mut service = Process::start(service);
    let line = service.wait_for_line("ready");
    assert!(line.contains("shm://hello") && line.contains("tcp://127.0.0.1:"), "{line}");
    greets(folder.path());
    service.signal(Signal::INT);
    assert_eq!(service.wait(), 0, "{:#?}", service.err());
    let left = fs::read_dir(folder.path().join("default")).unwrap().count();
    assert_eq!(left, 0);
    let ended = Ended::of(client(folder.path()));
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
}

#[test]
fn the_example_greets_under_an_engine() {
    let mut engine = Engine::start("[service.hello]\nprogram = \"hello-service\"");
    greets(&engine.run_dir());
    assert_eq!(engine.stop(), 0);
}

fn client(run_dir: &Path) -> std::process::Command {
    let mut client = command("hello-client");
    client.env("SPEEDYSVC_RUN_DIR", run_dir);
    client
}

fn greets(run_dir: &Path) {
    let ended = Ended::of(client(run_dir));
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (Some(0), "Hello World!\n", ""));
}

/// The promise of the README: this little, and nothing else.
#[test]
fn the_example_is_small() {
    let lines = |file: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hello/src").join(file);
        let text = fs::read_to_string(path).unwrap();
        text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//")).count()
    };
    let (service, client) = (lines("lib.rs") + lines("bin/hello-service.rs"), lines("bin/hello-client.rs"));
    assert!(service <= 25, "the service has {service} lines");
    assert!(client <= 10, "the client has {client} lines");
}
