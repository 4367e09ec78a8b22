//! `tests/other-language/client.py` was written from docs/protocol.md alone: while it works, the document is true. And
//! what docs/from-python.md shows runs, and gives what it says.

use std::process::{Command, Output};

use speedysvc_tests::harness::Engine;

use crate::fixture::{addresses, engine};

fn python(address: &str, method: &str, json: &str) -> Option<Output> {
    let (host, port) = address.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':')).expect("a TCP address");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/other-language/client.py");
    match Command::new("python3").args([script, host, port, method, json]).output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("SKIPPED: python3: {error}; apt-get install python3");
            None
        }
    }
}

#[test]
fn a_client_in_python_is_understood() {
    let engine = engine("");
    let [_, tcp] = addresses(&engine);
    let Some(echoed) = python(&tcp, "echo", r#""Grüße aus Python""#) else { return };
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert_eq!((echoed.status.code(), text(&echoed).as_str()), (Some(0), r#""Grüße aus Python""#), "{echoed:?}");
    let unknown = python(&tcp, "no_such_method", "null").expect("it ran before");
    assert_ne!(unknown.status.code(), Some(0), "{unknown:?}");
    drop(engine);
    let gone = python(&tcp, "echo", "1").expect("it ran before");
    assert_eq!(gone.status.code(), Some(69), "{gone:?}");
}

/// Which Python has `requests`: the one of the path, or that of the system's packages.
fn python_with_requests() -> Option<&'static str> {
    let has = |python: &&str| Command::new(python).args(["-c", "import requests"]).output();
    ["python3", "/usr/bin/python3"].into_iter().find(|python| has(python).is_ok_and(|ended| ended.status.success()))
}

#[test]
fn all_python_of_the_page_for_python_runs_and_gives_what_it_says() {
    let engine = Engine::start("[service.echo]\nbuiltin = \"echo\"\nlisten = [\"tcp://127.0.0.1:0\"]\n");
    let address = engine.tcp_address("echo");
    let (_, port) = address.rsplit_once(':').expect("a TCP address");
    let folder = env!("CARGO_MANIFEST_DIR");
    let with_requests = python_with_requests();
    let mut command = Command::new(with_requests.unwrap_or("python3"));
    command.args([&format!("{folder}/other-language/page.py"), &format!("{folder}/../docs/from-python.md"), port]);
    if with_requests.is_none() {
        println!("SKIPPED: requests: apt-get install python3-requests");
        command.arg("--without-requests");
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return println!("SKIPPED: python3: {error}; apt-get install python3"),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let kept = said.strip_suffix(" promises kept\n").and_then(|count| count.parse().ok());
    assert!(output.status.success() && kept.is_some_and(|kept: u32| kept >= 7), "{output:?}");
}

#[test]
fn requests_is_a_client_with_whatever_it_does() {
    let Some(python) = python_with_requests() else {
        return println!("SKIPPED: requests: apt-get install python3-requests");
    };
    let engine = engine("");
    let url = engine.tcp_address("test").replacen("tcp", "http", 1);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/other-language/with_requests.py");
    let output = Command::new(python).args([script, &url]).output().expect("it ran before");
    assert!(output.status.success() && output.stdout == b"all well\n", "{output:?}");
}

/// wrk with 16 connections, first one request at a time and then eight: nothing but 200 comes back.
#[test]
fn wrk_is_a_client() {
    let engine = engine("");
    let url = engine.tcp_address("test").replacen("tcp", "http", 1);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/other-language/wrk.lua");
    for depth in ["1", "8"] {
        let mut wrk = Command::new("wrk");
        wrk.args(["-t", "2", "-c", "16", "-d", "1s", "--timeout", "60s", "-s", script, &url, "--", depth]);
        let output = match wrk.output() {
            Ok(output) => output,
            Err(error) => return println!("SKIPPED: wrk: {error}; apt-get install wrk"),
        };
        let said = String::from_utf8_lossy(&output.stdout);
        let requests = said.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse::<u64>().ok());
        assert!(output.status.success() && requests.is_some_and(|count| count > 0), "{depth}: {output:?}");
        assert!(!said.contains("Non-2xx") && !said.contains("Socket errors"), "{depth}: {said}");
        assert!(said.contains("every answer as expected"), "{depth}: {said}");
    }
}

/// What the served OpenAPI document says of requests and answers, held against thousands of both.
#[test]
fn schemathesis_finds_nothing_that_the_document_does_not_say() {
    let engine = engine("");
    let url = engine.tcp_address("test").replacen("tcp", "http", 1);
    let folder = tempfile::tempdir().unwrap();
    if let Err(error) = Command::new("schemathesis").arg("--version").output() {
        return println!("SKIPPED: schemathesis: {error}; pip install schemathesis");
    }
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/other-language/schemathesis.sh"));
    let output = command.args([&url, "--max-examples", "20"]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Tested: 10\n") && !said.contains("Unmatched"), "not all methods were tried: {said}");
}
