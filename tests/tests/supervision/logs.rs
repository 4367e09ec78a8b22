//! What workers print and log.

use std::fs;
use std::process::Stdio;

use serde_json::Value;
use speedysvc_tests::harness::{Home, Process, install, wait_for};

use crate::fixture::{connect, ctl, ctl_well, engine, file, says};

fn lines(json: &str) -> Vec<Value> {
    let replies = json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    replies.flat_map(|reply| reply["lines"].as_array().cloned().unwrap_or_default()).collect()
}

#[test]
fn what_is_printed_is_kept_with_its_origin_and_cannot_pretend() {
    let mut engine = engine("");
    let home = engine.home();
    let client = connect(&engine.address("test"));
    let forged =
        "\u{1b}[31mred\nengine: all is lost\u{1e}{\"level\":\"error\",\"target\":\"engine\",\"text\":\"lost\"}";
    client.print(forged, false).unwrap();
    client.print("to standard error", true).unwrap();
    says(&engine, "to standard error");
    let logged = ctl_well(&home, &["logs", "test", "--json"]);
    let found = lines(&logged);
    assert!(found.iter().all(|line| line["service"] == "test" && line["worker"] == 0), "{found:#?}");
    let texts: Vec<_> = found.iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert!(texts.contains(&"\\u{1b}[31mred") && texts.contains(&"to standard error"), "{texts:?}");
    assert!(found.iter().all(|line| line["target"] == "stdout" || line["target"] == "stderr"), "{found:#?}");
    assert!(!logged.contains('\u{1b}') && engine.err().iter().all(|line| !line.contains('\u{1b}')));
    let warnings = lines(&ctl_well(&home, &["logs", "test", "--level", "warn", "--grep", "standard", "--json"]));
    assert_eq!(warnings.len(), 1);
    assert_eq!(engine.stop(), 0);
}

#[test]
fn files_have_everything_as_json_lines() {
    let toml = format!("[log]\ndir = \"log\"\n{}", file(""));
    let mut engine = speedysvc_tests::harness::Engine::start(&toml);
    let home = engine.home();
    connect(&engine.address("test")).print("for the file", false).unwrap();
    let read = |name: &str| fs::read_to_string(home.path().join("log").join(name)).unwrap_or_default();
    wait_for("the line", || read("test.log").contains("for the file"));
    assert!(read("engine.log").contains("for the file") && read("engine.log").contains("\"ready: 1 service"));
    assert!(!engine.err().iter().any(|line| line.contains("for the file")), "it goes to the files");
    assert_eq!(engine.stop(), 0);
    let parsed: Vec<Value> = read("engine.log").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(parsed.last().unwrap()["text"].as_str().unwrap().starts_with("test: "), "the last words are there");
}

#[test]
fn what_the_engine_says_of_a_service_is_among_its_lines() {
    let toml = format!("[log]\ndir = \"log\"\n{}", file(""));
    let engine = speedysvc_tests::harness::Engine::start(&toml);
    let home = engine.home();
    speedysvc_tests::harness::proc::kill(engine.workers()[0]);
    let died = || lines(&ctl_well(&home, &["logs", "test", "--grep", "was killed", "--json"]));
    wait_for("its death", || !died().is_empty());
    // By that it is no line that a worker can write.
    assert_eq!((&died()[0]["service"], &died()[0]["about"]), (&Value::Null, &"test".into()));
    wait_for("the same in the file", || {
        fs::read_to_string(home.path().join("log/test.log")).is_ok_and(|text| text.contains("was killed"))
    });
}

