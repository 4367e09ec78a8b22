//! Compression and checksums: agreed in the handshake, on both kinds of clients, and of no use to an attacker.

use std::io::Write;

use speedysvc::stats::Counter;
use speedysvc::{Code, Compression};
use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::frame::{self, Header, Kind, Sent};
use speedysvc_protocol::hello::Refusal;
use speedysvc_protocol::limits::expands_to;
use speedysvc_protocol::packing::{Packer, Unpacker};
use speedysvc_protocol::status::{Outcome, Status};
use speedysvc_protocol::wire::Offer;
use speedysvc_tests::test_service::pattern;

use crate::fixture::{block_on, connect, engine};
use crate::frames::{ECHO, Here, Peer};

const NAMES: [&str; 3] = ["lz4", "snappy", "zlib"];

/// JSON's kind of text, without anything that JSON would write otherwise.
fn text(len: usize) -> String {
    let mut text = String::new();
    let mut number = 0_u32;
    while text.len() < len {
        number += 1;
        text += &format!("user{} is number {number}; ", number.wrapping_mul(2_654_435_761));
    }
    text.truncate(len);
    text
}

fn offer(names: &[&str], checksum: bool) -> Offer {
    Offer { compressions: names.iter().map(|name| (*name).to_owned()).collect(), checksum, trace: false }
}

/// Every size crosses by every way, and what shrinks does.
#[test]
fn bodies_cross_compressed_by_each_way_with_checksums_and_without() {
    let engine = engine("");
    let address = engine.tcp_address("test");
    for (name, checksum) in NAMES.iter().flat_map(|name| [(name, ""), (name, "&checksum=crc32c")]) {
        let client = connect(&format!("{address}?compression={name}{checksum}"));
        for len in [0, 1, 859, 860, 861, 5000, 65_535, 65_536, 300_000, 3 << 20] {
            let text = text(len);
            assert!(client.echo(&text).unwrap() == text, "{name} {len}");
            let noise = pattern(len);
            assert!(client.echo_bytes(&noise).unwrap() == noise, "{name} {len}");
        }
        let text = text(200_000);
        let started: Vec<_> = (0..8).map(|_| client.start().echo(&text)).collect();
        assert!(started.into_iter().all(|call| block_on(call).unwrap() == text), "{name}: awaited");
    }
    let only_checked = connect(&format!("{address}?checksum=crc32c"));
    assert_eq!(only_checked.echo("checked").unwrap(), "checked");
}

#[test]
fn what_went_compressed_is_counted_before_and_after() {
    let here = Here::start(|server| server);
    let client = connect(&format!("{}?compression=lz4", here.tcp()));
    let text = text(100_000);
    assert!(client.echo(&text).unwrap() == text);
    let stats = here.wait_for(Counter::CompressedFull, 200_000);
    let (full, sent) = (stats.counter(Counter::CompressedFull), stats.counter(Counter::CompressedSent));
    assert!((200_000..210_000).contains(&full) && sent < full * 3 / 4, "{sent} of {full} bytes");
    let wire = stats.counter(Counter::TcpBytesIn) + stats.counter(Counter::TcpBytesOut);
    assert!(wire < full * 3 / 4, "{wire} bytes went for {full}");
    assert_eq!(stats.counter(Counter::CompressionSkipped), 0);
    // Compressed once, it does not shrink again.
    let mut packed = Buffer::new(0);
    assert!(Packer::default().pack(Compression::Zlib, text.as_bytes(), &mut packed));
    assert!(client.echo_bytes(packed.as_slice()).unwrap() == packed.as_slice());
    here.wait_for(Counter::CompressionSkipped, 1);
    assert_eq!(here.count(Counter::CompressedFull), full);
}

/// The service chooses among what the client can, and both can do without.
#[test]
fn the_file_and_the_client_agree() {
    for (file, offered, agreed) in [
        ("", &["snappy", "lz4"][..], Some(Compression::Lz4)),
        ("compression = \"zlib\"", &NAMES, Some(Compression::Zlib)),
        ("compression = \"zlib\"", &["snappy"], Some(Compression::Snappy)),
        ("compression = \"none\"", &NAMES, None),
        ("", &["brotli"], None),
        ("", &[], None),
    ] {
        let mut engine = engine(file);
        let peer = Peer::greet(&engine.tcp_address("test"), offer(offered, true));
        assert_eq!((peer.wire.compression, peer.wire.checksum), (agreed, true), "{file} {offered:?}");
        assert_eq!(engine.stop(), 0);
    }
}

/// What a peer of ours sends without having agreed on it, or after it was changed on its way.
struct Bad {
    what: &'static str,
    head: Header,
    body: Vec<u8>,
}

