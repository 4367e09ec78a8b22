//! The command line does what `--help` says.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use speedysvc_tests::harness::{Ended, Engine, Home, command};

use crate::fixture::{addresses, engine, file, soon};

fn run(arguments: &[&str]) -> Ended {
    let mut command = command("speedysvc-engine");
    command.args(arguments);
    Ended::of(command)
}

fn call(address: &str, rest: &[&str]) -> Ended {
    run(&[&["call", address], rest].concat())
}

/// It failed with this code, said these things on standard error, and nothing on standard output.
#[track_caller]
fn failed(ended: &Ended, code: i32, said: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert_eq!(ended.out, "", "{ended:?}");
    for text in said {
        assert!(ended.err.contains(text), "`{text}` is missing: {ended:?}");
    }
}

#[track_caller]
fn printed(ended: &Ended, out: &str) {
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (Some(0), out, ""));
}

#[test]
fn a_call_prints_its_result_and_nothing_else() {
    let engine = engine("");
    for address in addresses(&engine) {
        printed(&call(&address, &["echo", "\"hi\""]), "\"hi\"\n");
        printed(&call(&address, &["echo", "\"größe\""]), "\"größe\"\n");
        printed(&call(&address, &["sum", "[1, 2, 39]"]), "42\n");
        printed(&call(&address, &["echo_bytes", "\"AP8=\""]), "\"AP8=\"\n");
        printed(&call(&address, &["fail", "\"well\""]), "null\n");
        let pid = call(&address, &["pid"]);
        let pid: u32 = pid.out.trim().parse().unwrap_or_else(|_| panic!("{pid:?}"));
        assert_eq!(engine.workers(), [pid]);
    }
}

#[test]
fn several_arguments_come_by_name_or_in_order() {
    let engine = engine("");
    let notes = engine.home().path().join("notes");
    for address in addresses(&engine) {
        let file = notes.display();
        printed(&call(&address, &["note", &format!(r#"{{"line": "by name", "file": "{file}"}}"#)]), "null\n");
        printed(&call(&address, &["note", &format!(r#"["{file}", "in order"]"#)]), "null\n");
    }
    assert_eq!(fs::read_to_string(notes).unwrap(), "by name\nin order\n".repeat(2));
}

#[test]
fn hosts_have_names() {
    let engine = engine("");
    let [_, tcp] = addresses(&engine);
    printed(&call(&tcp.replace("127.0.0.1", "localhost"), &["echo", "\"hi\""]), "\"hi\"\n");
}

#[test]
fn the_builtin_service_answers() {
    let mut engine = Engine::start("[service.echo]\nbuiltin = \"echo\"\nlisten = [\"tcp://127.0.0.1:0\"]");
    for address in [engine.address("echo"), engine.tcp_address("echo")] {
        printed(&call(&address, &["echo", "\"hi\""]), "\"hi\"\n");
    }
    let mut by_name = command("speedysvc-engine");
    by_name.env("SPEEDYSVC_RUN_DIR", engine.run_dir()).args(["call", "shm://echo", "echo", "\"hi\""]);
    printed(&Ended::of(by_name), "\"hi\"\n");
    assert_eq!(engine.stop(), 0);
}

#[test]
fn the_argument_may_come_from_standard_input() {
    let engine = engine("");
    for address in addresses(&engine) {
        // Longer than a pipe holds.
        let long = format!("\"{}\"\n", "x".repeat(300_000));
        printed(&with_input(&["call", &address, "echo", "-"], long.as_bytes()), &long);
        failed(&with_input(&["call", &address, "echo", "-"], b"no JSON"), 2, &["not JSON"]);
        failed(&with_input(&["call", &address, "echo", "-"], &[0xff]), 2, &["standard input"]);
    }
}

fn with_input(arguments: &[&str], input: &[u8]) -> Ended {
    let mut command = command("speedysvc-engine");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn failed_calls_have_exit_codes() {
    let engine = engine("");
    for address in addresses(&engine) {
        failed(&call(&address, &["fail", "\"abc\""]), 1, &["fail", r#"{"Wrong":{"text":"abc","length":3}}"#]);
        failed(&call(&address, &["panic", "\"oh no\""]), 1, &["INTERNAL", "oh no"]);
        failed(&call(&address, &["nothing"]), 1, &["UNIMPLEMENTED", "`nothing`", "echo_bytes"]);
        failed(&call(&address, &["echo", "7"]), 1, &["INVALID_ARGUMENT"]);
        failed(&call(&address, &["echo", "hi"]), 2, &["not JSON", "quotes"]);
        let late = soon("a call with a timeout", || call(&address, &["sleep_ms", "4000", "--timeout", "300ms"]));
        failed(&late, 75, &["DEADLINE_EXCEEDED"]);
    }
    let [shm, tcp] = addresses(&engine);
    drop(engine);
    for address in [shm, tcp] {
        failed(&soon("nobody there", || call(&address, &["echo", "\"hi\""])), 69, &["UNAVAILABLE", &address]);
    }
}

#[test]
fn nonsense_is_a_usage_error() {
    for address in ["echo", "http://localhost:80", "tcp://localhost", "tcp://localhost:port", "shm://", "shm://A b"] {
        failed(&call(address, &["echo", "\"hi\""]), 2, &["address"]);
    }
    for arguments in [
        &["--no-such-option"][..],
        &["no-such-verb"],
        &["call"],
        &["call", "shm://echo"],
        &["call", "shm://echo", "echo", "1", "2"],
        &["call", "shm://echo", "echo", "--timeout", "soon"],
        &["--config"],
        &["--config", "a.toml", "check"],
    ] {
        failed(&run(arguments), 2, &["--help"]);
    }
}

#[test]
fn help_and_version_are_told() {
    let help = run(&["--help"]);
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    for text in ["--config", "check", "call", "Exit codes: 0", "69", "75", "78"] {
        assert!(help.out.contains(text), "`{text}` is missing: {}", help.out);
    }
    assert!(!help.out.contains("builtin"), "what the supervisor uses is hidden: {}", help.out);
    printed(&run(&["--version"]), concat!("speedysvc-engine ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_bad_file_starts_nothing() {
    let bad = Home::new(&file("workers = 0\nwrokers = 2"));
    for verb in [&[][..], &["check"]] {
        let mut command = bad.command("speedysvc-engine");
        command.args(verb).arg("--config").arg(bad.config());
        failed(&Ended::of(command), 78, &["service.toml", "wrokers", "workers"]);
        assert!(!bad.run_dir().exists());
        assert_eq!(bad.processes(), [0; 0]);
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error_of_configuration() {
    failed(&run(&["--config", "/nowhere/service.toml"]), 78, &["/nowhere/service.toml"]);
    let home = Home::new("");
    fs::remove_file(home.config()).unwrap();
    let ended = Ended::of(home.command("speedysvc-engine"));
    failed(&ended, 78, &["--config", "service.toml"]);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_file_in_this_folder_needs_no_option() {
    let home = Home::new(&file(""));
    let mut check = home.command("speedysvc-engine");
    check.arg("check");
    let ended = Ended::of(check);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("test"), "{ended:?}");
    assert!(!home.run_dir().exists());
}

#[test]
fn what_cannot_be_started_ends_the_engine_and_leaves_nothing() {
    let home = Home::new("[service.test]\nprogram = \"./there-is-no-such-program\"");
    let ended = Ended::of(home.engine_command());
    assert!(matches!(ended.code, Some(69 | 78)), "{ended:?}");
    assert!(ended.err.contains("there-is-no-such-program"), "{ended:?}");
    assert!(!home.run_dir().exists());
}
