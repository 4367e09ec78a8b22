//! The TCP client against a server in this process.

mod fake;
mod hostile;
mod retries;
mod started;
mod wire;

use std::io::Write;
use std::net::{Shutdown, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use speedysvc_protocol::archive::{self, Buffer};
use speedysvc_protocol::contract::{Contract, Method};
use speedysvc_protocol::frame::Kind;
use speedysvc_protocol::hello::{Hello, Refusal};
use speedysvc_protocol::ids::{CallId, Codec, MethodId, MethodIndex, Shape};
use speedysvc_protocol::status::{Code, Outcome, Status};

use crate::call::Ask;
use crate::channel::{CallError, Channel};
use crate::clock::{Deadline, now_ns};
use crate::error::Error;
use crate::line::Line;
use crate::reply::Reply;
use crate::test_calls::routes;
use crate::untyped;
use fake::{Peer, Server};

const LONG: Duration = Duration::from_secs(20);
/// Long enough for the other side to do its part on a busy machine.
const SHORT: Duration = Duration::from_millis(400);
const MESSAGE_MAX: u64 = 1 << 20;

fn try_open(port: u16, timeout: Duration) -> Result<Line, Error> {
    Line::open(routes(&format!("tcp://127.0.0.1:{port}")), Hello::by_name("", "echo"), Deadline::after(timeout))
}

fn connected(server: &Server) -> (Line, Peer) {
    thread::scope(|scope| {
        let peer = scope.spawn(|| server.welcome(MESSAGE_MAX, &[]));
        (try_open(server.port, LONG).unwrap(), peer.join().unwrap())
    })
}

fn call(line: &Line, body: &[u8], timeout: Duration) -> Result<Vec<u8>, Error> {
    let (begun_ns, deadline) = (now_ns(), Deadline::after(timeout));
    let ask = Ask { method: MethodIndex(0), codec: Codec::Json, body, begun_ns, deadline, trace: None };
    let mut reply = Reply::new();
    line.exchange(&ask, &mut reply)?;
    Ok(reply.body.as_slice().to_vec())
}

fn bytes(len: usize) -> Vec<u8> {
    (0..=250_u8).cycle().take(len).collect()
}

/// Gives back what comes, until the client closes.
fn echo(peer: &mut Peer) {
    while let Some((kind, body)) = peer.frame() {
        let Kind::Call { id, .. } = kind else { panic!("{kind:?} is no call") };
        peer.reply(id, Status::Ok, &body);
    }
}

#[test]
fn bodies_of_every_size_cross() {
    let server = Server::new();
    let (line, mut peer) = connected(&server);
    thread::scope(|scope| {
        scope.spawn(|| echo(&mut peer));
        for len in [0, 1, 4096, 65_535, 65_536, 100_000, 1 << 20] {
            assert_eq!(call(&line, &bytes(len), LONG).unwrap(), bytes(len), "{len} bytes");
        }
        drop(line);
    });
}

#[test]
fn many_threads_share_one_connection() {
    let server = Server::new();
    let (line, mut peer) = connected(&server);
    let line = Arc::new(line);
    thread::scope(|scope| {
        scope.spawn(|| echo(&mut peer));
        let callers: Vec<_> = (0..8_usize)
            .map(|caller| {
                let line = Arc::clone(&line);
                scope.spawn(move || {
                    for round in 0..200 {
                        let body = bytes((caller * 37 + round * 997) % 150_000);
                        assert_eq!(call(&line, &body, LONG).unwrap(), body);
                    }
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        drop(line);
    });
}

#[test]
fn replies_come_in_any_order_and_late_ones_are_ignored() {
    let server = Server::new();
    let (line, mut peer) = connected(&server);
    thread::scope(|scope| {
        let callers = [b"a", b"b", b"c"].map(|body| {
            let line = &line;
            scope.spawn(move || assert_eq!(call(line, body, LONG).unwrap(), body))
        });
        let calls = [peer.call(), peer.call(), peer.call()];
        peer.reply(CallId(999), Status::Ok, b"to nobody");
        for (id, body) in calls.iter().rev() {
            peer.reply(*id, Status::Ok, body);
        }
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    });
}

#[test]
fn a_request_over_the_limit_is_refused_here_and_the_connection_stays() {
    let server = Server::new();
    let (line, mut peer) = connected(&server);
    let error = call(&line, &bytes((1 << 20) + 1), LONG).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::ResourceExhausted, Outcome::NotStarted));
    assert!(error.message().contains("1048577") && error.message().contains("1048576"), "{error}");
    thread::scope(|scope| {
        scope.spawn(|| echo(&mut peer));
        assert_eq!(call(&line, b"x", LONG).unwrap(), b"x");
        drop(line);
    });
}

#[test]
fn at_the_deadline_the_call_is_cancelled_and_the_connection_stays() {
    let server = Server::new();
    let (line, mut peer) = connected(&server);
    let error = call(&line, b"x", SHORT).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::Unknown));
    let (id, _) = peer.call();
    assert_eq!(peer.frame().unwrap().0, Kind::Cancel { id });
    peer.reply(id, Status::Ok, b"late");
    thread::scope(|scope| {
        scope.spawn(|| echo(&mut peer));
        assert_eq!(call(&line, b"y", LONG).unwrap(), b"y");
        drop(line);
    });
}

#[test]
fn a_leader_whose_time_is_up_hands_reading_on() {
    let server = Server::new();
    let (line, mut peer) = connected(&server);
    thread::scope(|scope| {
        let line = &line;
        let leader = scope.spawn(move || call(line, b"short", SHORT));
        let (first, _) = peer.call();
        let follower = scope.spawn(move || call(line, b"long", LONG));
        let (second, _) = peer.call();
        leader.join().unwrap().unwrap_err();
        assert_eq!(peer.frame().unwrap().0, Kind::Cancel { id: first });
        peer.reply(second, Status::Ok, b"y");
        assert_eq!(follower.join().unwrap().unwrap(), b"y");
    });
}

#[test]
fn after_goodbye_calls_go_elsewhere_and_those_under_way_finish() {
    let server = Server::new();
    let (line, mut old) = connected(&server);
    thread::scope(|scope| {
        let line = &line;
        let under_way = scope.spawn(move || call(line, b"old", LONG));
        let (id, _) = old.call();
        old.send(Kind::Goodbye, &[]);
        let (second, first) = (CallId(id.0 + 1), id);
        // Whether the goodbye is read before the next call is begun is up to chance: a worker that drains refuses it.
        let next = scope.spawn(move || call(line, b"new", LONG));
        let refused = Status::Failed(Code::Unavailable, Outcome::NotStarted);
        old.reply(second, refused, b"draining");
        let mut new = server.welcome(MESSAGE_MAX, &[]);
        let (id, body) = new.call();
        assert_eq!(body, b"new");
        new.reply(id, Status::Ok, b"1");
        assert_eq!(next.join().unwrap().unwrap(), b"1");
        old.reply(first, Status::Ok, b"2");
        assert_eq!(under_way.join().unwrap().unwrap(), b"2");
    });
}

#[test]
fn a_goodbye_or_an_end_that_came_while_nobody_read_is_seen_before_sending() {
    let server = Server::new();
    let (line, mut old) = connected(&server);
    old.send(Kind::Goodbye, &[]);
    thread::scope(|scope| {
        let caller = scope.spawn(|| call(&line, b"x", LONG));
        let mut new = server.welcome(MESSAGE_MAX, &[]);
        let (id, _) = new.call();
        new.reply(id, Status::Ok, b"1");
        assert_eq!(caller.join().unwrap().unwrap(), b"1");
        new.stream.shutdown(Shutdown::Both).unwrap();
        let caller = scope.spawn(|| call(&line, b"x", LONG));
        let mut newest = server.welcome(MESSAGE_MAX, &[]);
        let (id, _) = newest.call();
        newest.reply(id, Status::Ok, b"2");
        assert_eq!(caller.join().unwrap().unwrap(), b"2");
    });
    assert!(old.frame().is_none(), "the old connection was used again, or kept");
}

#[test]
fn a_goodbye_in_one_piece_with_the_welcome_is_not_lost() {
    let server = Server::new();
    let (line, mut first) = thread::scope(|scope| {
        let first = scope.spawn(|| server.welcome(MESSAGE_MAX, &[Kind::Goodbye]));
        (try_open(server.port, LONG).unwrap(), first.join().unwrap())
    });
    thread::scope(|scope| {
        let caller = scope.spawn(|| call(&line, b"x", LONG));
        let mut second = server.welcome(MESSAGE_MAX, &[]);
        let (id, _) = second.call();
        second.reply(id, Status::Ok, b"y");
        assert_eq!(caller.join().unwrap().unwrap(), b"y");
        assert!(first.frame().is_none());
    });
}

#[test]
fn a_connection_lost_under_a_call_leaves_it_unknown_and_the_next_connects_anew() {
    let server = Server::new();
    let (line, mut peer) = connected(&server);
    thread::scope(|scope| {
        let callers = [0, 1].map(|_| scope.spawn(|| call(&line, b"x", LONG)));
        peer.call();
        peer.call();
        drop(peer);
        for caller in callers {
            let error = caller.join().unwrap().unwrap_err();
            assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown), "{error}");
        }
        let next = scope.spawn(|| call(&line, b"x", LONG));
        let mut peer = server.welcome(MESSAGE_MAX, &[]);
        let (id, _) = peer.call();
        peer.reply(id, Status::Ok, b"y");
        assert_eq!(next.join().unwrap().unwrap(), b"y");
    });
}

