//! Headers, streams and checksums of frames.

use super::*;
use crate::status::{Code, Outcome};
use proptest::prelude::*;

fn kinds() -> Vec<Kind> {
    let id = CallId(u64::MAX - 1);
    let method = MethodId(0x0123_4567_89ab_cdef);
    vec![
        Kind::Hello,
        Kind::Welcome,
        Kind::Refused,
        Kind::Call { id, method, codec: Codec::Rkyv, left_us: 30_000_000 },
        Kind::Call { id, method, codec: Codec::Json, left_us: 0 },
        Kind::Reply { id, status: Status::Failed(Code::Internal, Outcome::Done) },
        Kind::Cancel { id },
        Kind::Goodbye,
        Kind::Trace(trace()),
    ]
}

fn trace() -> TraceContext {
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap()
}

#[test]
fn every_kind_survives() {
    for kind in kinds() {
        for body_len in [0, 1, u32::MAX] {
            let header = Header::plain(kind, body_len);
            assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
        }
    }
}

/// Where a REPLY has its status word.
const STATUS: std::ops::Range<usize> = 16..20;

/// The stupid way: whatever a header is read as, writing it again gives the same bytes, but for a status that is not
/// known here.
fn is_canonical(bytes: &[u8; FRAME_HEADER], header: Header) -> bool {
    let mut canonical = header.to_bytes();
    if matches!(header.kind, Kind::Reply { .. }) {
        canonical[STATUS].copy_from_slice(&bytes[STATUS]);
    }
    canonical == *bytes
}

proptest! {
    /// Headers that are right, with some bytes changed: what is read carries nothing else, and what could be is read.
    #[test]
    fn nothing_is_ignored_and_nothing_refused_for_no_reason(
        kind in 1_u8..10,
        flags in 0_u8..4,
        lens in (0_u32..3, 0_u32..3),
        changes in prop::collection::vec((4_usize..FRAME_HEADER, any::<u8>()), 0..3),
        words in (0_u64..2, 0_u64..2, 0_u64..2),
    ) {
        let mut bytes = [0; FRAME_HEADER];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&[1, kind, flags, 0]);
        for (at, word) in [(8, words.0), (16, words.1), (24, words.2)] {
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        bytes[32..36].copy_from_slice(&lens.0.to_le_bytes());
        bytes[36..40].copy_from_slice(&lens.1.to_le_bytes());
        changes.iter().for_each(|(at, byte)| bytes[*at] = *byte);
        let (body_len, full_len) = (u32_at(&bytes, 32), u32_at(&bytes, 36));
        let checksum = (bytes[6] & CHECKED != 0).then(|| u32_at(&bytes, 40));
        let read = parse_kind(&bytes).map(|kind| Header { kind, body_len, full_len, checksum });
        match (Header::parse(&bytes), read) {
            (Ok(header), read) => prop_assert!(is_canonical(&bytes, header) && read == Ok(header)),
            (Err(BadFrame::Reserved), Ok(header)) => {
                let grows = full_len > body_len && matches!(header.kind, Kind::Call { .. } | Kind::Reply { .. });
                prop_assert!(!is_canonical(&bytes, header) || (header.is_compressed() && !grows));
            }
            (Err(_), _) => {}
        }
    }
}

