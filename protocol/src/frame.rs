//! Frames: what travels over TCP. Bytes in, meaning out; no sockets, no clock.
//!
//! A frame is a header of [`FRAME_HEADER`] bytes, all numbers little-endian, and a body:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic: `F5 53 56 43`; the first byte begins neither HTTP nor TLS |
//! | 4 | 1 | version of the header: 1 |
//! | 5 | 1 | kind |
//! | 6 | 1 | flags: 0 in this version |
//! | 7 | 1 | codec of the body (CALL), else 0 |
//! | 8 | 8 | call id (CALL, REPLY, CANCEL), else 0 |
//! | 16 | 8 | method id (CALL); status word (REPLY); else 0 |
//! | 24 | 8 | time left until the deadline in microseconds, 0 for none (CALL); else 0 |
//! | 32 | 4 | bytes of the body as sent |
//! | 36 | 4 | bytes of the body when decompressed; equal to the former in this version |
//! | 40 | 8 | 0, for later |

use thiserror::Error;

use crate::ids::{CallId, Codec, MethodId};
use crate::limits::FRAME_HEADER;
use crate::status::Status;

/// A frame's first bytes.
pub const MAGIC: [u8; 4] = [0xF5, b'S', b'V', b'C'];
const HEADER_VERSION: u8 = 1;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Client to service, first: the body is a [`crate::hello::Hello`] in JSON.
    Hello,
    /// The service accepts: a [`crate::hello::Welcome`].
    Welcome,
    /// The service does not accept: a [`crate::hello::Refusal`]; then it closes.
    Refused,
    /// A call.
    Call {
        /// Chosen by the client, unique among its calls in flight.
        id: CallId,
        /// Which method.
        method: MethodId,
        /// How the body is written.
        codec: Codec,
        /// Time left, in microseconds; 0 for the service's own default.
        left_us: u64,
    },
    /// The answer to a call; answers come in any order.
    Reply {
        /// The call that it answers.
        id: CallId,
        /// What the body is.
        status: Status,
    },
    /// The client no longer waits for this call.
    Cancel {
        /// The call.
        id: CallId,
    },
    /// No new calls on this connection, please: those under way will be answered.
    Goodbye,
}

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// Bytes of the body that follows.
    pub body_len: u32,
}

/// Why bytes are not a frame. All of these are the sender's fault, and the connection cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BadFrame {
    /// The first bytes are something else.
    #[error("not a speedysvc frame (it begins with {0:02x?})")]
    Magic([u8; 4]),
    /// A header of a later version.
    #[error("frame header version {0}, and this side reads version {HEADER_VERSION}")]
    Version(u8),
    /// A kind that does not exist.
    #[error("frame kind {0} does not exist")]
    Kind(u8),
    /// A codec that does not exist.
    #[error("codec {0} does not exist")]
    Codec(u8),
    /// A field that must be zero is not.
    #[error("a reserved field is not zero")]
    Reserved,
}

