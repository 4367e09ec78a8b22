//! Handlers that do not run on the loop: blocking ones, async ones, and long ones that came over a socket.

use std::fs;
use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use speedysvc::untyped::{Reply, call};
use speedysvc::{CallError, Code, Outcome, Pending};
use speedysvc_protocol::frame::{self, Kind};
use speedysvc_protocol::hello::Hello;
use speedysvc_protocol::ids::CallId;
use speedysvc_tests::handlers_service::{HandlersClient, Refused};
use speedysvc_tests::harness::{Engine, proc, wait_until};

use crate::context::{Note, connect, engine};
use crate::fixture::{LONG, block_on, soon};
use crate::frames::Peer;

fn addresses(engine: &Engine) -> [String; 2] {
    [engine.address("handlers"), engine.tcp_address("handlers")]
}

fn open(note: &Note) {
    fs::write(format!("{}.out", note.path()), "").expect("the gate can be opened");
}

fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect()
}

#[test]
fn a_handler_that_blocks_holds_up_nobody() {
    let engine = engine("");
    for (name, address) in ["shm", "tcp"].iter().zip(addresses(&engine)) {
        let (client, note) = (connect(&address), Note::new(&engine, name));
        let bytes = payload(300_000);
        let held = client.start().hold_blocking(note.path(), &bytes);
        note.wait_for("begun");
        for other in addresses(&engine) {
            soon("calls beside it", || (0..100).for_each(|_| assert!(!connect(&other).about().unwrap().is_cancelled)));
        }
        open(&note);
        assert_eq!(held.wait().unwrap(), bytes, "{address}");
    }
}

#[test]
fn handlers_that_block_run_at_the_same_time_and_know_their_calls() {
    let engine = engine("");
    for address in addresses(&engine) {
        let client = connect(&address);
        let calls: Vec<_> = (0..6).map(|_| client.start().meet_blocking(6)).collect();
        calls.into_iter().for_each(|call| assert!(soon("the meeting", || call.wait()).unwrap() >= 6));
        let about = client.about_blocking().unwrap();
        assert_eq!(about.thread, "speedysvc-beside");
        assert!(about.call.is_some() && about.peer.is_some() && about.left_ms.is_some(), "{about:?}");
    }
}

#[test]
fn a_panic_beside_the_loop_is_an_answer() {
    let engine = engine("");
    for address in addresses(&engine) {
        let client = connect(&address);
        for error in [client.panic_blocking("on purpose").unwrap_err(), client.panic_async("on purpose").unwrap_err()] {
            assert_eq!((error.code(), error.outcome()), (Code::Internal, Outcome::Done), "{error}");
            assert!(error.message().contains("on purpose"), "{error}");
        }
        client.about().unwrap();
    }
}

#[test]
fn a_crash_beside_the_loop_is_told_with_its_method() {
    let engine = engine("");
    let client = connect(&engine.address("handlers"));
    let error = client.die_blocking().unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown), "{error}");
    wait_until("the line", || {
        engine.err().iter().any(|line| line.contains("while it ran `die_blocking`")).then_some(())
    });
}

#[test]
fn more_calls_than_may_wait_for_a_thread_are_refused() {
    let engine = engine("");
    let client = connect(&engine.tcp_address("handlers"));
    let note = Note::new(&engine, "gate");
    // As many as a client may have alone: half of all.
    let held: Vec<_> = (0..120).map(|_| client.start().hold_blocking(note.path(), &[1])).collect();
    note.wait_for("begun");
    let hasty = client.with_timeout(Duration::from_millis(500));
    let error = soon("a refusal", || hasty.hold_blocking(note.path(), &[2]).unwrap_err());
    assert_eq!((error.code(), error.outcome()), (Code::ResourceExhausted, Outcome::NotStarted), "{error}");
    assert!(error.retry_after().is_some_and(|after| after >= Duration::from_millis(1)), "{error}");
    client.about().unwrap();
    // Others find room.
    let other = connect(&engine.address("handlers")).start().hold_blocking(note.path(), &[3]);
    open(&note);
    held.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), [1]));
    assert_eq!(other.wait().unwrap(), [3]);
    // Who has the time for it comes back when it was told to.
    client.hold_blocking(note.path(), &[3]).unwrap();
}