/// Row C6, and what a checksum finds.
#[test]
fn bombs_and_changed_frames_end_their_connection_with_a_reason() {
    const LIMIT: u32 = 4 << 20;
    let here = Here::start(|server| server.message_max(u64::from(LIMIT), u64::from(LIMIT)));
    let neighbour = connect(&here.tcp());
    let mut closed = 0;
    for name in NAMES {
        let how = Compression::named(name).unwrap();
        let fresh = || Peer::greet(&here.tcp(), offer(&[name], false));
        let kind = fresh().kind(3, ECHO);
        let full = format!("\"{}\"", text(40_000));
        let mut packed = Buffer::new(0);
        assert!(Packer::default().pack(how, full.as_bytes(), &mut packed));
        let good = packed.as_slice().to_vec();
        let header = |body: &[u8], full_len: usize| {
            let narrow = |len: usize| u32::try_from(len).unwrap();
            Header { kind, body_len: narrow(body.len()), full_len: narrow(full_len), checksum: None }
        };
        let cut = good[..good.len() - 9].to_vec();
        let noise = vec![0xA5; 2000];
        let more = [&good[..], &[0; 7]].concat();
        let claims = expands_to(2000) + 1;
        for bad in [
            Bad { what: "larger than it can be", head: header(&noise, claims), body: noise.clone() },
            Bad { what: "noise", head: header(&noise, 50_000), body: noise.clone() },
            Bad { what: "longer than it says", head: header(&good, full.len() - 1), body: good.clone() },
            Bad { what: "shorter than it says", head: header(&good, full.len() + 1), body: good.clone() },
            Bad { what: "cut", head: header(&cut, full.len()), body: cut.clone() },
            Bad { what: "with more behind it", head: header(&more, full.len()), body: more.clone() },
        ] {
            let mut peer = fresh();
            peer.say(&bad.head.to_bytes());
            peer.socket.write_all(&bad.body).ok();
            let (header, reason) = peer.hear().unwrap_or_else(|| panic!("{name}, {}: no reason", bad.what));
            assert_eq!(header.kind, Kind::Refused, "{name}, {}", bad.what);
            let refusal: Refusal = serde_json::from_slice(&reason).unwrap();
            assert_eq!(refusal.code, Code::DataLoss, "{name}, {}: {refusal:?}", bad.what);
            drop(peer);
            closed += 1;
            here.wait_for(Counter::ClosedCorrupt, closed);
        }
        // Too large is told as ever, without looking at the body, and the connection goes on.
        let mut peer = fresh();
        let body = vec![0; LIMIT as usize / 200];
        peer.say(&header(&body, LIMIT as usize + 1).to_bytes());
        peer.say(&body);
        let good = Sent { bytes: &good, full_len: full.len() };
        peer.say(&[&frame::head(peer.kind(4, ECHO), good, false)[..], good.bytes].concat());
        assert_eq!(peer.reply().1, Status::Failed(Code::ResourceExhausted, Outcome::NotStarted));
        let (header, reply) = peer.hear().unwrap();
        let mut back = vec![0; header.full_len as usize];
        Unpacker::default().unpack(how, &reply, &mut back).unwrap();
        assert!(header.is_compressed() && back == full.as_bytes());
    }
    assert_eq!(here.count(Counter::ClosedCorrupt), closed);
    assert_eq!(neighbour.echo("fine").unwrap(), "fine");
}

/// A real one: a thousand times smaller than what it becomes.
#[test]
fn a_real_bomb_is_not_unpacked() {
    let here = Here::start(|server| server);
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&vec![b'0'; 16 << 20]).unwrap();
    let bomb = packer.finish().unwrap();
    let mut peer = Peer::greet(&here.tcp(), offer(&["zlib"], false));
    let sent = Sent { bytes: &bomb, full_len: 16 << 20 };
    let kind = peer.kind(1, ECHO);
    peer.say(&[&frame::head(kind, sent, false)[..], &bomb].concat());
    let (header, reason) = peer.hear().expect("a reason");
    assert_eq!(header.kind, Kind::Refused, "{}", String::from_utf8_lossy(&reason));
    assert_eq!(here.count(Counter::CompressedFull), 0);
}

#[test]
fn a_changed_byte_is_found_and_told() {
    let here = Here::start(|server| server);
    for at in [8, 16, 40, 48, 53] {
        let mut peer = Peer::greet(&here.tcp(), offer(&[], true));
        let mut call = peer.call(5, ECHO, "\"checked\"");
        peer.say(&call);
        assert_eq!(peer.reply(), (5, Status::Ok, b"\"checked\"".to_vec()));
        call[at] ^= 1;
        peer.say(&call);
        let (header, reason) = peer.hear().expect("a reason");
        assert_eq!(header.kind, Kind::Refused);
        assert!(String::from_utf8_lossy(&reason).contains("its checksum differs"), "byte {at}");
        assert!(peer.rest().is_empty());
    }
    here.wait_for(Counter::ClosedCorrupt, 5);
}

#[test]
fn what_was_not_agreed_ends_the_connection() {
    let here = Here::start(|server| server);
    let call = |change: fn(&mut Header)| {
        let mut peer = Peer::plain(&here.tcp());
        let mut header = Header::plain(peer.kind(1, ECHO), 10);
        change(&mut header);
        peer.say(&header.to_bytes());
        peer.socket.write_all(&[0; 10]).ok();
        assert!(peer.rest().is_empty());
    };
    call(|header| header.full_len = 100);
    call(|header| header.checksum = Some(1));
    here.wait_for(Counter::ClosedBroken, 2);
}
