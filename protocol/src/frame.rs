//! Frames: what travels over TCP. Bytes in, meaning out; no sockets, no clock.
//!
//! A frame is a header of [`FRAME_HEADER`] bytes, all numbers little-endian, and a body:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic: `F5 53 56 43`; the first byte begins neither HTTP nor TLS |
//! | 4 | 1 | version of the header: 1 |
//! | 5 | 1 | kind |
//! | 6 | 1 | flags: 1 the body is compressed, 2 there is a checksum; both only where they were agreed on |
//! | 7 | 1 | codec of the body (CALL); flags of the trace (TRACE); else 0 |
//! | 8 | 8 | call id (CALL, REPLY, CANCEL); trace id, here and in the next field (TRACE); else 0 |
//! | 16 | 8 | method id (CALL); status word (REPLY); else 0 |
//! | 24 | 8 | time left until the deadline in microseconds, 0 for none (CALL); span id (TRACE); else 0 |
//! | 32 | 4 | bytes of the body as sent |
//! | 36 | 4 | bytes of the body when decompressed; equal to the former when it is not compressed |
//! | 40 | 4 | CRC-32C of the header, with 0 here, and the body as sent; 0 without a checksum |
//! | 44 | 4 | 0, for later |

mod order;
mod plain;

use thiserror::Error;

use crate::ids::{CallId, Codec, MethodId};
use crate::limits::{FRAME_HEADER, expands_to};
use crate::status::Status;
use crate::trace::{self, TraceContext};
use crate::wire::Wire;
pub use order::Order;
pub use plain::{
    PlainCall, PlainReply, another_call, append_plain_byte_string, append_plain_call, append_plain_reply, plain_call,
    plain_reply,
};

/// A frame's first bytes.
pub const MAGIC: [u8; 4] = [0xF5, b'S', b'V', b'C'];
const HEADER_VERSION: u8 = 1;
/// The body is compressed.
const COMPRESSED: u8 = 1;
/// There is a checksum.
const CHECKED: u8 = 2;

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
        /// Chosen by the client, greater than all before it on its connection: see [`Order`].
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
    /// The next call on this connection belongs to this trace. Only where that was agreed on.
    Trace(TraceContext),
}

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// Bytes of the body that follows, as they are sent.
    pub body_len: u32,
    /// Bytes of the body when it is decompressed. More than `body_len`, or it is not compressed.
    pub full_len: u32,
    /// CRC-32C of the frame.
    pub checksum: Option<u32>,
}

/// A body as it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// What follows the header.
    pub bytes: &'a [u8],
    /// Bytes when it is decompressed.
    pub full_len: usize,
}

impl<'a> Sent<'a> {
    /// A body that is not compressed.
    #[must_use]
    pub fn plain(bytes: &'a [u8]) -> Self {
        Self { bytes, full_len: bytes.len() }
    }
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
    /// Compressed, with a checksum or of a trace, where that was not agreed.
    #[error("a frame that is compressed, has a checksum or tells a trace, although that was not agreed")]
    NotAgreed,
    /// A trace whose id, or whose span's, is all zero.
    #[error("a trace whose id, or whose span's id, is all zero")]
    Trace,
    /// Larger than its bytes can honestly become.
    #[error("{sent} bytes that claim to be {full} when they are decompressed")]
    Bomb {
        /// Bytes of the body.
        sent: u32,
        /// Bytes that it claims to have.
        full: u32,
    },
    /// The checksum is another one.
    #[error("a frame was changed on its way: its checksum differs")]
    Checksum,
    /// The body is not what its header says when it is decompressed.
    #[error("a compressed body cannot be decompressed, or not to the length that its header says")]
    Body,
    /// A call's id is not greater than the one before it, so it may have run already.
    #[error("call {id} came after call {last}: the ids of a connection's calls must grow, and none is taken twice")]
    Order {
        /// The id that came.
        id: u64,
        /// The greatest one before it.
        last: u64,
    },
}

impl BadFrame {
    /// Whether the sender may want to know: it spoke the language, and something became of its words on the way.
    #[must_use]
    pub fn is_corrupt(self) -> bool {
        matches!(self, Self::Bomb { .. } | Self::Checksum | Self::Body)
    }
}

impl Header {
    /// A header without compression and checksum.
    #[must_use]
    pub fn plain(kind: Kind, body_len: u32) -> Self {
        Self { kind, body_len, full_len: body_len, checksum: None }
    }