fn request(method: &str, body: &str) -> String {
    let head = format!("POST /handlers/{method} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    head + body
}

/// Each connection has one call, so 241 of them ask for one more than there is room for; no other one is answered.
#[test]
fn over_http_a_full_queue_says_when_to_come_again() {
    let engine = engine("");
    let (address, note) = (engine.tcp_address("handlers"), Note::new(&engine, "gate"));
    let call = request("hold_blocking", &format!("{{\"gate\":\"{}\",\"bytes\":\"AQI=\"}}", note.path()));
    let mut sockets: Vec<TcpStream> = (0..241)
        .map(|_| {
            let mut socket = TcpStream::connect(address.trim_start_matches("tcp://")).unwrap();
            socket.write_all(call.as_bytes()).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        })
        .collect();
    let (mut from, mut heard) = (None, Vec::new());
    let text = wait_until("a refusal", || {
        for (place, socket) in sockets.iter_mut().enumerate() {
            let mut some = [0; 1024];
            let read = socket.read(&mut some).unwrap_or(0);
            assert!(read == 0 || *from.get_or_insert(place) == place, "two were refused");
            heard.extend_from_slice(&some[..read]);
        }
        let text = String::from_utf8_lossy(&heard).into_owned();
        text.ends_with('}').then_some(text)
    });
    assert!(text.starts_with("HTTP/1.1 429 ") && text.contains("\r\nRetry-After: "), "{text}");
    assert!(text.contains("\"outcome\":\"not_started\"") && text.contains("\"retry_after_ms\":"), "{text}");
    open(&note);
}

#[test]
fn who_gives_up_is_heard_beside_the_loop() {
    let engine = engine("");
    type Start = fn(&HandlersClient, &str) -> Pending<()>;
    let ways: [(&str, Start); 3] = [
        ("blocking", |client, file| client.start().until_cancelled_blocking(file)),
        ("async", |client, file| client.start().until_dropped(file)),
        ("tokio", |client, file| client.start().until_dropped_in_tokio(file)),
    ];
    for (transport, address) in ["shm", "tcp"].iter().zip(addresses(&engine)) {
        let client = connect(&address);
        for (name, start) in ways {
            let note = Note::new(&engine, &format!("{name}-{transport}"));
            let call = start(&client, note.path());
            note.wait_for("begun");
            drop(call);
            soon("the handler's end", || note.wait_for("over"));
        }
        client.about().unwrap();
    }
}

/// With one slot, so that each of the ways must give it back.
#[test]
fn a_call_that_somebody_awaited_may_be_dropped_all_the_same() {
    type Way = fn(&tokio::runtime::Runtime, Pending<()>);
    let ways: [(&str, Way); 3] = [
        ("polled once", |_, mut call| {
            assert!(pin!(&mut call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            drop(call);
        }),
        ("timeout", |runtime, call| {
            let some = Duration::from_millis(20);
            runtime
                .block_on(async { tokio::time::timeout(some, call).await })
                .expect_err("it stays until it is dropped");
        }),
        ("abort", |runtime, mut call| {
            let (polled, was_polled) = mpsc::channel();
            let task = runtime.spawn(poll_fn(move |context| {
                let ready = pin!(&mut call).poll(context);
                polled.send(ready.is_pending()).expect("the test lives");
                ready
            }));
            assert!(was_polled.recv().expect("it is polled"), "it stays until it is dropped");
            task.abort();
        }),
    ];
    let engine = engine("limits = { slots = 1 }");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    for (transport, address) in ["shm", "tcp"].iter().zip(addresses(&engine)) {
        let client = connect(&address);
        for (name, end) in ways {
            let note = Note::new(&engine, &format!("{name}-{transport}"));
            let call = client.start().until_cancelled_blocking(note.path());
            note.wait_for("begun");
            end(&runtime, call);
            // Long before the call's own deadline, of which it would hear as well.
            soon("the handler's end", || note.wait_for("over"));
            soon("a later call", || client.about()).unwrap();
            let later: Vec<_> = (0..5).map(|_| client.start().about()).collect();
            later.into_iter().for_each(|call| assert!(soon("later calls", || block_on(call)).is_ok(), "{name}"));
        }
    }
}

#[test]
fn a_client_that_was_killed_has_given_up() {
    let engine = engine("");
    let (address, note) = (engine.address("handlers"), Note::new(&engine, "gone"));
    let json = format!("\"{}\"", note.path());
    let mut command = engine.home().command("speedysvc-engine");
    let mut client = command.args(["call", &address, "until_dropped", &json, "--timeout", "60s"]).spawn().unwrap();
    note.wait_for("begun");
    client.kill().unwrap();
    client.wait().unwrap();
    soon("the handler's end", || note.wait_for("over"));
    connect(&address).about().unwrap();
}

#[test]
fn async_handlers_wait_for_each_other_on_one_loop() {
    let engine = engine("");
    for address in addresses(&engine) {
        let client = connect(&address);
        let calls: Vec<_> = (0..50).map(|_| client.start().meet(50)).collect();
        calls.into_iter().for_each(|call| assert!(soon("the meeting", || block_on(call)).unwrap() >= 50));
        assert!(matches!(client.meet(0).unwrap_err(), CallError::App(Refused)));
        let about = client.about_async().unwrap();
        assert!(about.call.is_some() && about.left_ms.is_some() && !about.is_cancelled, "{about:?}");
        for size in [0, 40, 5_000, 2_000_000] {
            let bytes = payload(size);
            let expected = [&bytes[..], &6_u64.to_le_bytes()].concat();
            assert_eq!(client.echo_async(&bytes, &vec![1, 2, 3]).unwrap(), expected, "{address}: {size}");
        }
    }
}

#[test]
fn tokio_is_there_for_who_asks_and_said_to_be_missing_to_others() {
    let engine = engine("");
    for address in addresses(&engine) {
        let client = connect(&address);
        let about = client.sleep_in_tokio(1).unwrap();
        assert_eq!(about.thread, "speedysvc-tokio");
        assert!(about.call.is_some(), "{about:?}");
        let error = client.sleep_without_runtime().unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::Internal, Outcome::Done), "{error}");
        assert!(error.message().contains("#[method(runtime = \"tokio\")]"), "{error}");
    }
}

#[test]
fn a_long_handler_of_a_socket_holds_up_no_other_socket() {
    let engine = engine("");
    let address = engine.tcp_address("handlers");
    let client = connect(&address);
    // From now on it is known to run long.
    (0..2).for_each(|_| drop(client.hold("", &[]).unwrap()));
    let note = Note::new(&engine, "gate");
    let held = client.start().hold(note.path(), &payload(100_000));
    note.wait_for("begun");
    soon("calls beside it", || (0..100).for_each(|_| assert!(client.about().is_ok())));
    assert!(connect(&address).about().is_ok());
    // It is one at a time: the next ones wait, in frames and in HTTP, and are answered in the end.
    let others: Vec<_> = (0..3).map(|_| client.start().hold("", &payload(200_000))).collect();
    assert!(connect(&address).about().is_ok());
    open(&note);
    assert_eq!(held.wait().unwrap(), payload(100_000));
    others.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), payload(200_000)));
}

