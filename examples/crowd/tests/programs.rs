//! The service's program, beside a service `hello` in this process.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use hello::Hello;

struct Friendly;

#[speedysvc::service]
impl Hello for Friendly {
    fn hello(&self, name: &str) -> String {
        format!("Hello {name}!")
    }
}

/// Killed when the test ends, however that is.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).ok();
    }
}

#[test]
fn a_crowd_is_greeted_by_another_service() {
    let run = tempfile::tempdir().unwrap();
    let hello = speedysvc::Server::new(Friendly).folder(&run.path().join("default")).start().unwrap();
    let program = |path: &str| {
        let mut command = Command::new(path);
        command.env("SPEEDYSVC_RUN_DIR", run.path()).stdout(Stdio::piped());
        command
    };
    let mut service = Service(program(env!("CARGO_BIN_EXE_crowd-service")).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(service.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("ready"), "{line}");
    let client = program(env!("CARGO_BIN_EXE_crowd-client")).args(["Ada", "Grace"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&client.stdout), "Hello Ada!\nHello Grace!\n", "{client:?}");
    hello.stop().unwrap();
}

#[test]
fn without_hello_it_says_that_it_is_unavailable() {
    let run = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_crowd-service"));
    let ended = command.env("SPEEDYSVC_RUN_DIR", run.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(69), "{said}");
    assert!(said.starts_with("crowd-service: ") && said.contains("hello"), "{said}");
}
