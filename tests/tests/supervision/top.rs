//! `ctl top`: a live view on a terminal, plain text or JSON lines elsewhere.

use std::process::{Command, Stdio};

use serde_json::Value;
use speedysvc_tests::harness::{Ended, Process, program};

use crate::fixture::{Load, ctl, ctl_well, engine};

/// Home, and forget what is below.
const HOME: &str = "\u{1b}[H\u{1b}[J";

#[test]
fn pictures_in_a_pipe_are_plain_and_have_the_load_in_them() {
    let mut engine = engine("workers = 2");
    let home = engine.home();
    let load = Load::start(&engine);
    let pictures = ctl_well(&home, &["top", "--count", "2", "--every", "300ms"]);
    assert!(!pictures.contains('\u{1b}'), "{pictures}");
    assert_eq!(pictures.matches("all is well; 1 services").count(), 2, "{pictures}");
    let rows: Vec<Vec<&str>> =
        pictures.lines().filter(|line| line.starts_with("test ")).map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 2, "{pictures}");
    assert!(rows.iter().all(|row| (row[1], row[2]) == ("ready", "2/2")), "{pictures}");
    let json = ctl_well(&home, &["top", "--count", "1", "--every", "300ms", "--json"]);
    let rows: Value = serde_json::from_str(&json).unwrap();
    let row = &rows[0];
    assert_eq!((&row["service"], &row["state"]), (&"test".into(), &"ready".into()), "{row}");
    assert!(row["calls_per_s"].as_f64().unwrap() > 0.0 && row["errors_per_s"] == 0.0, "{row}");
    assert!(row["handler_p50_ns"].as_u64() <= row["handler_p99_ns"].as_u64(), "{row}");
    assert!(row["rss"].as_u64().unwrap() > 0 && row["clients"].as_u64().unwrap() >= 1, "{row}");
    load.end();
    assert_eq!(engine.stop(), 0);
}

#[test]
fn a_terminal_is_drawn_over() {
    let mut engine = engine("");
    let top = format!(
        "{} ctl --run-dir {} top --count 3 --every 100ms",
        program("speedysvc-engine").display(),
        engine.run_dir().display()
    );
    // `script` gives its command a terminal, and writes down what is drawn there.
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &top, "/dev/null"]).stdin(Stdio::null());
    let drawn = Ended::of(script);
    assert_eq!(drawn.code, Some(0), "{drawn:?}");
    assert_eq!(drawn.out.matches(HOME).count(), 3, "{drawn:?}");
    assert!(drawn.out.contains("queue p99"), "{drawn:?}");
    assert_eq!(engine.stop(), 0);
}

#[test]
fn it_ends_with_the_engine_and_says_so() {
    let mut engine = engine("");
    let home = engine.home();
    let mut command = home.command("speedysvc-engine");
    command.arg("ctl").arg("--run-dir").arg(home.run_dir()).args(["top", "--every", "100ms"]).stdin(Stdio::null());
    let mut top = Process::start(command);
    top.wait_for_line("all is well");
    assert_eq!(engine.stop(), 0);
    assert_eq!(top.wait(), 69);
    assert_eq!(ctl(&home, &["top", "--count", "1"]).code, Some(69));
}