impl Header {
    /// The header as bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; FRAME_HEADER] {
        let (number, codec, id, word, left) = match self.kind {
            Kind::Hello => (1, 0, 0, 0, 0),
            Kind::Welcome => (2, 0, 0, 0, 0),
            Kind::Refused => (3, 0, 0, 0, 0),
            Kind::Call { id, method, codec, left_us } => (4, codec as u8, id.0, method.0, left_us),
            Kind::Reply { id, status } => (5, 0, id.0, u64::from(status.to_wire()), 0),
            Kind::Cancel { id } => (6, 0, id.0, 0, 0),
            Kind::Goodbye => (7, 0, 0, 0, 0),
        };
        let mut bytes = [0; FRAME_HEADER];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&[HEADER_VERSION, number, 0, codec]);
        bytes[8..16].copy_from_slice(&id.to_le_bytes());
        bytes[16..24].copy_from_slice(&word.to_le_bytes());
        bytes[24..32].copy_from_slice(&left.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.body_len.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.body_len.to_le_bytes());
        bytes
    }

    /// Reads a header. It allocates nothing, and says nothing of whether the body is welcome.
    ///
    /// # Errors
    /// [`BadFrame`] when the bytes are not a header of this version.
    pub fn parse(bytes: &[u8; FRAME_HEADER]) -> Result<Self, BadFrame> {
        let magic = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if magic != MAGIC {
            return Err(BadFrame::Magic(magic));
        }
        if bytes[4] != HEADER_VERSION {
            return Err(BadFrame::Version(bytes[4]));
        }
        let body_len = u32_at(bytes, 32);
        let unused = bytes[6] != 0 || u64_at(bytes, 40) != 0 || u32_at(bytes, 36) != body_len;
        let kind = parse_kind(bytes)?;
        // What the parsed kind does not carry must be zero: writing it again must give the same bytes. A status may be
        // of a later version: what is not known of it has been read as unknown.
        let mut canonical = Self { kind, body_len }.to_bytes();
        if matches!(kind, Kind::Reply { .. }) {
            canonical[STATUS].copy_from_slice(&bytes[STATUS]);
        }
        if unused || canonical != *bytes {
            return Err(BadFrame::Reserved);
        }
        Ok(Self { kind, body_len })
    }
}

/// Where a REPLY has its status word.
const STATUS: std::ops::Range<usize> = 16..20;

fn parse_kind(bytes: &[u8; FRAME_HEADER]) -> Result<Kind, BadFrame> {
    let id = CallId(u64_at(bytes, 8));
    Ok(match bytes[5] {
        1 => Kind::Hello,
        2 => Kind::Welcome,
        3 => Kind::Refused,
        4 => {
            let codec = Codec::from_wire(bytes[7]).ok_or(BadFrame::Codec(bytes[7]))?;
            Kind::Call { id, method: MethodId(u64_at(bytes, 16)), codec, left_us: u64_at(bytes, 24) }
        }
        5 => Kind::Reply { id, status: Status::from_wire(u32_at(bytes, 16)) },
        6 => Kind::Cancel { id },
        7 => Kind::Goodbye,
        other => return Err(BadFrame::Kind(other)),
    })
}

fn u32_at(bytes: &[u8; FRAME_HEADER], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8; FRAME_HEADER], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

/// Reads the header at the front of what has arrived; `None` while it is not whole.
///
/// # Errors
/// [`BadFrame`] as soon as the bytes cannot become a header, also when fewer than a header's have arrived.
pub fn peek(arrived: &[u8]) -> Result<Option<Header>, BadFrame> {
    if let Some(bytes) = arrived.first_chunk::<FRAME_HEADER>() {
        return Header::parse(bytes).map(Some);
    }
    let begins = arrived.len().min(MAGIC.len());
    if arrived[..begins] != MAGIC[..begins] {
        let mut first = [0; 4];
        first[..begins].copy_from_slice(&arrived[..begins]);
        return Err(BadFrame::Magic(first));
    }
    Ok(None)
}

/// Appends a whole frame to `out`.
///
/// # Panics
/// When the body is 4 GiB or more: limits are far below, and checked before.
pub fn append(out: &mut Vec<u8>, kind: Kind, body: &[u8]) {
    let body_len = u32::try_from(body.len()).expect("message limits are below 4 GiB");
    out.extend_from_slice(&Header { kind, body_len }.to_bytes());
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Code, Outcome};

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
        ]
    }

    #[test]
    fn every_kind_survives() {
        for kind in kinds() {
            for body_len in [0, 1, u32::MAX] {
                let header = Header { kind, body_len };
                assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
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
        assert_eq!(Header { kind, body_len: 3 }.to_bytes().to_vec(), expected);
    }

    #[test]
    fn a_changed_byte_is_refused_or_read_as_another_valid_frame() {
        for kind in kinds() {
            let good = Header { kind, body_len: 5 }.to_bytes();
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
        let mut bytes = Header { kind: reply, body_len: 0 }.to_bytes();
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
}
