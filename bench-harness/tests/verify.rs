//! The program as continuous integration runs it: real processes, every byte checked. No figure is judged here.
#![forbid(unsafe_code)]

use std::process::{Command, Output, Stdio};

const ALL_SHAPES: &str = "16, 32, 56, 1024, 4097, 65536, 1048576, 64x32, 7x1000, 16x1x64, 3x7x1000 bytes";

fn harness(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-harness"));
    command.args(arguments).stdin(Stdio::null()).output().expect("the program was built with this test")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn floors_and_plain_sockets_answer_right() {
    let names = "floor-spin,floor-two-areas,floor-one-area,floor-futex,floor-ring,floor-uring,floor-uring-spin,\
                 floor-epoll,std-tcp,std-tcp-poll,std-unix";
    let output = harness(&["verify", "--peers", names]);
    assert!(output.status.success(), "{output:?}");
    let said = out(&output);
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), 11, "{said}");
    let line = |name: &str| said.lines().find(|line| line.contains(name)).expect("it was asked for").to_owned();
    for name in ["floor-uring ", "floor-uring-spin", "floor-epoll", "std-tcp ", "std-unix"] {
        assert!(line(name).ends_with(ALL_SHAPES), "{said}");
    }
    assert!(line("floor-ring").ends_with("16, 32, 56, 64x32 bytes"), "{said}");
}

#[test]
fn libraries_without_anything_to_build_answer_right() {
    let output = harness(&["verify", "--peers", "tokio-tcp,axum-raw,axum-json"]);
    assert!(output.status.success(), "{output:?}");
    let said = out(&output);
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ") && line.ends_with(ALL_SHAPES)).count(), 3, "{said}");
}

#[test]
fn a_wrong_name_says_what_there_is() {
    let output = harness(&["verify", "--peers", "floor-spinn"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there are: floor-spin, "), "{output:?}");
}

#[test]
fn a_campaign_writes_its_folder() {
    let folder = tempfile::tempdir().expect("a folder for a test can be made");
    let results = folder.path().join("results");
    let path = results.to_str().expect("it is UTF-8");
    let peers = ["--peers", "floor-futex,std-tcp", "--scenario", "round-trip-32b"];
    let output = harness(&[&["compare", "--rounds", "3", "--span-ms", "10", "--out", path], &peers[..]].concat());
    if std::thread::available_parallelism().is_ok_and(|count| count.get() < 2) {
        assert!(String::from_utf8_lossy(&output.stderr).contains("only one"), "{output:?}");
        return;
    }
    assert!(output.status.success(), "{output:?}");
    let said = out(&output);
    assert!(said.contains("floor-futex") && said.contains("x plain"), "{said}");
    let read =
        |name: &str| std::fs::read_to_string(results.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let json: serde_json::Value = serde_json::from_str(&read("results.json")).expect("results.json is JSON");
    // Two references twice, and three contenders once, in each round.
    assert_eq!(json["rows_run"], 3 * (2 * 2 + 3));
    assert!(read("results.md").contains("It cannot show:"));
    assert!(read("machine.txt").starts_with("command: "));
    let rows = json["compared"][0]["rows"].as_array().expect("every row is written");
    let counts = |row: &&serde_json::Value| {
        row["part"] == "main" && row["contender"] == "std-tcp" && row["figures"]["void"].is_null()
    };
    // On a busy machine all rounds may be void; then there is nothing to pool.
    if rows.iter().any(|row| counts(&row)) {
        assert!(read("round-trip-32b.std-tcp.hgrm").contains("1/(1-Percentile)"));
    }
}

#[test]
fn idle_connections_are_counted_or_said_to_be_too_many() {
    let folder = tempfile::tempdir().expect("a folder for a test can be made");
    let results = folder.path().join("results");
    let path = results.to_str().expect("it is UTF-8");
    let output =
        harness(&["compare", "--rounds", "1", "--out", path, "--scenario", "idle-1000", "--peers", "std-unix"]);
    if std::thread::available_parallelism().is_ok_and(|count| count.get() < 2) {
        return;
    }
    assert!(output.status.success(), "{output:?}");
    let said = out(&output);
    let is_counted = said.contains("server/connection") && said.contains("KiB");
    assert!(is_counted || said.contains("skipped: limit"), "{said}");
}
