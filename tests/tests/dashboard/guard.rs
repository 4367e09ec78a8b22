//! What is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use speedysvc_tests::harness::{Home, wait_for, wait_until};

use crate::fixture::Dashboard;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn names_that_are_not_ours_are_refused_everywhere() {
    let dashboard = Dashboard::start("hosts = [\"dash.example\"]", "");
    for path in ["/", "/events?page=/", "/metrics", "/api/v1/services", "/healthz", "/assets/live.js"] {
        for host in ["evil.example", "evil.example:5155", "localhost.evil.example"] {
            let answer = dashboard.ask("GET", path, &format!("Host: {host}\r\n"), "");
            assert_eq!(answer.status, 421, "{path} by {host}");
        }
    }
    for host in ["localhost", "dash.example", "[::1]:5155"] {
        assert_eq!(dashboard.ask("GET", "/healthz", &format!("Host: {host}\r\n"), "").status, 200, "{host}");
    }
}

#[test]
fn pages_of_others_change_nothing() {
    let dashboard = Dashboard::start("", "");
    dashboard.service_when("readiness", |service| service["state"] == "ready");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let body = "verb=stop&service=test&confirmed=yes";
    let origins = [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "",
        "Origin: http://localhost:1\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Origin: http://evil.example\r\nX-Speedysvc: yes\r\n",
    ];
    for origin in origins {
        let fields = format!("{}{form}{origin}", dashboard.host());
        assert_eq!(dashboard.ask("POST", "/act", &fields, body).status, 403, "{origin:?}");
        assert_eq!(dashboard.ask("POST", "/api/v1/services/test/stop", &fields, "").status, 403, "{origin:?}");
    }
    // GET changes nothing, and there is no other way.
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        for path in ["/act?verb=stop&service=test&confirmed=yes", "/api/v1/services/test/stop"] {
            let answer = dashboard.ask(method, path, &format!("{}X-Speedysvc: yes\r\n", dashboard.host()), "");
            assert_eq!(answer.status, 405, "{method} {path}");
        }
    }
    let ours = format!("{}{form}Origin: http://{}\r\n", dashboard.host(), dashboard.address);
    let asked = dashboard.ask("POST", "/act", &ours, "verb=stop&service=test&back=//evil.example");
    assert!(asked.status == 200 && asked.body.contains("Do it") && asked.body.contains("href=\"/\""), "{asked:?}");
    dashboard.service_when("that nothing happened", |service| service["state"] == "ready");
    assert_eq!(dashboard.ask("POST", "/act", &ours, body).status, 200);
    dashboard.service_when("a stop", |service| service["state"] == "stopped");
}

