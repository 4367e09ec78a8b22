//! Calls that are made again, over TCP.

use std::sync::Arc;
use std::thread;

use speedysvc_protocol::frame::Kind;
use speedysvc_protocol::hello::Hello;
use speedysvc_protocol::status::{Code, Outcome, Status};

use super::fake::{IDEMPOTENT, Peer, Server};
use super::{LONG, MESSAGE_MAX, call};
use crate::clock::Deadline;
use crate::error::Error;
use crate::line::Line;
use crate::test_calls::{awaited, routes, start, wait};

type Way = fn(&Arc<Line>) -> Result<Vec<u8>, Error>;

/// The three ways to make a call.
const WAYS: [Way; 3] =
    [|line| call(line, b"x", LONG), |line| wait(start(line, b"x", LONG)), |line| awaited(start(line, b"x", LONG))];

fn pair(server: &Server, method: &str) -> (Arc<Line>, Peer) {
    thread::scope(|scope| {
        let peer = scope.spawn(|| server.welcome(MESSAGE_MAX, &[]));
        let routes = routes(&format!("tcp://127.0.0.1:{}", server.port));
        let line = Line::open(routes, Hello::by_name("", method), Deadline::after(LONG)).unwrap();
        (Arc::new(line), peer.join().unwrap())
    })
}

#[test]
fn a_connection_that_is_lost_costs_an_idempotent_call_nothing() {
    for way in WAYS {
        let server = Server::new();
        let (line, mut peer) = pair(&server, IDEMPOTENT);
        thread::scope(|scope| {
            let caller = scope.spawn(|| way(&line));
            let (_, first) = peer.call();
            drop(peer);
            let mut next = server.welcome(MESSAGE_MAX, &[]);
            let (id, second) = next.call();
            next.reply(id, Status::Ok, &second);
            assert_eq!((caller.join().unwrap().unwrap(), first), (second.clone(), second));
        });
    }
}

#[test]
fn and_any_other_call_is_made_once() {
    for way in WAYS {
        let server = Server::new();
        let (line, mut peer) = pair(&server, "echo");
        thread::scope(|scope| {
            let caller = scope.spawn(|| way(&line));
            peer.call();
            drop(peer);
            let error = caller.join().unwrap().unwrap_err();
            assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown), "{error}");
            assert_eq!(error.attempts(), 1);
        });
        // The next call is the next thing that the service hears.
        thread::scope(|scope| {
            let caller = scope.spawn(|| call(&line, b"y", LONG));
            let mut next = server.welcome(MESSAGE_MAX, &[]);
            let (id, body) = next.call();
            assert_eq!(body, b"y");
            next.reply(id, Status::Ok, b"z");
            assert_eq!(caller.join().unwrap().unwrap(), b"z");
        });
    }
}

#[test]
fn a_service_that_stays_away_is_told_of_with_the_attempts() {
    for way in WAYS {
        let server = Server::new();
        let (line, mut peer) = pair(&server, IDEMPOTENT);
        let error = thread::scope(|scope| {
            let caller = scope.spawn(|| way(&line));
            peer.call();
            drop(server);
            drop(peer);
            caller.join().unwrap().unwrap_err()
        });
        // It ran once, perhaps, though nobody could be reached in the end.
        assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown), "{error}");
        assert!(error.attempts() > 2 && error.to_string().ends_with("attempts"), "{error}");
    }
}

#[test]
fn what_is_told_to_be_lost_twice_is_not_made_a_third_time() {
    let server = Server::new();
    let (line, mut peer) = pair(&server, IDEMPOTENT);
    thread::scope(|scope| {
        let lost = Status::Failed(Code::Unavailable, Outcome::Unknown);
        let service = scope.spawn(move || {
            let mut calls = 0;
            while let Some((kind, _)) = peer.frame() {
                let Kind::Call { id, .. } = kind else { panic!("{kind:?} is no call") };
                peer.reply(id, lost, b"the worker died");
                calls += 1;
            }
            calls
        });
        let error = call(&line, b"x", LONG).unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown), "{error}");
        drop(line);
        assert_eq!((service.join().unwrap(), error.attempts()), (2, 2), "{error}");
    });
}