#[test]
fn nonsense_breaks_the_connection() {
    let reply = Kind::Reply { id: CallId(1), status: Status::Ok };
    let too_long = speedysvc_protocol::frame::Header::plain(reply, u32::MAX);
    let mut wrong_kind = Vec::new();
    speedysvc_protocol::frame::append(&mut wrong_kind, Kind::Hello, &[]);
    for (nonsense, code) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], Code::DataLoss),
        (&too_long.to_bytes(), Code::DataLoss),
        (&wrong_kind, Code::Internal),
    ] {
        let server = Server::new();
        let (line, mut peer) = connected(&server);
        thread::scope(|scope| {
            let caller = scope.spawn(|| call(&line, b"x", LONG));
            peer.call();
            peer.stream.write_all(nonsense).unwrap();
            let error = caller.join().unwrap().unwrap_err();
            assert_eq!((error.code(), error.outcome()), (code, Outcome::Unknown), "{error}");
            assert!(peer.frame().is_none());
        });
    }
}

#[test]
fn a_request_that_is_not_taken_in_time_ends_at_the_deadline() {
    let server = Server::new();
    let (line, peer) = thread::scope(|scope| {
        let peer = scope.spawn(|| server.welcome(1 << 28, &[]));
        (try_open(server.port, LONG).unwrap(), peer.join().unwrap())
    });
    // Larger than what the kernel's buffers take: the server reads nothing.
    let error = call(&line, &vec![0; 1 << 26], SHORT).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::Unknown));
    drop(peer);
}

