//! The command line does what `--help` says.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;
use speedysvc_tests::harness::{Ended, Engine, Home, Process, command, wait_for};

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
fn calls_can_be_repeated_and_timed() {
    let engine = engine("");
    for address in addresses(&engine) {
        let ended = call(&address, &["echo", "\"hi\"", "--repeat", "3"]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(0), "\"hi\"\n"), "the last: {ended:?}");
        assert!(ended.err.starts_with("3 calls: min ") && ended.err.contains("p99 "), "{ended:?}");
        let ended = call(&address, &["fail", "\"abc\"", "--repeat", "3"]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.err.contains("1 call: "), "it ends with the first that fails: {ended:?}");
        failed(&call(&address, &["echo", "\"hi\"", "--repeat", "0"]), 2, &["--repeat"]);
    }
}

#[test]
fn scripts_read_how_a_call_ended_in_json() {
    let engine = engine("");
    let [shm, tcp] = addresses(&engine);
    let lines = |ended: &Ended| -> Vec<Value> {
        ended.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{ended:?}"))).collect()
    };
    for address in [&shm, &tcp] {
        let ended = call(address, &["sum", "[1, 2]", "--json", "--repeat", "2"]);
        let [one, two] = &lines(&ended)[..] else { panic!("two lines: {ended:?}") };
        assert_eq!((&one["ended"], &one["result"], &two["result"]), (&"ok".into(), &3.into(), &3.into()));
        assert!(one["took_ns"].as_u64().unwrap() > 0);
        let ended = call(address, &["fail", "\"abc\"", "--json"]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let line = &lines(&ended)[0];
        assert_eq!((&line["ended"], &line["error"]["Wrong"]["length"]), (&"application".into(), &3.into()));
        let ended = call(address, &["panic", "\"oh no\"", "--json"]);
        assert_eq!((ended.code, ended.err.as_str()), (Some(1), ""), "{ended:?}");
        let line = &lines(&ended)[0];
        assert_eq!((&line["code"], &line["outcome"]), (&"INTERNAL".into(), &"done".into()), "{line}");
    }
    drop(engine);
    let ended = call(&shm, &["echo", "1", "--json"]);
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert_eq!(lines(&ended)[0]["outcome"], "not_started");
}

#[test]
fn a_service_is_described_for_people_and_for_programs() {
    let engine = engine("");
    for address in addresses(&engine) {
        let ended = run(&["describe", &address]);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
        for text in [
            "test (version ",
            "echo(&str) -> String\n    takes  text: string\n    gives  string\n    The same text.",
            "(idempotent)",
        ] {
            assert!(ended.out.contains(text), "{text}: {}", ended.out);
        }
        let json: Value = serde_json::from_str(&run(&["describe", &address, "--json"]).out).unwrap();
        assert_eq!(json["service"], "test");
    }
    failed(&run(&["describe", "nowhere"]), 2, &["address"]);
    let [shm, _] = addresses(&engine);
    drop(engine);
    failed(&run(&["describe", &shm]), 69, &["UNAVAILABLE"]);
}

#[test]
fn a_service_is_pinged() {
    let engine = engine("");
    for address in addresses(&engine) {
        let ended = run(&["ping", &address, "--count", "2", "--every", "1ms"]);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
        let pings = ended.out.lines().filter(|line| line.starts_with("test: serving in ")).count();
        assert!(pings == 2 && ended.out.contains("all 2 calls: min "), "{ended:?}");
        let ended = run(&["ping", &address, "--latency", "--count", "300", "--every", "1ms", "--json"]);
        let last: Value = serde_json::from_str(ended.out.lines().last().unwrap()).unwrap();
        assert_eq!(last["all"]["calls"], 300, "{ended:?}");
        assert!(last["all"]["p50_ns"].as_u64() <= last["all"]["p99_9_ns"].as_u64(), "{last}");
        assert!(!ended.out.contains('\u{1b}'), "no terminal, no control characters");
    }
    failed(&run(&["ping", "shm:///nowhere/test.sock"]), 69, &["UNAVAILABLE"]);
}

#[test]
fn a_ping_ends_with_a_summary_at_ctrl_c() {
    let engine = engine("");
    let mut ping = command("speedysvc-engine");
    ping.args(["ping", &engine.address("test"), "--latency", "--every", "10ms"]).stdin(Stdio::null());
    let mut ping = Process::start(ping);
    ping.wait_for_line("p99.9");
    ping.signal(rustix::process::Signal::INT);
    assert_eq!(ping.wait(), 0);
    // Its last line may be in the pipe still when it has ended.
    wait_for("the summary", || ping.out().last().unwrap().starts_with("all "));
}

#[test]
fn a_first_file_is_written_and_accepted_and_never_overwritten() {
    let home = Home::new("");
    fs::remove_file(home.config()).unwrap();
    let verb = |words: &[&str]| {
        let mut command = home.command("speedysvc-engine");
        command.args(words);
        Ended::of(command)
    };
    let init = verb(&["init"]);
    assert_eq!(init.code, Some(0), "{init:?}");
    assert_eq!(verb(&["init", "-"]).out, fs::read_to_string(home.config()).unwrap());
    assert_eq!(verb(&["check"]).code, Some(0));
    failed(&verb(&["init"]), 1, &["is there already"]);
    let printed = verb(&["check", "--print"]);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    assert!(printed.out.contains("# default") && printed.out.contains("# service.toml:"), "{printed:?}");
}

#[test]
fn a_service_ini_is_imported_with_remarks() {
    let home = Home::new("");
    let ini = "[defaults]\nbind_tcp = 127.0.0.1:0\n[EchoServer]\nimport_from = echo.server\nmax_proc_num = 2\n";
    fs::write(home.path().join("service.ini"), ini).unwrap();
    let import = |words: &[&str]| {
        let mut command = home.command("speedysvc-engine");
        command.arg("import").args(words);
        Ended::of(command)
    };
    let shown = import(&["service.ini"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.err.contains("[EchoServer] import_from: ") && !shown.out.contains("[EchoServer]"), "{shown:?}");
    assert_eq!(import(&["service.ini", "--output", "new.toml"]).code, Some(0));
    assert_eq!(fs::read_to_string(home.path().join("new.toml")).unwrap(), shown.out);
    failed(&import(&["service.ini", "--output", "new.toml"]), 1, &["is there already"]);
    failed(&import(&["nothing.ini"]), 78, &["nothing.ini"]);
    // With its program it runs.
    let program = speedysvc_tests::harness::program("test-service");
    std::os::unix::fs::symlink(program, home.path().join("echo")).unwrap();
    let toml =
        shown.out.replace("\"echo-server-service\"", "\"./echo\"").replace("[service.echo-server]", "[service.test]");
    home.rewrite(&toml);
    let mut engine = home.start();
    printed(&call(&engine.tcp_address("test"), &["echo", "\"hi\""]), "\"hi\"\n");
    assert_eq!(engine.stop(), 0);
}

#[test]
fn some_services_are_started_with_those_that_they_come_after() {
    let service = |name: &str, after: &str| format!("[service.{name}]\nbuiltin = \"echo\"\nafter = [{after}]\n");
    let home = Home::new(&[service("db", ""), service("web", "\"db\""), service("log", "")].concat());
    let mut command = home.engine_command();
    command.args(["--only", "web"]);
    let mut engine = home.start_by(command);
    let said = engine.process().out();
    assert!(said.contains(&"only: web, and before them db; not started: log".to_owned()), "{said:?}");
    let folder = home.run_dir().join("default");
    assert!(folder.join("web.sock").exists() && folder.join("db.sock").exists() && !folder.join("log.sock").exists());
    // A reload keeps to it.
    let mut reload = home.command("speedysvc-engine");
    reload.args(["ctl", "--run-dir"]).arg(home.run_dir()).arg("reload");
    printed(&Ended::of(reload), "nothing is different\n");
    assert_eq!(engine.stop(), 0);
    let mut wrong = home.engine_command();
    wrong.args(["--only", "wbe"]);
    failed(&Ended::of(wrong), 2, &["no service `wbe`", "did you mean `web`?"]);
}

#[test]
fn shells_and_the_manual_know_every_verb() {
    let verbs = ["init", "import", "check", "call", "describe", "ping", "driver", "ctl", "completions", "man"];
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert_eq!(script.code, Some(0), "{script:?}");
        verbs.iter().for_each(|verb| assert!(script.out.contains(verb), "{shell}: {verb}"));
    }
    let page = run(&["man"]);
    assert!(page.out.starts_with(".ie") && page.out.contains(".TH speedysvc"), "{}", &page.out[..200]);
    let home = Home::new("");
    let folder = home.path().join("man");
    assert_eq!(run(&["man", folder.to_str().unwrap()]).code, Some(0));
    for page in verbs.map(|verb| format!("speedysvc-engine-{verb}.1")).iter().chain(&["speedysvc-engine.1".to_owned()])
    {
        assert!(folder.join(page).exists(), "{page}");
    }
    assert!(folder.join("speedysvc-engine-ctl-status.1").exists());
    for verb in &verbs[..6] {
        let help = run(&[verb, "--help"]);
        assert!(help.out.contains("Exit codes: 0 "), "{verb}: {help:?}");
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
    let named = run(&["check", &home.config().display().to_string()]);
    assert_eq!((named.code, &named.out), (ended.code, &ended.out), "{named:?}");
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

#[test]
fn a_service_answers_by_the_name_that_the_file_gives_it() {
    let engine = Engine::start("[web]\nlisten = false\n[service.my-copy]\nprogram = \"test-service\"\n");
    for address in [engine.address("my-copy"), "shm://my-copy".to_owned(), "service://my-copy".to_owned()] {
        for (verb, said) in
            [(&["call", &address, "echo", "\"x\""][..], "\"x\""), (&["describe", &address], "echo(&str)")]
        {
            let mut command = engine.home().command("speedysvc-engine");
            command.args(verb).env("SPEEDYSVC_RUN_DIR", engine.run_dir());
            let ended = Ended::of(command);
            assert!(ended.code == Some(0) && ended.out.contains(said), "{verb:?}: {ended:?}");
        }
    }
}