#[test]
fn a_flood_is_bounded_and_counted_and_holds_up_nobody() {
    let mut engine = engine("workers = 2");
    let home = engine.home();
    let client = connect(&engine.address("test"));
    let flood = "x".repeat(99) + "\n";
    // 20 MB: far more than a pipe or the memory of the log.
    for _ in 0..200 {
        client.print(&flood.repeat(1000), false).unwrap();
    }
    assert_eq!(client.echo("hi").unwrap(), "hi");
    let status = || crate::fixture::status(&home);
    wait_for("lines to be counted", || status()["log_lines_lost"].as_u64().unwrap() > 50_000);
    assert_eq!(engine.stop(), 0);
    assert!(engine.err().iter().any(|line| line.contains("wrote too fast: ")), "it is said");
}

#[test]
fn lines_without_end_sense_or_newline_are_kept_as_far_as_they_go() {
    let rude = "[service.rude]\nprogram = \"./rude\"\nrestart = { limit = \"1 in 60s\" }\n";
    let home = Home::new(&format!("{}{rude}", file("")));
    let script = "#!/bin/sh\nprintf 'not \\377 text\\n'\nhead -c 10000000 /dev/zero | tr '\\000' x\n\
                  printf '\\nnext\\nunfinished'\nkill -s SEGV $$\n";
    install(script.as_bytes(), &home.path().join("rude"));
    let mut engine = home.start_unready();
    says(&engine, "rude has failed");
    let found = lines(&ctl_well(&home, &["logs", "rude", "-n", "100", "--json"]));
    let printed: Vec<_> = found.iter().filter(|line| line["target"] == "stdout").collect();
    let texts: Vec<_> = printed.iter().map(|line| line["text"].as_str().unwrap()).collect();
    let long = "x".repeat(16 * 1024);
    assert!(texts == ["not \u{fffd} text", long.as_str(), "next", "unfinished"], "{texts:?}");
    let cut: Vec<_> = printed.iter().map(|line| line["cut"] == true).collect();
    assert_eq!(cut, [false, true, false, false]);
    assert_eq!(connect(&engine.address("test")).echo("hi").unwrap(), "hi");
    assert_eq!(engine.stop(), 0);
}

#[test]
fn lines_can_be_followed() {
    let mut engine = engine("");
    let home = engine.home();
    let mut command = home.command("speedysvc-engine");
    command.arg("ctl").arg("--run-dir").arg(home.run_dir()).args(["logs", "test", "--follow"]).stdin(Stdio::null());
    let client = connect(&engine.address("test"));
    client.print("before", false).unwrap();
    says(&engine, "before");
    let mut follower = Process::start(command);
    follower.wait_for_line("before");
    client.print("after", true).unwrap();
    let line = follower.wait_for_line("after");
    assert!(line.contains("WARN") && line.contains("test/0") && line.contains("stderr"), "{line}");
    assert_eq!(engine.stop(), 0);
    assert_eq!(follower.wait(), 0, "it ends with the engine");
}

#[test]
fn lines_are_searched_by_text_level_and_worker_also_those_to_come() {
    let mut engine = engine("workers = 2");
    let home = engine.home();
    let client = connect(&engine.address("test"));
    let mut command = home.command("speedysvc-engine");
    command.arg("ctl").arg("--run-dir").arg(home.run_dir());
    command.args(["logs", "test", "--follow", "--grep", "needle", "--level", "warn"]).stdin(Stdio::null());
    client.print("an early needle on standard error", true).unwrap();
    says(&engine, "an early needle on standard error");
    let mut follower = Process::start(command);
    follower.wait_for_line("an early needle");
    client.print("a needle that is only information", false).unwrap();
    // It goes another way than what is printed to standard error, and could come later.
    says(&engine, "a needle that is only information");
    client.print("hay", true).unwrap();
    client.print("the last needle", true).unwrap();
    follower.wait_for_line("the last needle");
    let seen = follower.out();
    assert!(seen.iter().all(|line| line.contains("needle") && line.contains("WARN")), "{seen:#?}");
    let found = lines(&ctl_well(&home, &["logs", "test", "--grep", "needle", "--json"]));
    assert_eq!(found.len(), 3, "{found:#?}");
    let last = lines(&ctl_well(&home, &["logs", "test", "--grep", "needle", "-n", "1", "--json"]));
    assert_eq!(last[0]["text"], "the last needle");
    let of =
        |worker: &str| lines(&ctl_well(&home, &["logs", "test", "--grep", "needle", "--worker", worker, "--json"]));
    assert_eq!(of("0").len() + of("1").len(), 3);
    assert!(of("1").iter().all(|line| line["worker"] == 1));
    assert_eq!(ctl(&home, &["logs", "nobody"]).code, Some(2));
    assert_eq!(engine.stop(), 0);
    assert_eq!(follower.wait(), 0);
}

