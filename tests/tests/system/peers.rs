//! Peers of sockets that mean no good, or have no luck: rows C and D of docs/faults.md.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size;
use speedysvc::stats::{Counter, MethodCounter};
use speedysvc_protocol::frame::{self, Header, Kind};
use speedysvc_protocol::ids::CallId;
use speedysvc_protocol::status::{Code, Outcome, Status};
use speedysvc_tests::harness::{Home, let_pass, wait_for};

use crate::fixture::{LONG, connect, file};
use crate::frames::{BIG, ECHO, Here, Peer, hello};

/// The service still answers: somebody new, and who was there before.
fn still_answers(here: &Here, neighbour: &speedysvc_tests::test_service::TestServiceClient) {
    assert_eq!(neighbour.echo("old").unwrap(), "old");
    assert_eq!(connect(&here.tcp()).echo("new").unwrap(), "new");
}

fn calls(here: &Here, method: &str) -> u64 {
    here.running.stats().method(method).map_or(0, |method| method.counter(MethodCounter::Calls))
}

/// Row C1.
#[test]
fn garbage_ends_its_connection_and_nothing_else() {
    let here = Here::start(|server| server);
    let neighbour = connect(&here.tcp());
    let words: [&[u8]; 5] =
        [b"\x13BitTorrent protocol", &[0; 100_000], b"\xF5SVD", &[0xFF; 48], b"\xF5SVC\x01\x63\0\0"];
    for (place, word) in (1..).zip(words) {
        let mut peer = Peer::mute(&here.tcp());
        // The end may come before all of it is written.
        peer.socket.write_all(word).ok();
        if word.len() < 48 {
            // Half a header may still become one.
            peer.socket.write_all(&[0x7F; 48]).ok();
        }
        assert_eq!(peer.rest(), b"", "garbage {place} was answered");
        here.wait_for(Counter::ClosedBroken, place);
    }
    // Behind the greeting, too.
    let mut peer = Peer::plain(&here.tcp());
    peer.say(&[0x55; 4096]);
    assert_eq!(peer.rest(), b"");
    here.wait_for(Counter::ClosedBroken, 6);
    still_answers(&here, &neighbour);
}

/// Row C2.
#[test]
fn a_frame_that_is_cut_anywhere_reaches_no_handler_and_leaves_nothing() {
    let here = Here::start(|server| server);
    let neighbour = connect(&here.tcp());
    let greeted = Peer::plain(&here.tcp());
    let greeting = hello(speedysvc_protocol::wire::Offer::default());
    let whole = [greeting.clone(), greeted.call(1, ECHO, "\"cut\"")].concat();
    let mut cuts = 0;
    for reset in [false, true] {
        // The greeting is the longer part, and all of it is JSON: a few cuts of that will do.
        for cut in (0..greeting.len()).step_by(17).chain(greeting.len()..whole.len()) {
            let mut peer = Peer::mute(&here.tcp());
            peer.say(&whole[..cut]);
            peer.leave(reset);
            cuts += 1;
        }
    }
    let closed = [Counter::ClosedByPeer, Counter::ClosedError, Counter::ClosedBroken];
    wait_for("all to be gone", || closed.iter().map(|counter| here.count(*counter)).sum::<u64>() >= cuts);
    assert_eq!(calls(&here, "echo"), 0, "a handler ran for half a call");
    still_answers(&here, &neighbour);
}

/// Row C3.
#[test]
fn lengths_are_judged_before_there_is_a_body() {
    let here = Here::start(|server| server.message_max(1 << 20, 1 << 20));
    let neighbour = connect(&here.tcp());
    for len in [(1 << 20) + 1, 1 << 31, u32::MAX] {
        let mut peer = Peer::plain(&here.tcp());
        let header = Header::plain(peer.kind(7, ECHO), len);
        peer.say(&header.to_bytes());
        let (id, status, text) = peer.reply();
        assert_eq!((id, status), (7, Status::Failed(Code::ResourceExhausted, Outcome::NotStarted)));
        assert!(String::from_utf8_lossy(&text).contains(&len.to_string()));
    }
    let mut peer = Peer::plain(&here.tcp());
    let call = peer.call(8, ECHO, "");
    peer.say(&call);
    assert_eq!(peer.reply().1, Status::Failed(Code::InvalidArgument, Outcome::NotStarted), "no bytes are no text");
    still_answers(&here, &neighbour);
}

