//! Frames: 48 bytes of header, and streams of them.

use speedysvc_protocol::frame::{self, BadFrame, Header, Kind, MAGIC};
use speedysvc_protocol::limits::FRAME_HEADER;

pub fn target(data: &[u8]) {
    let whole = frame::peek(data);
    agrees_with_its_beginnings(data, whole);
    if let Ok(Some(header)) = whole {
        assert_one_meaning(header, data);
        stands_in_a_stream(header);
    }
    almost(data);
}

/// However few bytes have arrived, the answer is the same or "wait".
fn agrees_with_its_beginnings(data: &[u8], whole: Result<Option<Header>, BadFrame>) {
    for len in 0..data.len().min(FRAME_HEADER) {
        match frame::peek(&data[..len]) {
            Ok(header) => assert_eq!(header, None, "a header out of {len} bytes"),
            Err(early) => assert!(matches!((early, whole), (BadFrame::Magic(_), Err(BadFrame::Magic(_))))),
        }
    }
}

fn stands_in_a_stream(header: Header) {
    let body = vec![7; (header.body_len % 1000) as usize];
    let mut stream = Vec::new();
    for _ in 0..2 {
        frame::append(&mut stream, header.kind, &body);
    }
    let first = frame::peek(&stream).expect("ours").expect("whole");
    let second = frame::peek(&stream[FRAME_HEADER + first.body_len as usize..]).expect("ours");
    assert_eq!((first.kind, second), (header.kind, Some(first)));
}

/// The same bytes behind a good beginning: most random ones end at the magic.
fn almost(data: &[u8]) {
    let mut bytes = [0; FRAME_HEADER];
    let len = data.len().min(FRAME_HEADER);
    bytes[..len].copy_from_slice(&data[..len]);
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4] = 1;
    bytes[6] = 0;
    bytes.copy_within(32..36, 36);
    bytes[40..].fill(0);
    if let Ok(header) = Header::parse(&bytes) {
        assert_one_meaning(header, &bytes);
    }
}

/// Writing a header again gives the bytes that it was read from, but for the status word of a reply: one of a later
/// version is read as unknown.
fn assert_one_meaning(header: Header, bytes: &[u8]) {
    let mut written = header.to_bytes();
    if matches!(header.kind, Kind::Reply { .. }) {
        written[16..20].copy_from_slice(&bytes[16..20]);
    }
    assert_eq!(written, bytes[..FRAME_HEADER], "two headers for one meaning");
}
