//! A call's trace goes along with it, into the log and into what its handler calls.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;
use speedysvc::TraceContext;
use speedysvc_tests::handlers_service::{AllWays, Handlers as _, HandlersClient};
use speedysvc_tests::harness::{Ended, Engine, wait_until};
use speedysvc_tests::test_service::TestServiceClient;

use crate::context;
use crate::fixture::LONG;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Two services: `handlers`, whose `relay` calls `test`.
fn engine() -> Engine {
    let listen = "listen = [\"tcp://127.0.0.1:0\"]";
    Engine::start(&format!(
        "[service.handlers]\nprogram = \"handlers-service\"\n{listen}\n\
         [service.test]\nprogram = \"test-service\"\n{listen}\n"
    ))
}

fn ctl_logs(engine: &Engine, more: &[&str]) -> String {
    let mut command = engine.home().command("speedysvc-engine");
    command.args(["ctl", "--run-dir"]).arg(engine.run_dir()).arg("logs").args(more);
    let ended = Ended::of(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.out
}

/// What was logged with this text.
fn logged(engine: &Engine, text: &str, count: usize) -> Vec<Value> {
    wait_until("the log", || {
        let out = ctl_logs(engine, &["--json", "--grep", text]);
        let replies = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines: Vec<_> = replies.flat_map(|reply| reply["lines"].as_array().cloned().unwrap_or_default()).collect();
        (lines.len() >= count).then_some(lines)
    })
}

/// The ids in the lines of a service: of its trace, and of its span.
#[track_caller]
fn ids(lines: &[Value], service: &str) -> (String, String) {
    let of_it = lines.iter().filter(|line| line["service"] == service);
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_else(|| panic!("no {key}: {line}")).to_owned();
    let ids: BTreeSet<_> = of_it.map(|line| (text(line, "trace_id"), text(line, "span_id"))).collect();
    assert_eq!(ids.len(), 1, "one call has one span: {lines:#?}");
    ids.into_iter().next().unwrap()
}

/// Lines that one relayed call makes: one of `handlers`, and of `test` one at each level that is logged.
const LINES: usize = 4;

#[test]
fn a_chain_of_services_has_one_trace_and_a_span_for_each_call() {
    let engine = engine();
    let parent: TraceContext = PARENT.parse().unwrap();
    for (at, to) in [("handlers", "test")].into_iter().flat_map(|(at, to)| {
        let ats = [engine.address(at), engine.tcp_address(at)];
        let tos = [engine.address(to), engine.tcp_address(to)];
        ats.into_iter().flat_map(move |at| tos.clone().map(|to| (at.clone(), to)))
    }) {
        let client = context::connect(&at);
        let traced = client.with_trace(parent);
        for way in ["loop", "beside", "async", "tokio"] {
            let text = format!("{way} from {at} to {to}");
            let relay = |client: &HandlersClient| match way {
                "loop" => client.relay(&to, &text),
                "beside" => client.relay_blocking(&to, &text),
                "async" => client.start().relay_async(&to, &text).wait(),
                _ => client.start().relay_in_tokio(&to, &text).wait(),
            };
            let told = relay(&traced).unwrap().expect("the handler knows its trace");
            let lines = logged(&engine, &text, LINES);
            let (a, b) = (ids(&lines, "handlers"), ids(&lines, "test"));
            assert_eq!(told, format!("00-{}-{}-01", a.0, a.1), "{text}");
            assert_eq!((a.0.as_str(), b.0.as_str()), (&PARENT[3..35], &PARENT[3..35]), "{text}");
            assert!(a.1 != b.1 && a.1 != PARENT[36..52] && b.1 != PARENT[36..52], "{text}: {a:?} {b:?}");
            assert!(lines.iter().all(|line| line["call"].is_string()), "beside the call: {lines:#?}");
            // The next call on the same connection belongs to no trace, as nobody said so.
            let text = format!("{text}, untraced");
            let relay = |client: &HandlersClient| client.relay(&to, &text);
            assert_eq!(relay(&client).unwrap(), None);
            let lines = logged(&engine, &text, LINES);
            assert!(lines.iter().all(|line| line.get("trace_id").is_none()), "{lines:#?}");
        }
    }
}

#[test]
fn operators_find_a_trace_in_the_log() {
    let engine = engine();
    let trace = TraceContext::root();
    let client = context::connect(&engine.address("handlers")).with_trace(trace);
    client.relay(&engine.address("test"), "found").unwrap();
    let id = &trace.to_string()[3..35];
    assert_eq!(logged(&engine, id, LINES).len(), LINES, "by the trace's id, from both services");
    let shown = ctl_logs(&engine, &["--grep", id]);
    let marked = shown.lines().filter(|line| line.contains(&format!(" trace={id} span="))).count();
    assert_eq!(marked, LINES, "{shown}");
}

fn post(engine: &Engine, fields: &str, text: &str) -> String {
    let address = engine.tcp_address("handlers");
    let mut socket = TcpStream::connect(address.strip_prefix("tcp://").unwrap()).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let body = serde_json::json!([engine.address("test"), text]).to_string();
    let length = body.len();
    let head = format!("POST /handlers/relay HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n");
    socket.write_all(format!("{head}{fields}\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.rsplit("\r\n").next().unwrap().to_owned()
}

#[test]
fn http_callers_say_theirs_and_what_is_no_traceparent_is_ignored() {
    let engine = engine();
    for field in [format!("traceparent: {PARENT}"), format!("TraceParent: \t{PARENT} \r\ntracestate: a=1")] {
        let text = format!("http {}", field.len());
        assert_eq!(post(&engine, &format!("{field}\r\n"), &text), format!("\"{PARENT}\""));
        let lines = logged(&engine, &text, LINES);
        let (a, b) = (ids(&lines, "handlers"), ids(&lines, "test"));
        assert_eq!((a.0.as_str(), a.1.as_str()), (&PARENT[3..35], &PARENT[36..52]), "its caller named this span");
        assert_eq!(a.0, b.0);
        assert_ne!(a.1, b.1);
    }
    let upper = PARENT.to_uppercase();
    let twice = format!("traceparent: {PARENT}\r\ntraceparent: {PARENT}");
    for field in [format!("traceparent: {upper}"), "traceparent: ".to_owned(), twice] {
        assert_eq!(post(&engine, &format!("{field}\r\n"), "ignored"), "null", "{field}");
    }
}

#[test]
fn the_command_line_takes_a_traceparent_and_says_when_it_is_none() {
    let engine = engine();
    let call = |traceparent: &str| {
        let mut command = engine.home().command("speedysvc-engine");
        let to = engine.address("test");
        command.args(["call", &engine.address("handlers"), "relay", &serde_json::json!([to, "by hand"]).to_string()]);
        command.args(["--traceparent", traceparent]);
        Ended::of(command)
    };
    let good = call(PARENT);
    assert_eq!(good.code, Some(0), "{good:?}");
    assert_eq!(ids(&logged(&engine, "by hand", LINES), "test").0, &PARENT[3..35]);
    let bad = call("4bf92f35");
    assert_eq!(bad.code, Some(2), "{bad:?}");
    assert!(bad.err.contains("W3C Trace Context"), "{bad:?}");
}

/// A connection of a trace takes large calls, and calls in flight of which only some belong to it.
#[test]
fn only_the_calls_that_say_so_belong_to_a_trace() {
    let engine = engine();
    let plain = context::connect(&engine.tcp_address("handlers"));
    let traced = plain.with_trace(PARENT.parse().unwrap());
    let large = vec![7; 300_000];
    let (one, other) = (traced.start(), plain.start());
    let of = |starts: bool| if starts { &one } else { &other };
    let calls: Vec<_> = (0..50).map(|number| (number, of(number % 3 == 0).trace_of(&large))).collect();
    for (number, call) in calls {
        let told = call.wait().unwrap();
        let is_traced = told.as_deref().is_some_and(|told| told.contains(&PARENT[3..35]));
        assert_eq!(is_traced, number % 3 == 0, "call {number}: {told:?}");
    }
    let calls: Vec<_> = (0..50).map(|number| (number, of(number % 2 == 0).trace_of(&[]))).collect();
    for (number, call) in calls.into_iter().rev() {
        assert_eq!(call.wait().unwrap().is_some(), number % 2 == 0, "call {number}");
    }
}

#[test]
fn a_unit_test_sees_that_its_handler_passes_the_trace_on() {
    let client = HandlersClient::in_process(AllWays::default()).unwrap();
    assert_eq!(client.trace_of(b"x").unwrap(), None);
    let told = client.with_trace(PARENT.parse().unwrap()).trace_of(b"x").unwrap().unwrap();
    assert_eq!(told[..36], PARENT[..36]);
    assert_ne!(told, PARENT);
    assert_eq!(AllWays::default().trace_of(b"x"), None, "outside of calls there is none");
}

/// Whoever takes a call back takes its trace back, too: the next call must not have it.
#[test]
fn a_call_that_is_dropped_leaves_no_trace_behind() {
    let engine = engine();
    let plain = context::connect(&engine.tcp_address("handlers"));
    let traced = plain.with_trace(PARENT.parse().unwrap());
    for _ in 0..100 {
        // Started with a starter that lives, it is not sent yet.
        let starter = traced.start();
        drop(starter.trace_of(b"given up"));
        assert_eq!(plain.trace_of(b"next").unwrap(), None);
    }
    let tests = TestServiceClient::connect(&engine.tcp_address("test")).unwrap().with_trace(TraceContext::root());
    tests.log("the starter's last").unwrap();
}