/// What waits for its turn in a connection may be given up there, while the loop is in no handler and goes on fast.
#[test]
fn a_call_that_is_taken_back_while_it_waits_for_its_turn_does_not_run() {
    let engine = engine("");
    let address = engine.tcp_address("handlers");
    let mut peer = Peer::greet_as(&address, &Hello::by_name("handlers", "hold"));
    let call = |peer: &Peer, id, gate: &str| peer.call(id, 0, &format!("{{\"gate\":{gate:?},\"bytes\":\"\"}}"));
    // From the third on it is known to run long.
    let known: Vec<u8> = (1..3).flat_map(|id| call(&peer, id, "")).collect();
    peer.say(&known);
    assert_eq!([peer.reply().0, peer.reply().0], [1, 2]);
    let [held, dropped] = ["held", "dropped"].map(|name| Note::new(&engine, name));
    // If it ran it would not stay.
    open(&dropped);
    let mut frames = call(&peer, 3, held.path());
    frames.extend(call(&peer, 4, dropped.path()));
    frame::append(&mut frames, Kind::Cancel { id: CallId(4) }, &[]);
    frames.extend(call(&peer, 5, ""));
    peer.say(&frames);
    held.wait_for("begun");
    // Others keep the loop's turns short, as long as this test goes on.
    let (client, goes_on) = (connect(&address), Arc::new(()));
    let until = Arc::downgrade(&goes_on);
    let others = thread::spawn(move || {
        while until.upgrade().is_some() {
            client.about().unwrap();
        }
    });
    open(&held);
    assert_eq!([peer.reply().0, peer.reply().0], [3, 5]);
    drop(goes_on);
    others.join().unwrap();
    assert!(!fs::exists(dropped.path()).unwrap());
}

