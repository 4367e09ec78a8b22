//! The programs as the README shows them.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use counter::CounterClient;

/// Killed when the test ends, however that is.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).ok();
    }
}

#[test]
fn a_hundred_additions_are_counted_once_each() {
    let run = tempfile::tempdir().unwrap();
    let mut service = Command::new(env!("CARGO_BIN_EXE_counter-service"));
    let service = service.env("SPEEDYSVC_RUN_DIR", run.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut service = Service(service);
    let mut line = String::new();
    BufReader::new(service.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("ready"), "{line}");
    for round in 1..=2 {
        let client = Command::new(env!("CARGO_BIN_EXE_counter-client")).env("SPEEDYSVC_RUN_DIR", run.path()).output();
        let client = client.unwrap();
        let out = String::from_utf8_lossy(&client.stdout).into_owned();
        assert_eq!(out, format!("{}00 visits, and shm://counter says so\n", round), "{client:?}");
    }
    let counter = CounterClient::connect(&format!("shm://{}/default/counter.sock", run.path().display())).unwrap();
    assert_eq!((counter.get("visits").unwrap(), counter.worker().unwrap()), (200, service.0.id()));
}
