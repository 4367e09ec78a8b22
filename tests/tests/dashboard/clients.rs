//! Who is connected, and what has passed: exactly, by every way, and over a worker's death.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::thread;

use serde_json::Value;
use speedysvc_tests::harness::{Home, proc, wait_until};
use speedysvc_tests::test_service::TestServiceClient;

use crate::fixture::{Dashboard, LONG};

/// The only client of this kind, once it is so.
fn client_when(dashboard: &Dashboard, transport: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    wait_until(what, || {
        let all = dashboard.get("/api/v1/clients").json();
        let mut of_kind = all.as_array()?.iter().filter(|one| one["transport"] == transport);
        let (first, second) = (of_kind.next()?, of_kind.next());
        (second.is_none() && is(first)).then(|| first.clone())
    })
}

fn count(client: &Value, name: &str) -> u64 {
    client[name].as_u64().unwrap_or_else(|| panic!("no {name}: {client}"))
}

fn all_ways() -> Dashboard {
    let listen = "listen = [\"tcp://127.0.0.1:0\", \"unix:///SOCKET\"]";
    let home = Home::new("");
    let listen = listen.replace("/SOCKET", &home.path().join("socket").display().to_string());
    let restart = "restart = { backoff = \"10ms..100ms\", limit = \"none\" }";
    home.rewrite(&format!(
        "[web]\nlisten = \"127.0.0.1:0\"\n[service.test]\nprogram = \"test-service\"\n{listen}\n{restart}\n"
    ));
    Dashboard::of(&home)
}

fn connect(address: &str) -> TestServiceClient {
    TestServiceClient::connect(address).expect("it is ready").with_timeout(LONG)
}

#[test]
fn every_call_and_byte_of_a_client_is_counted_by_every_way() {
    let dashboard = all_ways();
    let service = dashboard.service_when("readiness", |service| service["state"] == "ready");
    let text = "some text that is longer than a slot's line has room ".repeat(20);
    let address = |scheme: &str| -> String {
        let all = service["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str);
        all.map(str::to_owned).find(|address| address.starts_with(scheme)).expect("it listens so")
    };
    for (transport, address) in
        [("shm", dashboard.engine.address("test")), ("tcp", address("tcp://")), ("unix", address("unix://"))]
    {
        let client = connect(&address);
        // Sockets have been greeted, which is counted when it has gone, too.
        let before = client_when(&dashboard, transport, "no calls yet", |one| {
            one["calls"] == 0 && (transport == "shm" || count(one, "bytes_out") > 0)
        });
        let three_more = |before: &Value| {
            (0..3).for_each(|_| assert_eq!(client.echo(&text).expect("it answers"), text));
            // Over sockets a reply is counted when it has gone, by when its client may have read it. So many bytes
            // are those of three calls: what is added to each is less than half of it.
            client_when(&dashboard, transport, "3 more calls", |one| {
                let is_over = |name| count(one, name) - count(before, name) >= 3 * text.len() as u64;
                count(one, "calls") == count(before, "calls") + 3 && is_over("bytes_in") && is_over("bytes_out")
            })
        };
        let three = three_more(&before);
        let six = three_more(&three);
        for bytes in ["bytes_in", "bytes_out"] {
            // The same calls again, so as many bytes again; a greeting comes once.
            let (first, second) =
                (count(&three, bytes) - count(&before, bytes), count(&six, bytes) - count(&three, bytes));
            assert_eq!(first, second, "{transport}: {before} {three} {six}");
        }
        client.fail("on purpose").expect_err("it fails");
        client_when(&dashboard, transport, "errors count, too", |one| one["calls"] == 7);
        drop(client);
        wait_until("that it has left", || {
            let all = dashboard.get("/api/v1/clients").json();
            all.as_array()?.iter().all(|one| one["transport"] != transport).then_some(())
        });
    }
    // HTTP is a connection over TCP.
    let host = address("tcp://").trim_start_matches("tcp://").to_owned();
    let mut socket = TcpStream::connect(&host).expect("it listens");
    let body = "{\"text\":\"x\"}";
    let length = body.len();
    let head = format!("POST /test/echo HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n");
    socket.write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes()).expect("it reads");
    let http = client_when(&dashboard, "tcp", "a call over HTTP", |one| one["http"] == true && one["calls"] == 1);
    assert_eq!(http["peer"], socket.local_addr().expect("it is connected").to_string());
    assert!(count(&http, "bytes_in") > (head.len() + length) as u64, "{http}");
}

#[test]
fn calls_in_flight_are_seen_while_they_run() {
    let dashboard = all_ways();
    let service = dashboard.service_when("readiness", |service| service["state"] == "ready");
    let tcp = service["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let tcp = tcp.map(str::to_owned).find(|address| address.starts_with("tcp://")).expect("it listens so");
    for (number, (transport, address)) in
        [("shm", dashboard.engine.address("test")), ("tcp", tcp)].into_iter().enumerate()
    {
        let gate = dashboard.engine.home().path().join(format!("gate{number}")).display().to_string();
        let (client, text) = (connect(&address), gate.clone());
        client_when(&dashboard, transport, "none", |one| one["in_flight"] == 0);
        let call = thread::spawn(move || client.hold(&text).map(|_| client));
        client_when(&dashboard, transport, "one", |one| one["in_flight"] == 1);
        fs::write(format!("{gate}.out"), "").expect("it is new");
        let _client = call.join().expect("no panic").expect("it answers");
        client_when(&dashboard, transport, "none again", |one| one["in_flight"] == 0 && one["calls"] == 1);
    }
}

#[test]
fn what_a_client_has_sent_outlives_the_worker_that_answered() {
    let dashboard = Dashboard::start("", "");
    let client = dashboard.client();
    (0..5).for_each(|_| drop(client.echo("x").expect("it answers")));
    let worker = client.pid().expect("it answers");
    let before = client_when(&dashboard, "shm", "6 calls", |one| one["calls"] == 6);
    proc::kill(worker);
    wait_until("another worker", || client.pid().ok().filter(|pid| *pid != worker));
    let after = client_when(&dashboard, "shm", "7 calls", |one| count(one, "calls") >= 7);
    assert!(count(&after, "bytes_out") > count(&before, "bytes_out"), "{before} {after}");
}
