//! `report` and baselines with the program as users run it. Figures are written by hand, so that verdicts are known.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn harness(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-harness"));
    command.args(arguments).stdin(Stdio::null()).output().expect("the program was built with this test")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// A small campaign.
/// `None` where there is one processor only.
fn campaign(folder: &Path) -> Option<Value> {
    if std::thread::available_parallelism().is_ok_and(|count| count.get() < 2) {
        return None;
    }
    let path = folder.to_str().expect("it is UTF-8");
    let what = ["compare", "--peers", "std-tcp", "--scenario", "round-trip-32b", "--rounds", "3", "--span-ms", "10"];
    let output = harness(&[&what[..], &["--out", path]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let text = fs::read_to_string(folder.join("results.json")).expect("it was written");
    Some(serde_json::from_str(&text).expect("it is JSON"))
}

/// The same rows, but the floor takes 100 ns and std-tcp this long, always.
fn with_p50(mut results: Value, p50: f64) -> Value {
    // As if nothing could be probed: then all rounds are alike.
    results["distances"] = json!([]);
    for row in results["compared"][0]["rows"].as_array_mut().expect("every row is written") {
        let p50 = if row["contender"] == "std-tcp" { p50 } else { 100.0 };
        let figures = &mut row["figures"];
        figures["distance"] = Value::Null;
        figures["void"] = Value::Null;
        figures["p50"] = json!(p50);
        figures["rate"] = json!(1e9 / p50);
    }
    results
}

fn put(folder: &Path, name: &str, results: &Value) -> String {
    let path = folder.join(name);
    fs::write(&path, results.to_string()).expect("a test's folder can be written to");
    path.to_str().expect("it is UTF-8").to_owned()
}

#[test]
fn pages_are_made_again_and_judged_by_a_baseline() {
    let folder = tempfile::tempdir().expect("a folder for a test can be made");
    let Some(results) = campaign(folder.path()) else { return };
    let page = folder.path().join("report.html");
    let first = fs::read_to_string(&page).expect("compare writes the page");
    fs::remove_file(&page).expect("it is there");
    let here = folder.path().to_str().expect("it is UTF-8");
    let again = harness(&["report", here]);
    assert!(again.status.success() && said(&again).contains("Where others win"), "{}", said(&again));
    assert_eq!(fs::read_to_string(&page).expect("report writes the page"), first);

    let before = put(folder.path(), "before.json", &with_p50(results.clone(), 30_000.0));
    let same = put(folder.path(), "same.json", &with_p50(results.clone(), 31_000.0));
    let worse = put(folder.path(), "worse.json", &with_p50(results, 36_000.0));
    let code = |now: &str, limit: &[&str]| {
        let output = harness(&[&["report", now, "--baseline", &before], limit].concat());
        assert!(said(&output).contains("Against the baseline"), "{}", said(&output));
        (output.status.code(), said(&output).contains("WORSE"))
    };
    assert_eq!(code(&same, &["--fail-on-regression", "10%"]), (Some(0), false));
    assert_eq!(code(&worse, &["--fail-on-regression", "10%"]), (Some(4), true));
    assert_eq!(code(&worse, &["--fail-on-regression", "25"]), (Some(0), false));
    // Shown, but nobody asked to fail.
    assert_eq!(code(&worse, &[]), (Some(0), true));
}

#[test]
fn what_cannot_be_read_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder for a test can be made");
    let here = folder.path().to_str().expect("it is UTF-8");
    let nothing = harness(&["report", here]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(said(&nothing).contains("name what `bench-harness compare` has written"), "{}", said(&nothing));
    put(folder.path(), "results.json", &json!({"format": 999, "harness": "bench-harness 9.9"}));
    let other = harness(&["report", here]);
    assert!(other.status.code() == Some(1) && said(&other).contains("use bench-harness 9.9"), "{}", said(&other));
    // Before anything is run.
    let baseline = harness(&["compare", "--quick", "--baseline", here]);
    assert!(baseline.status.code() == Some(1) && said(&baseline).contains("format 999"), "{}", said(&baseline));
    let percent = harness(&["compare", "--baseline", here, "--fail-on-regression", "ten"]);
    assert!(percent.status.code() == Some(2) && said(&percent).contains("write it like 10%"), "{}", said(&percent));
    let alone = harness(&["compare", "--fail-on-regression", "10%"]);
    assert!(alone.status.code() == Some(2) && said(&alone).contains("--baseline"), "{}", said(&alone));
}
