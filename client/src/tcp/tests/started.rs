//! Calls that are started and waited for later, over TCP.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use speedysvc_protocol::frame::Kind;
use speedysvc_protocol::status::{Code, Outcome, Status};

use super::fake::{Peer, Server};
use super::{LONG, MESSAGE_MAX, SHORT, bytes, call, connected, echo};
use crate::connection::Connection;
use crate::line::Line;
use crate::test_calls::{awaited, begin, block_on, poll, start, wait};

fn pair(server: &Server) -> (Arc<Line>, Peer) {
    let (line, peer) = connected(server);
    (Arc::new(line), peer)
}

#[test]
fn calls_of_one_thread_are_in_flight_together() {
    let server = Server::new();
    let (line, mut peer) = pair(&server);
    let started: Vec<_> = (0..50_u8).map(|number| start(&line, &[number], LONG)).collect();
    let mut calls: Vec<_> = (0..50).map(|_| peer.call()).collect();
    calls.reverse();
    calls.into_iter().for_each(|(id, body)| peer.reply(id, Status::Ok, &body));
    for (number, started) in (0..50_u8).zip(started).rev() {
        assert_eq!(wait(started).unwrap(), [number]);
    }
}

#[test]
fn of_many_calls_some_go_out_though_nobody_waits_and_nobody_is_told_to_send() {
    let server = Server::new();
    let (line, mut peer) = pair(&server);
    let started: Vec<_> = (0..40_u8).map(|number| begin(&line, &[number], LONG)).collect();
    let calls: Vec<_> = (0..32).map(|_| peer.call()).collect();
    calls.into_iter().for_each(|(id, body)| peer.reply(id, Status::Ok, &body));
    thread::scope(|scope| {
        scope.spawn(|| echo(&mut peer));
        for (number, started) in (0..40_u8).zip(started) {
            assert_eq!(wait(started).unwrap(), [number]);
        }
        drop(line);
    });
}

#[test]
fn one_task_has_two_thousand_calls_in_flight_beside_threads() {
    let server = Server::new();
    let (line, mut peer) = pair(&server);
    thread::scope(|scope| {
        scope.spawn(|| echo(&mut peer));
        let beside = [100, 40_000].map(|len| {
            let line = Arc::clone(&line);
            scope.spawn(move || (0..100).for_each(|_| assert_eq!(call(&line, &bytes(len), LONG).unwrap(), bytes(len))))
        });
        let mut open: Vec<_> = (0..2000_usize).map(|n| (n, start(&line, &n.to_le_bytes(), LONG))).collect();
        block_on(poll_fn(|context| {
            open.retain_mut(|(number, started)| match poll(started, context) {
                Poll::Pending => true,
                Poll::Ready(reply) => {
                    assert_eq!(reply.unwrap(), number.to_le_bytes());
                    false
                }
            });
            if open.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        }));
        beside.into_iter().for_each(|caller| caller.join().unwrap());
        drop(open);
        drop(line);
    });
}

#[test]
fn who_starts_many_large_calls_reads_while_there_is_no_room_to_send() {
    let server = Server::new();
    let (line, mut peer) = pair(&server);
    thread::scope(|scope| {
        // It takes no call before the reply to the last one has been taken.
        scope.spawn(|| echo(&mut peer));
        let body = bytes(1 << 20);
        let started: Vec<_> = (0..40).map(|_| start(&line, &body, LONG)).collect();
        started.into_iter().for_each(|call| assert!(wait(call).unwrap() == body));
        drop(line);
    });
}

#[test]
fn a_call_that_is_dropped_is_cancelled() {
    let server = Server::new();
    let (line, mut peer) = pair(&server);
    drop(start(&line, b"x", LONG));
    let (id, _) = peer.call();
    assert_eq!(peer.frame(), Some((Kind::Cancel { id }, vec![])));
    peer.reply(id, Status::Ok, b"for nobody");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| awaited(start(&line, b"y", LONG)));
        let (id, _) = peer.call();
        peer.reply(id, Status::Ok, b"for somebody");
        assert_eq!(waiter.join().unwrap().unwrap(), b"for somebody");
    });
}

#[test]
fn a_task_hears_when_time_is_up_and_when_the_connection_is_lost() {
    let server = Server::new();
    let (line, mut peer) = pair(&server);
    let error = awaited(start(&line, b"x", SHORT)).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::Unknown));
    let (id, _) = peer.call();
    assert_eq!(peer.frame(), Some((Kind::Cancel { id }, vec![])));
    let mut started = start(&line, b"y", LONG);
    assert!(poll(&mut started, &mut Context::from_waker(Waker::noop())).is_pending());
    peer.call();
    drop(peer);
    let error = awaited(started).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown));
}

