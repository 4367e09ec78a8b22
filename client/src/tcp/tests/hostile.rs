//! A service that means no good to its clients, or has no luck: rows C2 to C4 of docs/faults.md from the other end.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use speedysvc_protocol::frame::{self, Header, Kind};
use speedysvc_protocol::hello::{LIBRARY, VERSION, Welcome};
use speedysvc_protocol::ids::CallId;
use speedysvc_protocol::status::{Code, Outcome, Status};
use speedysvc_protocol::wire::Wire;

use super::fake::Server;
use super::{LONG, MESSAGE_MAX, SHORT, bytes, call, connected, try_open};

/// A reply that ends anywhere, by FIN or by RST, is none; the next call finds the next worker.
#[test]
fn a_reply_that_is_cut_anywhere_leaves_its_call_unknown() {
    let server = Server::new();
    let reply = |id| {
        let mut whole = Vec::new();
        frame::append(&mut whole, Kind::Reply { id, status: Status::Ok }, b"reply");
        whole
    };
    for cut in (0..reply(CallId(0)).len()).flat_map(|cut| [(cut, false), (cut, true)]) {
        let (line, mut peer) = connected(&server);
        thread::scope(|scope| {
            let caller = scope.spawn(|| call(&line, b"x", LONG));
            let (id, _) = peer.call();
            peer.stream.write_all(&reply(id)[..cut.0]).unwrap();
            set_socket_linger(&peer.stream, cut.1.then_some(Duration::ZERO)).unwrap();
            drop(peer);
            let error = caller.join().unwrap().unwrap_err();
            assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown), "{cut:?}: {error}");
            let next = scope.spawn(|| call(&line, b"x", LONG));
            let mut peer = server.welcome(MESSAGE_MAX, &[]);
            let (id, _) = peer.call();
            peer.reply(id, Status::Ok, b"whole");
            assert_eq!(next.join().unwrap().unwrap(), b"whole");
        });
    }
}

/// A reply that drips holds up its caller until the deadline, and no longer.
#[test]
fn a_reply_that_drips_ends_at_the_deadline() {
    let server = Server::new();
    let (line, mut peer) = connected(&server);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let caller = scope.spawn(|| call(&line, b"x", SHORT));
        let (id, _) = peer.call();
        let mut whole = Vec::new();
        frame::append(&mut whole, Kind::Reply { id, status: Status::Ok }, &bytes(100_000));
        let (over, mut stream) = (&over, peer.stream.try_clone().unwrap());
        let dripping = scope.spawn(move || {
            let mut rest = &whole[..];
            while !over.load(Ordering::Relaxed) {
                let (piece, after) = rest.split_at(1);
                stream.write_all(piece).unwrap();
                rest = after;
                thread::park_timeout(Duration::from_millis(5));
            }
            stream.write_all(rest).unwrap();
        });
        let error = caller.join().unwrap().unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::Unknown), "{error}");
        over.store(true, Ordering::Relaxed);
        dripping.join().unwrap();
        // What came too late is no answer to the next call, which has the same connection.
        let next = scope.spawn(|| call(&line, b"y", LONG));
        let id = loop {
            match peer.frame().unwrap() {
                (Kind::Call { id, .. }, _) => break id,
                (Kind::Cancel { .. }, _) => {}
                other => panic!("{other:?}"),
            }
        };
        peer.reply(id, Status::Ok, b"next");
        assert_eq!(next.join().unwrap().unwrap(), b"next");
    });
}

/// What answers a greeting is judged before it is believed.
#[test]
fn a_welcome_that_is_none_is_told_as_that() {
    let header = |len| Header::plain(Kind::Welcome, len).to_bytes().to_vec();
    let welcome = |methods| {
        let welcome = Welcome {
            version: VERSION,
            library: LIBRARY.to_owned(),
            message_max: u64::MAX,
            deadline_us: 0,
            methods,
            wire: Wire::default(),
        };
        let mut frame = Vec::new();
        frame::append(&mut frame, Kind::Welcome, &serde_json::to_vec(&welcome).unwrap());
        frame
    };
    let nested = "[".repeat(60_000);
    for (what, said, code) in [
        ("another protocol", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(), Code::FailedPrecondition),
        ("a huge length", header(u32::MAX), Code::FailedPrecondition),
        ("no JSON", [header(7), b"welcome".to_vec()].concat(), Code::Unavailable),
        ("nesting", [header(60_000), nested.into_bytes()].concat(), Code::Unavailable),
        ("too few methods", welcome(Vec::new()), Code::Internal),
        ("another frame", Header::plain(Kind::Hello, 0).to_bytes().to_vec(), Code::Unavailable),
    ] {
        let server = Server::new();
        thread::scope(|scope| {
            let serving = scope.spawn(|| {
                // A handshake that breaks off is begun again, at most twice.
                for _ in 0..if code == Code::Unavailable { 3 } else { 1 } {
                    let mut peer = server.accept();
                    peer.frame().unwrap();
                    peer.stream.write_all(&said).unwrap();
                    assert!(peer.frame().is_none(), "{what}: it goes on");
                }
            });
            let error = try_open(server.port, LONG).err().unwrap();
            assert_eq!((error.code(), error.outcome()), (code, Outcome::NotStarted), "{what}: {error}");
            serving.join().unwrap();
        });
    }
}
