//! What the client makes of compression and checksums, whatever the service says.

use std::io::Write;
use std::thread;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::frame::{self, Kind, Sent};
use speedysvc_protocol::hello::Refusal;
use speedysvc_protocol::ids::CallId;
use speedysvc_protocol::packing::Packer;
use speedysvc_protocol::status::{Code, Outcome, Status};
use speedysvc_protocol::wire::{Compression, Wire};

use super::fake::{Peer, Server};
use super::{LONG, MESSAGE_MAX, bytes, call};
use crate::clock::Deadline;
use crate::line::Line;
use crate::test_calls::routes;

const BOTH: Wire = Wire { compression: Some(Compression::Lz4), checksum: true, trace: false };

/// A client whose address asks for both, with a service that agrees to this.
fn connected(wire: Wire) -> (Line, Peer) {
    let mut server = Server::new();
    server.wire = wire;
    let how = wire.compression.unwrap_or(Compression::Lz4).name();
    let text = format!("tcp://127.0.0.1:{}?compression={how}&checksum=crc32c", server.port);
    thread::scope(|scope| {
        let peer = scope.spawn(|| server.welcome(MESSAGE_MAX, &[]));
        let hello = speedysvc_protocol::hello::Hello::by_name("", "echo");
        (Line::open(routes(&text), hello, Deadline::after(LONG)).unwrap(), peer.join().unwrap())
    })
}

fn packed(how: Compression, body: &[u8]) -> Buffer {
    let mut packed = Buffer::new(0);
    assert!(Packer::default().pack(how, body, &mut packed));
    packed
}

fn answer(peer: &mut Peer, id: CallId, sent: Sent<'_>) {
    let mut bytes = Vec::new();
    frame::append_sent(&mut bytes, Kind::Reply { id, status: Status::Ok }, sent, true);
    peer.stream.write_all(&bytes).unwrap();
}

#[test]
fn calls_go_compressed_and_replies_come_so() {
    let (line, mut peer) = connected(BOTH);
    for len in [10, 5000, 300_000] {
        thread::scope(|scope| {
            let caller = scope.spawn(|| call(&line, &bytes(len), LONG).unwrap());
            let (header, body) = peer.whole().unwrap();
            let Kind::Call { id, .. } = header.kind else { panic!("{header:?}") };
            assert_eq!((header.full_len as usize, header.checksum.is_some()), (len, true));
            assert_eq!(header.is_compressed(), len >= 860);
            assert!(body.len() <= len);
            answer(&mut peer, id, Sent { bytes: &body, full_len: len });
            assert!(caller.join().unwrap() == bytes(len));
        });
    }
}

/// A service that knows nothing of it ignores what is offered, and gets plain frames.
#[test]
fn an_older_service_is_spoken_to_as_ever() {
    let (line, mut peer) = connected(Wire::default());
    thread::scope(|scope| {
        let caller = scope.spawn(|| call(&line, &bytes(5000), LONG).unwrap());
        let (id, body) = peer.call();
        assert!(body == bytes(5000));
        peer.reply(id, Status::Ok, &body);
        assert!(caller.join().unwrap() == bytes(5000));
    });
}

/// Row C6, at the other end: what a hostile service sends by each way costs its connection, and no more room than its
/// header may ask for.
#[test]
fn a_reply_that_was_changed_or_is_no_reply_is_told_as_that() {
    for how in Compression::ALL {
        let long = packed(how, &bytes(5000));
        let whole = long.as_slice().to_vec();
        let cut = whole[..whole.len() - 3].to_vec();
        let more = [&whole[..], &[0; 7]].concat();
        for (what, body, full_len, checked) in [
            ("its checksum differs", whole.clone(), 5000, false),
            ("cannot be decompressed", cut, 5000, true),
            ("cannot be decompressed", more, 5000, true),
            ("cannot be decompressed", whole.clone(), 4999, true),
            ("cannot be decompressed", whole.clone(), 5001, true),
            ("cannot be decompressed", vec![0xA5; 2000], 50_000, true),
            ("claim to be", vec![1; 10], 900_000, true),
            ("over the limit", vec![1; 10_000], 2_000_000, true),
        ] {
            let (line, mut peer) = connected(Wire { compression: Some(how), ..BOTH });
            thread::scope(|scope| {
                let caller = scope.spawn(|| call(&line, b"x", LONG).unwrap_err());
                let (id, _) = peer.call();
                let kind = Kind::Reply { id, status: Status::Ok };
                let mut frame = Vec::new();
                frame::append_sent(&mut frame, kind, Sent { bytes: &body, full_len }, true);
                if !checked {
                    frame[60] ^= 4;
                }
                peer.stream.write_all(&frame).unwrap();
                let error = caller.join().unwrap();
                assert_eq!((error.code(), error.outcome()), (Code::DataLoss, Outcome::Unknown), "{how:?}: {error}");
                assert!(error.message().contains(what), "{how:?}: {error} without `{what}`");
                assert!(peer.frame().is_none());
            });
        }
    }
}

#[test]
fn what_the_service_says_of_a_broken_frame_reaches_the_caller() {
    let (line, mut peer) = connected(BOTH);
    thread::scope(|scope| {
        let caller = scope.spawn(|| call(&line, b"x", LONG).unwrap_err());
        peer.call();
        let refusal = Refusal::new(Code::DataLoss, "a frame was changed on its way");
        peer.send(Kind::Refused, &serde_json::to_vec(&refusal).unwrap());
        let error = caller.join().unwrap();
        assert_eq!((error.code(), error.outcome()), (Code::DataLoss, Outcome::Unknown), "{error}");
        assert!(error.message().contains("a frame was changed on its way"), "{error}");
    });
}