/// Row C4: what was begun must end. Over HTTP the peer hears of it.
#[test]
fn slow_senders_are_closed_and_the_others_are_not() {
    let here = Here::start(|server| server);
    let neighbour = connect(&here.tcp());
    let idle = Peer::plain(&here.tcp());
    let frame = idle.call(1, ECHO, &format!("\"{}\"", "slow".repeat(1000)));
    let greeting = hello(speedysvc_protocol::wire::Offer::default());
    let head = b"POST /test/echo HTTP/1.1\r\nHost: a\r\nX-A: ".to_vec();
    let body = b"POST /test/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n\"".to_vec();
    // It goes by a buffer of its own (decision 0063).
    let large = b"POST /test/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n\"".to_vec();
    let chunks = b"POST /test/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    // What is sent at once, what follows slowly, again and again, and what is heard of it.
    let drips: [(Vec<u8>, &[u8], &[u8]); 7] = [
        (Vec::new(), b"", b""),
        (greeting[..60].to_vec(), b" ", b""),
        ([greeting, frame[..50].to_vec()].concat(), b"x", b"welcome"),
        (head, b"a", b"HTTP/1.1 408 Request Timeout\r\n"),
        (body, b"a", b"HTTP/1.1 408 Request Timeout\r\n"),
        (large, b"a", b"HTTP/1.1 408 Request Timeout\r\n"),
        (chunks, b"1\r\na\r\n", b"HTTP/1.1 408 Request Timeout\r\n"),
    ];
    thread::scope(|scope| {
        for (first, more, heard) in drips {
            let address = here.tcp();
            scope.spawn(move || {
                let (mut peer, begun) = (Peer::mute(&address), Instant::now());
                peer.say(&first);
                if heard == b"welcome" {
                    assert_eq!(peer.hear().unwrap().0.kind, Kind::Welcome);
                }
                peer.socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
                let mut said = Vec::new();
                while begun.elapsed() < LONG {
                    let mut bytes = [0; 4096];
                    match peer.socket.read(&mut bytes) {
                        Ok(0) => break,
                        Ok(count) => said.extend_from_slice(&bytes[..count]),
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                            peer.socket.write_all(more).ok();
                        }
                        Err(_reset) => break,
                    }
                }
                assert!(begun.elapsed() < LONG, "it was never closed: {:?}", first.escape_ascii().to_string());
                let heard = if heard == b"welcome" { b"" } else { heard };
                assert!(said.starts_with(heard), "{} instead of {}", said.escape_ascii(), heard.escape_ascii());
                assert_eq!(said.is_empty(), heard.is_empty());
            });
        }
    });
    let stats = here.wait_for(Counter::ClosedSlow, 7);
    assert_eq!(stats.counter(Counter::ClosedSlow), 7);
    still_answers(&here, &neighbour);
    let mut idle = idle;
    let call = idle.call(2, ECHO, "\"idle\"");
    idle.say(&call);
    assert_eq!(idle.reply().2, b"\"idle\"", "who has begun nothing may take its time");
}

/// Rows C5 and C15: small requests with large answers, none of which is taken.
#[test]
fn who_takes_no_replies_is_not_read_and_then_closed() {
    const EACH: u64 = 150_000;
    let here = Here::start(|server| server);
    let neighbour = connect(&here.tcp());
    let mut peer = Peer::plain(&here.tcp());
    set_socket_recv_buffer_size(&peer.socket, 4096).unwrap();
    for id in 0..1000 {
        let call = peer.call(id, BIG, &EACH.to_string());
        peer.say(&call);
    }
    here.wait_for(Counter::ClosedSlow, 1);
    let ran = calls(&here, "big");
    // What the kernel holds for both ends is a few MiB.
    assert!((1..=100).contains(&ran), "{ran} replies of 200 KB were made for nobody");
    still_answers(&here, &neighbour);
    // A reply over the limit is none at all.
    let mut peer = Peer::plain(&here.tcp());
    let call = peer.call(1, BIG, &(17_u64 << 20).to_string());
    peer.say(&call);
    assert_eq!(peer.reply().1, Status::Failed(Code::ResourceExhausted, Outcome::Done));
}