#[test]
fn http_is_answered_in_order_from_beside_the_loop() {
    let engine = engine("");
    let address = engine.tcp_address("handlers");
    let port = address.rsplit(':').next().unwrap().to_owned();
    let client = connect(&address);
    (0..2).for_each(|_| drop(client.hold("", &[]).unwrap()));
    for method in ["hold_blocking", "hold"] {
        let note = Note::new(&engine, method);
        let body = format!("{{\"gate\":\"{}\",\"bytes\":\"AQI=\"}}", note.path());
        let both = request(method, &body) + &request("repeat", "{\"text\":\"a\"}");
        let mut socket = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        socket.write_all(both.as_bytes()).unwrap();
        note.wait_for("begun");
        assert!(connect(&address).about().is_ok());
        open(&note);
        let mut heard = Vec::new();
        wait_until("both answers", || {
            let mut some = [0; 1024];
            let read = socket.read(&mut some).unwrap();
            heard.extend_from_slice(&some[..read]);
            let text = String::from_utf8_lossy(&heard).into_owned();
            let (first, second) = (text.find("\"AQI=\"")?, text.find("\"a-a\"")?);
            assert!(first < second, "{text}");
            Some(())
        });
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let engine = engine("");
    for address in addresses(&engine) {
        for (method, body, expected) in [
            ("repeat", r#"{"text":"ab"}"#, "\"ab-ab\""),
            ("repeat", r#"{"text":"ab","between":""}"#, "\"abab\""),
            ("repeat", r#"["x",3]"#, "\"x-x-x\""),
            ("count", "", "3"),
            ("count", "[7]", "1"),
        ] {
            let reply = call(&address, method, body.as_bytes(), Some(LONG)).unwrap();
            assert!(matches!(&reply, Reply::Ok(text) if text == expected.as_bytes()), "{method} {body}: {reply:?}");
        }
        let error = call(&address, "repeat", b"{}", Some(LONG)).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    }
}

#[test]
fn a_worker_that_drains_finishes_what_is_beside_its_loop() {
    let engine = engine("");
    for (transport, address) in ["shm", "tcp"].iter().zip(addresses(&engine)) {
        let (client, note) = (connect(&address), Note::new(&engine, &format!("drain-{transport}")));
        let held = client.start().hold_blocking(note.path(), &[7]);
        note.wait_for("begun");
        let tcp = engine.tcp_address("handlers");
        let mut greeting = TcpStream::connect(tcp.strip_prefix("tcp://").expect("TCP")).unwrap();
        greeting.set_read_timeout(Some(LONG)).unwrap();
        // Who connects later is served: so the greeting was accepted.
        connect(&tcp).about().unwrap();
        engine.workers().iter().for_each(|pid| proc::signal(*pid, Signal::TERM));
        // Who has not greeted is sent away at once: the drain has begun.
        assert!(greeting.read(&mut [0]).is_ok_and(|bytes| bytes == 0), "{address}");
        open(&note);
        assert_eq!(held.wait().unwrap(), [7], "{address}");
    }
}