#[test]
fn nobody_there_is_said_at_once() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let start = Instant::now();
    let error = try_open(port, LONG).err().unwrap();
    assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::NotStarted));
    assert!(error.message().contains(&format!("tcp://127.0.0.1:{port}")), "{error}");
    assert!(error.message().contains("connection refused"), "{error}");
    assert!(start.elapsed() < LONG, "it waited until the end of its time");
}

#[test]
fn a_refusal_comes_through_and_silence_has_an_end() {
    let server = Server::new();
    thread::scope(|scope| {
        scope.spawn(|| server.refuse(&Refusal::new(Code::FailedPrecondition, "the contract differs")));
        let error = try_open(server.port, LONG).err().unwrap();
        assert_eq!((error.code(), error.outcome()), (Code::FailedPrecondition, Outcome::NotStarted));
        assert!(error.message().contains("the contract differs"), "{error}");
    });
    let error = try_open(server.port, Duration::from_millis(50)).err().unwrap();
    assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::NotStarted));
}

#[test]
fn values_cross_as_values() {
    let (name, id, codec) = ("get".into(), MethodId(7), Codec::Rkyv);
    let method = Method { name, signature: String::new(), id, shape: Shape(1), idempotent: false, codec };
    let contract: &Contract =
        Box::leak(Box::new(Contract { service: "store".into(), version: 1, methods: vec![method] }));
    let server = Server::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut peer = server.welcome(MESSAGE_MAX, &[]);
            for status in [Status::Ok, Status::Application, Status::Application] {
                let (id, body) = peer.call();
                assert_eq!(archive::decode::<(String,)>(&body).unwrap().0, "key");
                let mut reply = Buffer::new(100);
                archive::encode(&"value".to_owned(), &mut reply).unwrap();
                peer.reply(id, status, reply.as_slice());
            }
            let (id, _) = peer.call();
            peer.reply(id, Status::Ok, b"no archive of a string at all");
        });
        let channel = Channel::connect(contract, &format!("tcp://127.0.0.1:{}", server.port)).unwrap();
        let (get, key) = (MethodIndex(0), (archive::Str("key"),));
        assert_eq!(channel.call::<_, String>(get, &key).unwrap(), "value");
        let error = channel.call_fallible::<_, u8, String>(get, &key).unwrap_err();
        assert_eq!(error, CallError::App("value".to_owned()));
        let error = channel.with_timeout(LONG).call::<_, u8>(get, &key).unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::Internal, Outcome::Done));
        let error = channel.call::<_, String>(get, &key).unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::DataLoss, Outcome::Done));
        let error = channel.call::<_, u8>(get, &vec![0_u8; 1 << 21]).unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::ResourceExhausted, Outcome::NotStarted));
        assert!(error.message().contains("1048576"), "{error}");
    });
}

#[test]
fn a_method_is_called_by_name_with_json() {
    let server = Server::new();
    let address = format!("tcp://127.0.0.1:{}", server.port);
    for (status, expected) in [
        (Status::Ok, untyped::Reply::Ok(b"[1]".to_vec())),
        (Status::Application, untyped::Reply::Application(b"[1]".to_vec())),
    ] {
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut peer = server.welcome(MESSAGE_MAX, &[]);
                let (id, body) = peer.call();
                peer.reply(id, status, &body);
            });
            assert_eq!(untyped::call(&address, "get", b"[1]", None).unwrap(), expected);
        });
    }
}