/// Rows C7 and C9.
#[test]
fn connections_that_come_and_go_by_the_thousand_hold_up_nobody() {
    const EACH: u64 = 2500;
    let here = Here::start(|server| server);
    let neighbour = connect(&here.tcp());
    thread::scope(|scope| {
        let floods: Vec<_> = [false, true]
            .map(|reset| {
                let address = here.tcp();
                scope.spawn(move || (0..EACH).for_each(|_| Peer::mute(&address).leave(reset)))
            })
            .into();
        while !floods.iter().all(thread::ScopedJoinHandle::is_finished) {
            assert_eq!(neighbour.echo("meanwhile").unwrap(), "meanwhile");
        }
    });
    // A connection that was reset before anybody accepted it may never be seen.
    still_answers(&here, &neighbour);
    let closed = [Counter::ClosedByPeer, Counter::ClosedError, Counter::ClosedBroken];
    let all_closed = || closed.iter().map(|counter| here.count(*counter)).sum::<u64>();
    wait_for("all but the neighbour to be gone", || all_closed() + 1 == here.count(Counter::ConnectionsAccepted));
}

/// Row C10: whoever sends more than is answered is made to wait, and nothing is dropped.
#[test]
fn a_hundred_thousand_calls_at_once_are_all_answered() {
    const CALLS: u64 = 100_000;
    let here = Here::start(|server| server);
    let mut peer = Peer::plain(&here.tcp());
    let frames: Vec<u8> = (0..CALLS).flat_map(|id| peer.call(id, ECHO, "\"x\"")).collect();
    let mut writer = peer.socket.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || writer.write_all(&frames).unwrap());
        let answered: std::collections::HashSet<u64> = (0..CALLS).map(|_| peer.reply().0).collect();
        assert_eq!(answered.len() as u64, CALLS);
    });
}

/// Row C14: the frames that cost their sender least are CANCEL and GOODBYE.
#[test]
fn frames_that_ask_for_nothing_are_cheap_and_take_turns() {
    let here = Here::start(|server| server);
    let neighbour = connect(&here.tcp());
    let mut peer = Peer::plain(&here.tcp());
    let mut flood = Vec::new();
    for id in 0..50_000 {
        frame::append(&mut flood, Kind::Cancel { id: CallId(id) }, &[]);
        frame::append(&mut flood, Kind::Goodbye, &[]);
    }
    flood.extend(peer.call(9, ECHO, "\"last\""));
    let mut writer = peer.socket.try_clone().unwrap();
    thread::scope(|scope| {
        let flooding = scope.spawn(move || writer.write_all(&flood).unwrap());
        while !flooding.is_finished() {
            assert_eq!(neighbour.echo("meanwhile").unwrap(), "meanwhile");
        }
    });
    assert_eq!(peer.reply(), (9, Status::Ok, b"\"last\"".to_vec()));
}

/// Row D1: no descriptors are left. Who is there is served, who comes waits, and nobody spins.
#[test]
fn without_descriptors_connections_wait_and_are_served_later() {
    const LIMIT: u32 = 64;
    let home = Home::new(&file(""));
    let plain = home.engine_command();
    let mut command = home.command("/bin/sh");
    command.args(["-c", &format!("ulimit -n {LIMIT}; exec \"$0\" \"$@\"")]);
    command.arg(plain.get_program()).args(plain.get_args());
    let mut engine = home.start_by(command);
    let address = engine.tcp_address("test");
    let neighbour = connect(&address);
    assert_eq!(neighbour.echo("before").unwrap(), "before");
    let held: Vec<Peer> = (0..LIMIT * 2).map(|_| Peer::mute(&address)).collect();
    wait_for("the engine to say so", || engine.err().iter().any(|line| line.contains("no descriptors are left")));
    assert_eq!(neighbour.echo("meanwhile").unwrap(), "meanwhile");
    let ticks = engine.cpu_ticks();
    let_pass(Duration::from_secs(1));
    let spent = engine.cpu_ticks() - ticks;
    assert!(spent < 30, "{spent} ticks of a hundred: it tries again and again");
    drop(held);
    assert_eq!(connect(&address).echo("after").unwrap(), "after");
    assert_eq!(engine.err().iter().filter(|line| line.contains("no descriptors are left")).count(), 1);
    drop(neighbour);
    assert_eq!(engine.stop(), 0);
}
