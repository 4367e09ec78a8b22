//! The frames that most are: calls and replies that are whole, without compression and checksum. They are told by a
//! few whole words; whatever is not surely one of them is read as any frame is. The tests hold the two together.

use super::{HEADER_VERSION, MAGIC, u64_at};
use crate::byte_string::{self, ROOT_ALIGN};
use crate::ids::{CallId, Codec, MethodId};
use crate::limits::FRAME_HEADER;
use crate::status::Status;

/// The beginning of the header of a call and of a reply: no flags, and the codec, if any, in the last byte.
const CALL: u64 = beginning(4);
const REPLY: u64 = beginning(5);
/// A beginning's last byte.
const CODEC: u32 = 56;

const fn beginning(kind: u8) -> u64 {
    let [a, b, c, d] = MAGIC;
    u64::from_le_bytes([a, b, c, d, HEADER_VERSION, kind, 0, 0])
}

/// A call without compression and checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlainCall {
    /// Its number.
    pub id: CallId,
    /// Which method.
    pub method: MethodId,
    /// How the body is written.
    pub codec: Codec,
    /// Time left, in microseconds; 0 for the service's own default.
    pub left_us: u64,
    /// Bytes of the body.
    pub body_len: usize,
}

/// A reply without compression and checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlainReply {
    /// The call that it answers.
    pub id: CallId,
    /// What the body is.
    pub status: Status,
    /// Bytes of the body.
    pub body_len: usize,
}

/// The call at the front of what has arrived, if it is a plain one and whole.
#[inline]
#[must_use]
pub fn plain_call(arrived: &[u8]) -> Option<PlainCall> {
    let head = arrived.first_chunk()?;
    let first = u64_at(head, 0);
    let body_len = body_len(head).filter(|_| first & !(0xFF << CODEC) == CALL)?;
    let codec = Codec::from_wire(first.to_le_bytes()[7])?;
    let is_whole = arrived.len() - FRAME_HEADER >= body_len;
    let (id, method, left_us) = (CallId(u64_at(head, 8)), MethodId(u64_at(head, 16)), u64_at(head, 24));
    is_whole.then_some(PlainCall { id, method, codec, left_us, body_len })
}

/// The reply at the front of what has arrived, if it is a plain one and whole.
#[inline]
#[must_use]
pub fn plain_reply(arrived: &[u8]) -> Option<PlainReply> {
    let head = arrived.first_chunk()?;
    let body_len = body_len(head).filter(|_| u64_at(head, 0) == REPLY && u64_at(head, 24) == 0)?;
    let status = u32::try_from(u64_at(head, 16)).ok().map(Status::from_wire)?;
    let is_whole = arrived.len() - FRAME_HEADER >= body_len;
    is_whole.then_some(PlainReply { id: CallId(u64_at(head, 8)), status, body_len })
}

/// Whether this is the header of a call that differs in nothing but its number: its number then.
#[inline]
#[must_use]
pub fn another_call(head: &[u8; FRAME_HEADER], first: &[u8; FRAME_HEADER]) -> Option<CallId> {
    const ID_ENDS: usize = 16;
    let is_same = u64_at(head, 0) == u64_at(first, 0) && head[ID_ENDS..] == first[ID_ENDS..];
    is_same.then(|| CallId(u64_at(head, 8)))
}

/// Appends the frame of a call, without a checksum. The body has the length that the call says.
///
/// # Panics
/// As [`head`](super::head).
#[inline]
pub fn append_plain_call(out: &mut Vec<u8>, call: PlainCall, body: &[u8]) {
    debug_assert_eq!(call.body_len, body.len(), "the length of the body");
    let first = CALL | u64::from(call.codec as u8) << CODEC;
    append_head(out, [first, call.id.0, call.method.0, call.left_us], body.len());
    out.extend_from_slice(body);
}

/// Appends the frame of a reply, without a checksum.
///
/// # Panics
/// As [`head`](super::head).
#[inline]
pub fn append_plain_reply(out: &mut Vec<u8>, id: CallId, status: Status, body: &[u8]) {
    append_head(out, [REPLY, id.0, u64::from(status.to_wire()), 0], body.len());
    out.extend_from_slice(body);
}

/// The same of a call that went well, where the body is the archive of a byte string; how long that is. `None`, and
/// nothing is appended, for one that is too long for its root.
///
/// # Panics
/// As [`head`](super::head).
#[inline]
pub fn append_plain_byte_string(out: &mut Vec<u8>, id: CallId, bytes: &[u8]) -> Option<usize> {
    let (root_at, root) = byte_string::root(bytes.len())?;
    let body_len = root_at + root.len();
    append_head(out, [REPLY, id.0, u64::from(Status::Ok.to_wire()), 0], body_len);
    out.extend_from_slice(bytes);
    if root_at > bytes.len() {
        out.extend_from_slice(&[0; ROOT_ALIGN][..root_at - bytes.len()]);
    }
    out.extend_from_slice(&root);
    Some(body_len)
}

