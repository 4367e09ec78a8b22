//! Slow and greedy visitors: they hold up nobody, and what they can take has a limit.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use speedysvc_tests::harness::{wait_for, wait_until};

use crate::fixture::Dashboard;

/// As many as the dashboard takes, by its documentation.
pub const WATCHERS: usize = 64;

pub fn watcher(dashboard: &Dashboard, path: &str) -> TcpStream {
    let mut socket = dashboard.connect();
    socket.write_all(format!("GET {path} HTTP/1.1\r\n{}\r\n", dashboard.host()).as_bytes()).expect("it reads");
    socket
}

pub fn status(socket: &TcpStream) -> String {
    let mut line = String::new();
    BufReader::new(socket).read_line(&mut line).expect("an answer");
    line.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn watchers_have_a_limit_and_leave_their_places() {
    let dashboard = Dashboard::start("", "");
    let watchers: Vec<TcpStream> = (0..WATCHERS).map(|_| watcher(&dashboard, "/events?page=/")).collect();
    assert!(watchers.iter().all(|socket| status(socket) == "200"));
    let one_more = watcher(&dashboard, "/events?page=/");
    assert_eq!(status(&one_more), "503");
    assert_eq!(status(&watcher(&dashboard, "/events/logs?")), "503");
    assert_eq!(dashboard.get("/").status, 200, "pages are drawn all the same");
    drop(watchers);
    wait_for("a free place", || status(&watcher(&dashboard, "/events?page=/")) == "200");
}

#[test]
fn updates_come_with_what_has_changed() {
    let dashboard = Dashboard::start("", "");
    let mut lines = BufReader::new(watcher(&dashboard, "/events?page=/services/test")).lines();
    let mut next = || {
        let data = lines.by_ref().map_while(Result::ok).find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
        let data = data.expect("updates do not end");
        serde_json::from_str::<serde_json::Value>(&data).unwrap_or_else(|error| panic!("{error}: {data}"))
    };
    let whole = next();
    assert!(whole["cells"]["fact/calls/s"].is_array(), "{whole}");
    let client = dashboard.client();
    let mut seen = Vec::new();
    // The call's row is new, so the shape is another one.
    let shape = whole["shape"].clone();
    client.echo("x").expect("it answers");
    while seen.len() < 60 {
        let update = next();
        if update["shape"] != shape {
            assert!(update["cells"]["methods/test.echo/0"].is_array(), "{update}");
            return;
        }
        seen.push(update);
    }
    panic!("no update has the new method: {seen:?}");
}

/// Requests that never end, and answers that nobody reads, hold up neither pages nor calls.
#[test]
fn who_is_slow_holds_up_nobody() {
    let dashboard = Dashboard::start("", "");
    let client = dashboard.client();
    let slow: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut socket = dashboard.connect();
            socket.write_all(b"GET / HTTP/1.1\r\nHost: loc").expect("it reads");
            socket
        })
        .collect();
    let deaf: Vec<TcpStream> = (0..40).map(|_| watcher(&dashboard, "/events?page=/services/test")).collect();
    for round in 0..50 {
        client.echo("x").expect("it answers");
        if round % 10 == 0 {
            assert_eq!(dashboard.get("/").status, 200);
        }
    }
    // A head that does not end is given up.
    let mut first = slow.into_iter().next().expect("there are some");
    let mut rest = Vec::new();
    first.read_to_end(&mut rest).expect("it is closed, and not reset");
    drop(deaf);
}

#[test]
fn bodies_and_heads_have_limits() {
    let dashboard = Dashboard::start("", "");
    let fields = format!("{}X-Speedysvc: yes\r\n", dashboard.host());
    assert_eq!(dashboard.ask("POST", "/act", &fields, &"x".repeat(17 << 10)).status, 413);
    let mut socket = dashboard.connect();
    let long = format!("GET /{} HTTP/1.1\r\n{}\r\n", "x".repeat(100 << 10), dashboard.host());
    // It may hang up before it has read all of it.
    let _hung_up = socket.write_all(long.as_bytes());
    let mut text = Vec::new();
    let _reset = socket.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    assert_eq!(dashboard.get("/healthz").status, 200);
}

#[test]
fn lines_of_the_log_come_as_they_are_written() {
    let dashboard = Dashboard::start("", "");
    let stream = watcher(&dashboard, "/events/logs?service=test&text=needle");
    assert_eq!(status(&stream), "200");
    let client = dashboard.client();
    let found = std::thread::spawn(move || {
        BufReader::new(stream).lines().map_while(Result::ok).find(|line| line.contains("needle"))
    });
    // The first may come before the supervisor hears of the follower.
    wait_until("the line", || {
        client.print("a needle", false).expect("it answers");
        found.is_finished().then_some(())
    });
    assert!(found.join().expect("no panic").is_some_and(|line| line.starts_with("data: ")));
}