#[test]
fn everything_says_what_browsers_must_not_do() {
    let dashboard = Dashboard::start("", "");
    for path in ["/", "/metrics", "/api/v1/services", "/nothing", "/assets/uPlot.js"] {
        let answer = dashboard.get(path);
        let policy = answer.field("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.field("x-frame-options"), Some("deny"), "{path}");
        assert_eq!(answer.field("access-control-allow-origin"), None, "{path}");
    }
    // Nothing is inline, so the policy costs nothing.
    let page = dashboard.get("/").body;
    assert!(!page.contains("<script>") && !page.contains(" style=") && !page.contains(" onclick"), "{page}");
    assert!(!page.contains("http://") && !page.contains("https://"), "no other machine is asked: {page}");
}

fn with_token(listen: &str, token: &str, mode: u32, more: &str) -> std::sync::Arc<Home> {
    let text =
        format!("[web]\nlisten = \"{listen}\"\ntoken_file = \"token\"\n{more}\n[service.echo]\nbuiltin = \"echo\"\n");
    let home = Home::new(&text);
    let path = home.path().join("token");
    fs::write(&path, token).expect("it is new");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
    home
}

#[test]
fn beyond_loopback_it_starts_with_a_token_only() {
    let refused = |home: &std::sync::Arc<Home>, code: i32, text: &str| {
        let mut engine = home.start_unready();
        assert_eq!(engine.wait(), code, "{:?}", engine.err());
        // Its last line may still be on its way to us.
        wait_for(text, || engine.err().iter().any(|line| line.contains(text)));
    };
    let open = "[web]\nlisten = \"0.0.0.0:0\"\n[service.echo]\nbuiltin = \"echo\"\n";
    refused(&Home::new(open), 78, "would reach beyond this machine");
    refused(&Home::new(&open.replace("[web]\n", "[web]\ninsecure = true\n")), 78, "would reach beyond this machine");
    refused(&with_token("0.0.0.0:0", TOKEN, 0o600, ""), 78, "would reach beyond this machine");
    refused(&with_token("0.0.0.0:0", TOKEN, 0o644, "insecure = true"), 69, "chmod 600");
    refused(&with_token("0.0.0.0:0", "short", 0o600, "insecure = true"), 69, "32 or more");
    let mut engine = with_token("0.0.0.0:0", TOKEN, 0o600, "insecure = true").start();
    engine.process().wait_for_line("dashboard: http://0.0.0.0:");
}

#[test]
fn without_the_token_nothing_is_shown_and_guessing_is_slow() {
    let dashboard = Dashboard::of(&with_token("127.0.0.1:0", TOKEN, 0o600, ""));
    let host = dashboard.host();
    for path in ["/", "/metrics", "/api/v1/config", "/events?page=/", "/events/logs", "/latency/download.hgrm"] {
        assert_eq!(dashboard.get(path).status, 401, "{path}");
    }
    let page = dashboard.ask("GET", "/", &format!("{host}Accept: text/html\r\n"), "");
    assert_eq!((page.status, page.field("location")), (303, Some("/login")));
    let bearer = |token: &str| format!("{host}Authorization: Bearer {token}\r\n");
    assert_eq!(dashboard.ask("GET", "/metrics", &bearer(TOKEN), "").status, 200);
    // A browser brings it once.
    let form =
        format!("{host}Content-Type: application/x-www-form-urlencoded\r\nOrigin: http://{}\r\n", dashboard.address);
    let door = dashboard.ask("POST", "/login", &form, &format!("token={TOKEN}"));
    let cookie = door.field("set-cookie").unwrap_or_else(|| panic!("no cookie: {door:?}")).to_owned();
    assert!(cookie.contains("httponly") && cookie.contains("samesite=strict"), "{cookie}");
    let cookie = format!("{host}Cookie: {}\r\n", cookie.split(';').next().expect("a value"));
    assert_eq!(dashboard.ask("GET", "/", &cookie, "").status, 200);
    assert!(!dashboard.ask("GET", "/config", &cookie, "").body.contains(TOKEN));
    // Wrong ones are all refused in the same way, and soon not even looked at.
    let guesses: Vec<u16> =
        (0..12).map(|guess| dashboard.ask("GET", "/metrics", &bearer(&format!("{guess:032}")), "").status).collect();
    assert_eq!(guesses, [vec![401; 10], vec![429; 2]].concat());
    assert_eq!(dashboard.ask("GET", "/metrics", &bearer(TOKEN), "").status, 429);
    assert_eq!(dashboard.ask("GET", "/metrics", &cookie, "").status, 200, "who is in stays in");
}

#[test]
fn secrets_are_on_no_page() {
    let dashboard = Dashboard::start(
        "",
        "args = [\"--password=hunter2x\", \"--api-key\", \"hunter2x\"]\nenv = { KEY = \"hunter2x\" }",
    );
    dashboard.service_when("readiness", |service| service["state"] == "ready");
    for path in ["/", "/services/test", "/config", "/api/v1/config", "/logs", "/api/v1/logs", "/metrics", "/loops"] {
        assert!(!dashboard.get(path).body.contains("hunter2x"), "{path}");
    }
    let page = dashboard.get("/config").body;
    assert!(page.contains("KEY=…") && page.contains("--password=…"), "{page}");
}

#[test]
fn lines_of_the_log_cannot_pose_as_others() {
    let dashboard = Dashboard::start("", "");
    let hostile = "<script>alert(1)</script> \u{1b}[31mred\u{1b}]0;title\u{7} \u{202e}backwards \r inf";
    dashboard.client().print(hostile, false).expect("it answers");
    let lines = wait_until("the line", || {
        let lines = dashboard.get("/api/v1/logs?service=test&text=alert").json();
        lines.as_array().filter(|lines| !lines.is_empty()).cloned()
    });
    let text = lines[0]["text"].as_str().expect("text");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}') && !text.contains('\r'), "{text:?}");
    wait_for("the line on the page", || dashboard.get("/logs").body.contains("&#60;script&#62;alert(1)"));
    assert!(!dashboard.get("/logs").body.contains("<script>alert"));
}