/// The wire is a promise to other languages: these bytes may only change with the version.
#[test]
fn the_bytes_of_a_call_are_fixed() {
    let kind = Kind::Call { id: CallId(7), method: MethodId(0x0102), codec: Codec::Json, left_us: 9 };
    let mut expected = vec![0xF5, b'S', b'V', b'C', 1, 4, 0, 2];
    expected.extend([7, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Header::plain(kind, 3).to_bytes().to_vec(), expected);
}

#[test]
fn the_bytes_of_a_trace_are_fixed() {
    let mut expected = vec![0xF5, b'S', b'V', b'C', 1, 8, 0, 1];
    expected.extend([0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36]);
    expected.extend([0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
    expected.extend([0; 16]);
    let mut bytes = Header::plain(Kind::Trace(trace()), 0).to_bytes();
    assert_eq!(bytes.to_vec(), expected);
    bytes[24..32].fill(0);
    assert_eq!(Header::parse(&bytes), Err(BadFrame::Trace));
}

#[test]
fn a_changed_byte_is_refused_or_read_as_another_valid_frame() {
    for kind in kinds() {
        let good = Header::plain(kind, 5).to_bytes();
        for at in 0..FRAME_HEADER {
            let mut bad = good;
            bad[at] ^= 0x41;
            let is_status = matches!(kind, Kind::Reply { .. }) && STATUS.contains(&at);
            if let (Ok(header), false) = (Header::parse(&bad), is_status) {
                assert_eq!(header.to_bytes(), bad, "byte {at} of {kind:?} was ignored");
            }
        }
    }
}

#[test]
fn a_status_of_a_later_version_is_read_as_unknown() {
    let reply = Kind::Reply { id: CallId(1), status: Status::Ok };
    let mut bytes = Header::plain(reply, 0).to_bytes();
    bytes[16..19].copy_from_slice(&[2, 99, 7]);
    let status = Status::Failed(Code::Unknown, Outcome::Unknown);
    assert_eq!(Header::parse(&bytes).unwrap().kind, Kind::Reply { id: CallId(1), status });
    bytes[20] = 1;
    assert_eq!(Header::parse(&bytes), Err(BadFrame::Reserved));
}

#[test]
fn a_wrong_beginning_is_refused_at_its_first_byte() {
    assert_eq!(peek(b""), Ok(None));
    assert_eq!(peek(&MAGIC[..3]), Ok(None));
    assert!(matches!(peek(b"G"), Err(BadFrame::Magic(_))));
    assert!(matches!(peek(b"POST / HTTP/1.1\r\n"), Err(BadFrame::Magic(_))));
}

fn call() -> Kind {
    Kind::Call { id: CallId(7), method: MethodId(9), codec: Codec::Json, left_us: 0 }
}

#[test]
fn only_calls_and_replies_grow_and_not_beyond_reason() {
    let parse = |kind, body_len, full_len| {
        let header = Header { kind, body_len, full_len, checksum: None };
        Header::parse(&header.to_bytes()).map(|parsed| assert_eq!(parsed, header))
    };
    let most = u32::try_from(expands_to(100)).unwrap();
    assert_eq!(parse(call(), 100, most), Ok(()));
    assert_eq!(parse(call(), 100, most + 1), Err(BadFrame::Bomb { sent: 100, full: most + 1 }));
    assert_eq!(parse(call(), u32::MAX, u32::MAX), Ok(()));
    assert_eq!(parse(call(), 100, 99), Err(BadFrame::Reserved));
    assert_eq!(parse(Kind::Hello, 100, 101), Err(BadFrame::Reserved));
    let mut unflagged = Header { kind: call(), body_len: 1, full_len: 2, checksum: None }.to_bytes();
    unflagged[6] = 0;
    assert_eq!(Header::parse(&unflagged), Err(BadFrame::Reserved));
}

/// As any CRC-32 finds every burst of up to 32 bits, it finds a byte that was changed, wherever it is.
#[test]
fn a_byte_that_was_changed_is_found() {
    let body = b"{\"hello\": \"world\"}";
    let head = head(call(), Sent::plain(body), true);
    assert_eq!(verify(&head, body), Ok(()));
    for at in 0..FRAME_HEADER + body.len() {
        let mut frame = [&head[..], body].concat();
        frame[at] ^= 0x41;
        let changed: &[u8; FRAME_HEADER] = frame.first_chunk().unwrap();
        let is_found = match Header::parse(changed) {
            Err(_) => true,
            Ok(header) => header.checksum.is_none() || verify(changed, &frame[FRAME_HEADER..]).is_err(),
        };
        assert!(is_found, "byte {at}");
        let unflagged = Header::parse(changed).is_ok_and(|header| header.checksum.is_none());
        assert!(!unflagged, "byte {at} took the checksum away");
    }
}

/// The catalogue's check value of CRC-32C (iSCSI): other languages must come to the same.
#[test]
fn the_checksum_is_castagnolis() {
    assert_eq!(crc32c::crc32c(b"123456789"), 0xE306_9283);
}

#[test]
fn what_was_not_agreed_is_refused() {
    let plain = Wire::default();
    let wire = Wire { compression: Some(crate::wire::Compression::Lz4), checksum: true, trace: true };
    let packed = Header { kind: call(), body_len: 1, full_len: 2, checksum: None };
    let checked = Header { kind: call(), body_len: 1, full_len: 1, checksum: Some(5) };
    for header in [packed, checked, Header::plain(Kind::Trace(trace()), 0)] {
        assert_eq!(header.within(plain), Err(BadFrame::NotAgreed));
        assert_eq!(header.within(wire), Ok(()));
    }
    assert_eq!(Header::plain(call(), 1).within(plain), Ok(()));
}