#[test]
fn a_task_whose_call_was_not_taken_connects_anew() {
    let server = Server::new();
    let (line, mut peer) = pair(&server);
    peer.send(Kind::Goodbye, &[]);
    drop(peer);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| awaited(start(&line, b"x", LONG)));
        let mut next = server.welcome(MESSAGE_MAX, &[]);
        let (id, body) = next.call();
        next.reply(id, Status::Ok, &body);
        assert_eq!(waiter.join().unwrap().unwrap(), b"x");
    });
}

#[test]
fn the_thread_that_reads_for_tasks_ends_with_the_line() {
    let server = Server::new();
    let (line, mut peer) = pair(&server);
    let connection = match line.usable() {
        Some(Connection::Tcp(connection)) => Arc::downgrade(&connection),
        _ => panic!("no connection"),
    };
    let mut started = start(&line, b"x", LONG);
    assert!(poll(&mut started, &mut Context::from_waker(Waker::noop())).is_pending());
    let (id, body) = peer.call();
    peer.reply(id, Status::Ok, &body);
    assert_eq!(awaited(started).unwrap(), b"x");
    drop(line);
    assert_eq!(peer.frame(), None, "the connection is closed");
    assert!(connection.upgrade().is_none());
}

#[test]
fn what_is_started_goes_out_together_when_somebody_waits() {
    let server = Server::new();
    let (line, mut peer) = pair(&server);
    let mut started: Vec<_> = (0..30_u8).map(|number| begin(&line, &[number], LONG)).collect();
    let nothing_yet = peer.stream.set_read_timeout(Some(SHORT / 10)).and_then(|()| peer.stream.peek(&mut [0]));
    assert!(nothing_yet.is_err(), "a call was sent before anybody waited");
    peer.stream.set_read_timeout(Some(LONG)).unwrap();
    let last = started.pop().unwrap();
    let waiter = thread::spawn(move || wait(last));
    let calls: Vec<_> = (0..30).map(|_| peer.call()).collect();
    calls.iter().for_each(|(id, body)| peer.reply(*id, Status::Ok, body));
    assert_eq!(waiter.join().unwrap().unwrap(), [29]);
    for (number, started) in (0..29_u8).zip(started) {
        assert_eq!(wait(started).unwrap(), [number]);
    }
}

#[test]
fn who_starts_many_sends_them_by_the_32_with_nobody_waiting() {
    let server = Server::new();
    let (line, mut peer) = pair(&server);
    let started: Vec<_> = (0..40_u8).map(|number| begin(&line, &[number], LONG)).collect();
    let mut calls: Vec<_> = (0..32).map(|_| peer.call()).collect();
    let no_more = peer.stream.set_read_timeout(Some(SHORT / 10)).and_then(|()| peer.stream.peek(&mut [0]));
    assert!(no_more.is_err(), "the rest waits for more, or for somebody who waits");
    peer.stream.set_read_timeout(Some(LONG)).unwrap();
    let waiter = thread::spawn(move || started.into_iter().map(|call| wait(call).unwrap()).collect::<Vec<_>>());
    calls.extend((32..40).map(|_| peer.call()));
    calls.iter().for_each(|(id, body)| peer.reply(*id, Status::Ok, body));
    assert_eq!(waiter.join().unwrap(), (0..40_u8).map(|number| [number]).collect::<Vec<_>>());
}

#[test]
fn a_call_whose_time_was_up_before_it_was_sent_never_starts() {
    let server = Server::new();
    let (line, mut peer) = pair(&server);
    // Its time is up as soon as it is waited for.
    let soon = Duration::from_micros(1);
    let (kept, late, dropped) =
        (begin(&line, b"kept", LONG), begin(&line, b"late", soon), begin(&line, b"dropped", LONG));
    drop(dropped);
    let error = wait(late).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::NotStarted));
    thread::scope(|scope| {
        let caller = scope.spawn(|| wait(kept));
        let (id, body) = peer.call();
        assert_eq!(body, b"kept");
        peer.reply(id, Status::Ok, b"1");
        assert_eq!(caller.join().unwrap().unwrap(), b"1");
        let next = scope.spawn(|| call(&line, b"next", LONG));
        let (id, body) = peer.call();
        assert_eq!(body, b"next", "what was taken back was sent");
        peer.reply(id, Status::Ok, b"2");
        assert_eq!(next.join().unwrap().unwrap(), b"2");
    });
}