    /// Whether the body must be decompressed.
    #[inline]
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.full_len != self.body_len
    }

    /// Whether it carries only what was agreed.
    ///
    /// # Errors
    /// [`BadFrame::NotAgreed`] when it does not.
    pub fn within(&self, wire: Wire) -> Result<(), BadFrame> {
        let compressed = self.is_compressed() && wire.compression.is_none();
        let checked = self.checksum.is_some() && !wire.checksum;
        let traced = matches!(self.kind, Kind::Trace(_)) && !wire.trace;
        if compressed || checked || traced { Err(BadFrame::NotAgreed) } else { Ok(()) }
    }

    /// The header as bytes.
    #[inline]
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
            Kind::Trace(trace) => {
                let [first, second, span_id, flags] = trace::to_words(&trace);
                (8, flags.to_le_bytes()[0], first, second, span_id)
            }
        };
        let mut bytes = [0; FRAME_HEADER];
        bytes[..4].copy_from_slice(&MAGIC);
        let compressed = if self.is_compressed() { COMPRESSED } else { 0 };
        let checked = if self.checksum.is_some() { CHECKED } else { 0 };
        bytes[4..8].copy_from_slice(&[HEADER_VERSION, number, compressed | checked, codec]);
        bytes[8..16].copy_from_slice(&id.to_le_bytes());
        bytes[16..24].copy_from_slice(&word.to_le_bytes());
        bytes[24..32].copy_from_slice(&left.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.body_len.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.full_len.to_le_bytes());
        bytes[CHECKSUM].copy_from_slice(&self.checksum.unwrap_or(0).to_le_bytes());
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
        let (kind, body_len, full_len) = (parse_kind(bytes)?, u32_at(bytes, 32), u32_at(bytes, 36));
        let checksum = (bytes[6] & CHECKED != 0).then(|| u32_at(bytes, CHECKSUM.start));
        let header = Self { kind, body_len, full_len, checksum };
        let compressed = bytes[6] & COMPRESSED != 0;
        let grows = full_len > body_len && matches!(kind, Kind::Call { .. } | Kind::Reply { .. });
        let agrees = compressed == header.is_compressed() && (!compressed || grows);
        if !agrees || carries_more(kind, bytes) {
            return Err(BadFrame::Reserved);
        }
        if header.is_compressed() && full_len as usize > expands_to(body_len as usize) {
            return Err(BadFrame::Bomb { sent: body_len, full: full_len });
        }
        Ok(header)
    }
}

/// Whether something is not zero that this kind does not carry. What it does is asked word by word, because writing the
/// header again and comparing (which is how the test knows) costs a tenth of a short call.
fn carries_more(kind: Kind, bytes: &[u8; FRAME_HEADER]) -> bool {
    let (codec, id, word, left) = (bytes[7], u64_at(bytes, 8), u64_at(bytes, 16), u64_at(bytes, 24));
    let of_kind = match kind {
        Kind::Call { .. } => false,
        // A status may be of a later version: what is not known of it has been read as unknown.
        Kind::Reply { .. } => codec != 0 || word >> 32 != 0 || left != 0,
        Kind::Cancel { .. } => codec != 0 || word != 0 || left != 0,
        Kind::Trace(trace) => trace::to_words(&trace) != [id, word, left, codec.into()],
        Kind::Hello | Kind::Welcome | Kind::Refused | Kind::Goodbye => codec != 0 || id != 0 || word != 0 || left != 0,
    };
    let flags = bytes[6];
    let unchecked = flags & CHECKED == 0 && u32_at(bytes, CHECKSUM.start) != 0;
    of_kind || flags & !(COMPRESSED | CHECKED) != 0 || unchecked || u32_at(bytes, 44) != 0
}

/// Where the checksum is.
const CHECKSUM: std::ops::Range<usize> = 40..44;

/// CRC-32C of a frame: its header with zeros where the checksum goes, then its body as sent.
fn checksum(head: &[u8; FRAME_HEADER], sent: &[u8]) -> u32 {
    let mut without = *head;
    without[CHECKSUM].fill(0);
    crc32c::crc32c_append(crc32c::crc32c(&without), sent)
}

/// Compares the checksum in a frame's header with what it should be. On the bytes themselves: of a status of a later
/// version a parsed header keeps only what is known.
///
/// # Errors
/// [`BadFrame::Checksum`] when it differs.
pub fn verify(head: &[u8; FRAME_HEADER], sent: &[u8]) -> Result<(), BadFrame> {
    if u32_at(head, CHECKSUM.start) == checksum(head, sent) { Ok(()) } else { Err(BadFrame::Checksum) }
}

/// The header of a frame with this body, with a checksum or without.
///
/// # Panics
/// When the body is 4 GiB or more: limits are far below, and checked before.
#[inline]
#[must_use]
pub fn head(kind: Kind, body: Sent<'_>, checked: bool) -> [u8; FRAME_HEADER] {
    let narrow = |len: usize| u32::try_from(len).expect("message limits are below 4 GiB");
    let (body_len, full_len) = (narrow(body.bytes.len()), narrow(body.full_len));
    let mut header = Header { kind, body_len, full_len, checksum: None };
    if checked {
        // A zero in its place, and the flag that says that it is there.
        header.checksum = Some(0);
        header.checksum = Some(checksum(&header.to_bytes(), body.bytes));
    }
    header.to_bytes()
}

/// Appends a whole frame to `out`, with a checksum or without.
///
/// # Panics
/// As [`head`].
#[inline]
pub fn append_sent(out: &mut Vec<u8>, kind: Kind, body: Sent<'_>, checked: bool) {
    out.reserve(FRAME_HEADER + body.bytes.len());
    out.extend_from_slice(&head(kind, body, checked));
    out.extend_from_slice(body.bytes);
}

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
        8 => {
            let words = [u64_at(bytes, 8), u64_at(bytes, 16), u64_at(bytes, 24), bytes[7].into()];
            Kind::Trace(trace::from_words(words).ok_or(BadFrame::Trace)?)
        }
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

/// Appends a whole plain frame to `out`.
///
/// # Panics
/// As [`head`].
pub fn append(out: &mut Vec<u8>, kind: Kind, body: &[u8]) {
    append_sent(out, kind, Sent::plain(body), false);
}

#[cfg(test)]
mod tests;