/// The header, and room for the whole frame.
#[inline]
fn append_head(out: &mut Vec<u8>, [first, id, word, left]: [u64; 4], body_len: usize) {
    let len = u64::from(u32::try_from(body_len).expect("message limits are below 4 GiB"));
    let words = [first, id, word, left, len << 32 | len, 0];
    let mut head = [0; FRAME_HEADER];
    head.chunks_exact_mut(8).zip(words).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_le_bytes()));
    out.reserve(FRAME_HEADER + body_len);
    out.extend_from_slice(&head);
}

/// The length of a body that is sent as it is, in a header without a checksum.
#[inline]
fn body_len(head: &[u8; FRAME_HEADER]) -> Option<usize> {
    let (lens, behind) = (u64_at(head, 32), u64_at(head, 40));
    let (sent, full) = (lens & 0xFFFF_FFFF, lens >> 32);
    (sent == full && behind == 0).then(|| usize::try_from(sent).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Header, Kind, append as append_any, peek};
    use super::*;
    use crate::archive::Buffer;
    use crate::byte_string;

    /// The stupid way: read any frame, and see whether it is of this kind.
    fn slowly(arrived: &[u8]) -> (Option<PlainCall>, Option<PlainReply>) {
        let Ok(Some(header)) = peek(arrived) else { return (None, None) };
        let body_len = header.body_len as usize;
        let is_plain = Header::plain(header.kind, header.body_len) == header;
        if !is_plain || arrived.len() < FRAME_HEADER + body_len {
            return (None, None);
        }
        match header.kind {
            Kind::Call { id, method, codec, left_us } => {
                (Some(PlainCall { id, method, codec, left_us, body_len }), None)
            }
            Kind::Reply { id, status } => (None, Some(PlainReply { id, status, body_len })),
            _ => (None, None),
        }
    }

    proptest! {
        #[test]
        fn they_are_written_as_any_frame_is(
            id in any::<u64>(),
            word in prop_oneof![0_u32..4, any::<u32>()],
            body in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let (id, status) = (CallId(id), Status::from_wire(word));
            let (mut plain, mut any) = (vec![7], vec![7]);
            append_plain_reply(&mut plain, id, status, &body);
            append_any(&mut any, Kind::Reply { id, status }, &body);
            let mut archive = Buffer::new(64);
            byte_string::encode(&body, &mut archive).unwrap();
            let body_len = append_plain_byte_string(&mut plain, id, &body);
            prop_assert_eq!(body_len, Some(archive.as_slice().len()));
            append_any(&mut any, Kind::Reply { id, status: Status::Ok }, archive.as_slice());
            let (method, left_us) = (MethodId(word.into()), id.0 >> 3);
            let codec = [Codec::Rkyv, Codec::Json, Codec::MsgPack, Codec::Raw][word as usize % 4];
            append_plain_call(&mut plain, PlainCall { id, method, codec, left_us, body_len: body.len() }, &body);
            append_any(&mut any, Kind::Call { id, method, codec, left_us }, &body);
            prop_assert_eq!(plain, any);
        }

        #[test]
        fn they_are_read_as_any_frame_is(
            is_call in any::<bool>(),
            (codec, word, left) in (0_u8..6, prop_oneof![0_u64..6, any::<u64>()], 0_u64..3),
            body in prop::collection::vec(any::<u8>(), 0..20),
            changes in prop::collection::vec((0..FRAME_HEADER, any::<u8>()), 0..3),
            cut in prop_oneof![Just(0_usize), 0_usize..80],
        ) {
            let mut frame = vec![];
            append_any(&mut frame, Kind::Cancel { id: CallId(word) }, &body);
            frame[5] = if is_call { 4 } else { 5 };
            frame[7] = if is_call { codec } else { 0 };
            frame[16..24].copy_from_slice(&(if is_call { word } else { word & 0xFFFF_FFFF }).to_le_bytes());
            frame[24..32].copy_from_slice(&(if is_call { left } else { 0 }).to_le_bytes());
            changes.iter().for_each(|(at, byte)| frame[*at] = *byte);
            frame.truncate(frame.len().saturating_sub(cut));
            prop_assert_eq!((plain_call(&frame), plain_reply(&frame)), slowly(&frame));
        }

        #[test]
        fn another_call_differs_in_its_number_alone(
            first in prop::array::uniform::<_, FRAME_HEADER>(any::<u8>()),
            id in any::<u64>(),
            change in prop_oneof![Just(None), (0..FRAME_HEADER, any::<u8>()).prop_map(Some)],
        ) {
            let mut head = first;
            change.into_iter().for_each(|(at, byte): (usize, u8)| head[at] = byte);
            let differs = head != first && !change.is_some_and(|(at, _)| (8..16).contains(&at));
            head[8..16].copy_from_slice(&id.to_le_bytes());
            prop_assert_eq!(another_call(&head, &first), (!differs).then_some(CallId(id)));
        }
    }
}