#[test]
fn a_level_for_all_services_reaches_all_and_stays_for_those_that_come() {
    let mut engine = engine("");
    let home = engine.home();
    let client = connect(&engine.address("test"));
    let count = |text: &str| lines(&ctl_well(&home, &["logs", "test", "-n", "9999", "--grep", text, "--json"])).len();
    assert_eq!(ctl_well(&home, &["level", "trace"]).trim(), "test logs from trace up");
    wait_for("the new level", || {
        client.log("quiet before").unwrap();
        count("quiet before") > 0 && {
            client.log("loud").unwrap();
            wait_for("its last line", || count("loud") >= 3);
            count("loud") >= 5
        }
    });
    ctl_well(&home, &["restart", "test"]);
    client.log("after the restart").unwrap();
    wait_for("five lines", || count("after the restart") == 5);
    assert_eq!(ctl(&home, &["level", "loud"]).code, Some(2));
    assert_eq!(ctl(&home, &["level", "info", "nobody"]).code, Some(2));
    assert_eq!(engine.stop(), 0);
}

#[test]
fn what_is_logged_arrives_with_level_module_and_call() {
    let mut engine = engine("");
    let home = engine.home();
    let text = "made\nof two \u{1b}[31mlines";
    for (address, call) in [(engine.address("test"), "link "), (engine.tcp_address("test"), "frame ")] {
        connect(&address).log(text).unwrap();
        let query = ["logs", "test", "--grep", "made", "--json"];
        let found = || -> Vec<Value> {
            let all = lines(&ctl_well(&home, &query));
            all.into_iter().filter(|line| line["call"].as_str().is_some_and(|of| of.starts_with(call))).collect()
        };
        wait_for("three lines", || found().len() == 3);
        let found = found();
        let levels: Vec<_> = found.iter().map(|line| line["level"].as_str().unwrap()).collect();
        assert_eq!(levels, ["info", "warn", "error"]);
        assert!(found.iter().all(|line| line["target"] == "speedysvc_tests::test_service"), "{found:#?}");
        let escaped = "made\\nof two \\u{1b}[31mlines";
        assert_eq!(found[1]["text"], escaped);
        assert_eq!(found[0]["text"], format!("{escaped} length={}", text.len()));
    }
    assert_eq!(engine.stop(), 0);
}

#[test]
fn the_level_changes_while_it_runs() {
    let mut engine = engine("");
    let home = engine.home();
    let client = connect(&engine.address("test"));
    let levels = || {
        let found = lines(&ctl_well(&home, &["logs", "test", "-n", "9999", "--grep", "tick", "--json"]));
        found.iter().map(|line| line["level"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let changes = [("trace", 5), ("error", 1), ("debug", 4)];
    let mut before = 0;
    for (level, count) in changes {
        ctl_well(&home, &["level", level, "test"]);
        // The order reaches the loop by its control socket: until then a call logs as before.
        wait_for("the new level", || {
            client.log("tick").unwrap();
            // Every call logs an error last.
            wait_for("its lines", || levels().len() > before && levels().last().is_some_and(|last| last == "error"));
            let more = levels().len() - before;
            before += more;
            more == count
        });
    }
    assert_eq!(engine.stop(), 0);
}
