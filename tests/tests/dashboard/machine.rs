//! What programs get: metrics, probes, the API.

use std::io::Write as _;
use std::process::{Command, Stdio};

use speedysvc_tests::harness::wait_for;

use crate::fixture::Dashboard;

#[test]
fn metrics_are_what_prometheus_takes() {
    let dashboard = Dashboard::start("", "");
    let client = dashboard.client();
    (0..7).for_each(|_| drop(client.echo("x").expect("it answers")));
    client.fail("on purpose").expect_err("it fails");
    let line = "speedysvc_method_calls_total{service=\"test\",method=\"echo\"} 7";
    wait_for(line, || dashboard.get("/metrics").body.lines().any(|found| found == line));
    let answer = dashboard.get("/metrics");
    assert_eq!(answer.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let errors = "speedysvc_method_errors_total{service=\"test\",method=\"fail\",code=\"APPLICATION\"} 1";
    assert!(answer.body.contains(errors), "{}", answer.body);
    let value = |name: &str| -> f64 {
        let line = answer.body.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    };
    let echo = "{service=\"test\",method=\"echo\"";
    let last = "speedysvc_method_total_time_seconds_bucket{";
    let count = value(&format!("speedysvc_method_total_time_seconds_count{echo}"));
    assert!(count >= 1.0 && answer.body.contains(last), "{}", answer.body);
    assert!(value(&format!("speedysvc_method_total_time_seconds_sum{echo}")) > 0.0);
    check_with_promtool(&answer.body);
}

/// Where Debian's `prometheus` is installed its own checker reads them.
fn check_with_promtool(text: &str) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut promtool) = command.spawn() else {
        eprintln!("SKIPPED: no promtool");
        return;
    };
    promtool.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn probes_say_whether_all_is_well() {
    let dashboard = Dashboard::start("", "");
    wait_for("readiness", || dashboard.get("/readyz").status == 200);
    assert_eq!(dashboard.get("/healthz").body, "ok\n");
    assert_eq!(dashboard.post("/api/v1/services/test/stop").status, 200);
    // What is stopped on purpose is well.
    wait_for("readiness", || dashboard.get("/readyz").status == 200);
}

#[test]
fn a_service_that_fails_is_not_ready() {
    let good = "[web]\nlisten = \"127.0.0.1:0\"\n[service.good]\nbuiltin = \"echo\"\n";
    let restart = "restart = { backoff = \"1ms..1ms\", limit = \"1 in 60s\" }";
    let text = &format!("{good}[service.bad]\nprogram = \"/bin/false\"\n{restart}\n");
    let dashboard = Dashboard::unready(&speedysvc_tests::harness::Home::new(text));
    wait_for("a failure", || {
        let answer = dashboard.get("/readyz");
        answer.status == 503 && answer.body.contains("bad is failed")
    });
    assert!(dashboard.get("/").body.contains("bad is failed"));
}

#[test]
fn the_api_does_what_buttons_do() {
    let dashboard = Dashboard::start("", "");
    dashboard.service_when("readiness", |service| service["state"] == "ready");
    let scaled = dashboard.post("/api/v1/services/test/scale?workers=2");
    assert_eq!(scaled.status, 200, "{scaled:?}");
    let two = |service: &serde_json::Value| service["workers"].as_array().is_some_and(|workers| workers.len() == 2);
    dashboard.service_when("two workers", two);
    assert_eq!(dashboard.post("/api/v1/services/test/scale?workers=99").status, 422);
    assert_eq!(dashboard.post("/api/v1/services/none/restart").status, 404);
    assert_eq!(dashboard.post("/api/v1/services/test/explode").status, 404);
    assert_eq!(dashboard.get("/api/v1/services/none").status, 404);
    assert_eq!(dashboard.get("/api/v1/history?seconds=x").status, 422);
    // What schemathesis found: each parameter is what the document says, or is refused.
    for (path, status) in [
        ("/api/v1/latency?service=test&seconds=-58800", 422),
        ("/api/v1/latency?service=test&seconds=600", 200),
        ("/api/v1/logs?level=null&level=null", 422),
        ("/api/v1/logs?level=warn", 200),
        ("/api/v1/logs?service=none", 404),
    ] {
        assert_eq!(dashboard.get(path).status, status, "{path}");
    }
    for (path, allowed) in [("services/test/restart", "post"), ("services/test", "get,head"), ("reload", "post")] {
        let fields = format!("{}X-Speedysvc: yes\r\n", dashboard.host());
        let answer = dashboard.ask("OPTIONS", &format!("/api/v1/{path}"), &fields, "");
        assert_eq!((answer.status, answer.field("allow")), (405, Some(allowed)), "{path}");
    }
    assert_eq!(dashboard.post("/api/v1/reload").status, 200);
    let _client = dashboard.client();
    wait_for("a client", || {
        let clients = dashboard.get("/api/v1/clients").json();
        clients
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["transport"] == "shm" && one["service"] == "test"))
    });
    let loops = dashboard.get("/api/v1/loops").json();
    assert_eq!(loops.as_array().map(Vec::len), Some(2), "{loops}");
    let document = dashboard.get("/api/v1/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let calls = dashboard.get("/latency/download.hgrm?service=test");
    assert!(calls.body.contains("Total count") && calls.field("content-disposition").is_some(), "{calls:?}");
    assert!(dashboard.get("/latency/download.hlog?service=test").body.starts_with("#[Histogram log format"));
}
