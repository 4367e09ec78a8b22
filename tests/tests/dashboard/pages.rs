//! What pages say.

use speedysvc_tests::harness::{Home, proc, wait_for, wait_until};

use crate::fixture::Dashboard;

const PAGES: [&str; 8] = ["/", "/services/test", "/latency", "/loops", "/clients", "/logs", "/config", "/bench"];

#[test]
fn every_page_is_there_and_what_is_not_is_not() {
    let dashboard = Dashboard::start("", "");
    dashboard.service_when("readiness", |service| service["state"] == "ready");
    for path in PAGES {
        let answer = dashboard.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(answer.body.contains("<!doctype html>") && answer.body.contains("</html>"), "{path}");
        assert_eq!(answer.field("cache-control"), Some("no-store"), "{path}");
    }
    for path in
        ["/services/none", "/nothing", "/assets/none", "/services/test/x", "/latency/x", "/events?page=/services/none"]
    {
        assert_eq!(dashboard.get(path).status, 404, "{path}");
    }
    assert_eq!(dashboard.get("/assets/live.js").field("content-type"), Some("text/javascript; charset=utf-8"));
}

#[test]
fn pages_are_there_as_soon_as_the_dashboard_is() {
    for _ in 0..5 {
        let text = "[web]\nlisten = \"127.0.0.1:0\"\n[service.echo]\nbuiltin = \"echo\"\n";
        let dashboard = Dashboard::unready(&Home::new(text));
        assert_eq!(dashboard.get("/services/echo").status, 200);
        assert_eq!(dashboard.get("/api/v1/services/echo").status, 200);
        assert!(dashboard.get("/").body.contains("/services/echo"));
    }
}

#[test]
fn numbers_are_those_that_were_sent_and_outlive_workers() {
    let dashboard = Dashboard::start("", "");
    let client = dashboard.client();
    for _ in 0..30 {
        client.echo("x").expect("it answers");
    }
    for _ in 0..3 {
        client.fail("on purpose").expect_err("it fails");
    }
    let calls = |service: &serde_json::Value| (service["calls"].as_u64(), service["errors"].as_u64());
    dashboard.service_when("33 calls", |service| calls(service) == (Some(33), Some(3)));
    let history = || dashboard.get("/api/v1/history?service=test&seconds=600").json();
    let sum = |name: &str| -> f64 {
        let history = history();
        let step = history["step"].as_f64().expect("a step");
        history[name]
            .as_array()
            .expect("a line")
            .iter()
            .filter_map(serde_json::Value::as_f64)
            .map(|rate| rate * step)
            .sum()
    };
    wait_for("33 calls in the history", || (sum("calls") - 33.0).abs() < 1e-6 && (sum("errors") - 3.0).abs() < 1e-6);

    // A worker's end takes nothing away.
    let worker = client.pid().expect("it answers");
    // A call is counted after its answer, so a worker that dies at once may take the last count along.
    dashboard.service_when("34 calls", |service| calls(service).0 == Some(34));
    proc::kill(worker);
    wait_until("another worker", || client.pid().ok().filter(|pid| *pid != worker));
    client.echo("x").expect("it answers");
    dashboard.service_when("36 calls or more, and a death", |service| {
        service["deaths"] == 1 && calls(service).0 >= Some(36)
    });
    let page = dashboard.get("/services/test").body;
    assert!(page.contains("echo") && page.contains("fail"), "{page}");
}

#[test]
fn the_history_outlives_the_engine() {
    let mut dashboard = Dashboard::start("", "");
    let home = dashboard.engine.home();
    dashboard.client().echo("x").expect("it answers");
    let calls = |dashboard: &Dashboard| -> f64 {
        let history = dashboard.get("/api/v1/history?service=test&seconds=600").json();
        let step = history["step"].as_f64().unwrap_or(0.0);
        history["calls"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(serde_json::Value::as_f64)
            .map(|rate| rate * step)
            .sum()
    };
    wait_for("a call in the history", || (calls(&dashboard) - 1.0).abs() < 1e-6);
    assert_eq!(dashboard.engine.stop(), 0);
    assert!(home.path().join("run.history-default").is_file());
    let again = Dashboard::of(&home);
    wait_for("the call of the run before", || (calls(&again) - 1.0).abs() < 1e-6);
    again.service_when("no call of this run", |service| service["calls"] == 0);
}

/// Files of others are those of others.
#[test]
fn vendored_files_are_unchanged() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../web/assets/vendor");
    let text = std::fs::read_to_string(format!("{folder}/VENDOR.md")).expect("it is there");
    let sums = text.split("```").nth(1).expect("sums").trim();
    assert_eq!(sums.lines().count(), 3);
    let script = format!("cd '{folder}' && sha256sum --check --strict --quiet <<'E'\n{sums}\nE");
    let status = std::process::Command::new("sh").args(["-c", &script]).status().expect("there is a shell");
    assert!(status.success());
}

#[test]
fn a_default_address_that_is_taken_is_left_and_one_that_was_asked_for_is_not() {
    let first = Dashboard::start("", "");
    let text = format!("[web]\nlisten = \"{}\"\n[service.echo]\nbuiltin = \"echo\"\n", first.address);
    let home = Home::new(&text);
    let mut second = home.start_unready();
    assert_eq!(second.wait(), 69);
    wait_for("the reason", || second.err().iter().any(|line| line.contains("is taken") && line.contains("[web]")));
}
