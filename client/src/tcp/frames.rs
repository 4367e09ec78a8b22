//! Bytes from a socket, in whatever pieces, made into whole frames. Pure.

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::frame::{self, BadFrame, Header, Kind, PlainReply};
use speedysvc_protocol::limits::FRAME_HEADER;
use speedysvc_protocol::packing::{self, Unpacker};
use speedysvc_protocol::wire::Wire;
use thiserror::Error;

/// What one read takes at most, unless it is the body of a large frame.
const CHUNK: usize = 64 * 1024;

/// So much room is made for a body by its announced length alone: as much as messages have unless a file allows more.
/// A longer one gets more as it arrives, so that a header does not cost its reader the memory that it speaks of.
const BELIEVED: usize = 16 << 20;

/// A whole frame.
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// Aligned for archives.
    pub(super) body: Buffer,
}

/// Why what arrived cannot go on.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum BadInput {
    #[error(transparent)]
    Frame(#[from] BadFrame),
    #[error("a frame of {len} bytes, over the limit of {limit} bytes")]
    TooLarge { len: u32, limit: usize },
}

/// The frame at the end of what has arrived, while its body is incomplete.
struct Partial {
    head: [u8; FRAME_HEADER],
    header: Header,
    body: Buffer,
    /// Bytes of the body as sent.
    len: usize,
    filled: usize,
}

impl Partial {
    /// Where its next bytes go.
    fn room(&mut self) -> &mut [u8] {
        let len = self.len.min(BELIEVED.max(2 * self.filled));
        &mut self.body.lengthen(len).expect("the limit was checked")[self.filled..]
    }
}

/// Buffers for bodies, kept from reply to reply. New memory costs a page fault for every 4 KiB: over a microsecond.
#[derive(Default)]
pub(super) struct Spares {
    small: Vec<Buffer>,
    large: Vec<Buffer>,
}

/// A buffer up to this size is small.
const SMALL: usize = 4096;
/// The most of each that are kept...
const SMALL_MAX: usize = 256;
const LARGE_MAX: usize = 4;
/// ...and the largest.
const SPARE_MAX: usize = 4 << 20;

impl Spares {
    pub(super) fn keep(&mut self, mut buffer: Buffer) {
        if buffer.as_slice().len() <= SMALL {
            // It may have been large before.
            buffer.trim(SMALL);
            if self.small.len() < SMALL_MAX {
                self.small.push(buffer);
            }
        } else if self.large.len() < LARGE_MAX {
            buffer.trim(SPARE_MAX);
            self.large.push(buffer);
        }
    }

    fn take(&mut self, len: usize, limit: usize) -> Buffer {
        let spare = if len <= SMALL { self.small.pop() } else { self.large.pop() };
        let mut buffer = spare.unwrap_or_else(|| Buffer::new(limit));
        buffer.set_limit(limit);
        buffer
    }

    /// Whether there is none for a small body.
    pub(super) fn are_few(&self) -> bool {
        self.small.is_empty() || self.large.is_empty()
    }
}

/// Assembles frames. Its memory is bounded by the chunk and one body.
pub(super) struct FrameReader {
    limit: usize,
    wire: Wire,
    unpacker: Unpacker,
    chunk: Vec<u8>,
    begin: usize,
    end: usize,
    partial: Option<Partial>,
    pub(super) spares: Spares,
}

impl FrameReader {
    /// A reader that refuses bodies over `limit` bytes before it makes room for them.
    pub(super) fn new(limit: usize) -> Self {
        let (wire, unpacker, spares) = (Wire::default(), Unpacker::default(), Spares::default());
        Self { limit, wire, unpacker, chunk: vec![0; CHUNK], begin: 0, end: 0, partial: None, spares }
    }

    /// What holds for the frames to come.
    pub(super) fn agree(&mut self, limit: usize, wire: Wire) {
        (self.limit, self.wire) = (limit, wire);
    }

    /// Where the next bytes go. Call [`FrameReader::next`] until it has nothing more before.
    pub(super) fn space(&mut self) -> &mut [u8] {
        match &mut self.partial {
            // What is left of a large body goes to its place at once.
            Some(partial) if partial.len - partial.filled >= CHUNK => partial.room(),
            _ => {
                self.chunk.copy_within(self.begin..self.end, 0);
                self.end -= self.begin;
                self.begin = 0;
                &mut self.chunk[self.end..]
            }
        }
    }

    /// So many bytes were put into the space.
    pub(super) fn filled(&mut self, count: usize) {
        match &mut self.partial {
            Some(partial) if partial.len - partial.filled >= CHUNK => partial.filled += count,
            _ => self.end += count,
        }
    }

    /// The next whole frame, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, BadInput> {
        if self.begin == self.end && self.partial.is_none() {
            return Ok(None);
        }
        if let Some(reply) = self.next_plain() {
            return Ok(Some(reply));
        }
        self.next_of_any()
    }

    /// The same when it is a reply as most are, and lies here whole.
    fn next_plain(&mut self) -> Option<Frame> {
        let arrived = &self.chunk[self.begin..self.end];
        let PlainReply { id, status, body_len } = frame::plain_reply(arrived).filter(|_| self.partial.is_none())?;
        let mut body = self.spares.take(body_len, self.limit);
        // What is over the limit is refused as any frame is.
        body.room(body_len).ok()?.copy_from_slice(&arrived[FRAME_HEADER..][..body_len]);
        self.begin += FRAME_HEADER + body_len;
        Some(Frame { kind: Kind::Reply { id, status }, body })
    }

    fn next_of_any(&mut self) -> Result<Option<Frame>, BadInput> {
        if self.partial.is_none() {
            let arrived = &self.chunk[self.begin..self.end];
            let Some((header, head)) = frame::peek(arrived)?.zip(arrived.first_chunk().copied()) else {
                return Ok(None);
            };
            self.partial = Some(self.begin_body(header, head)?);
            self.begin += FRAME_HEADER;
        }
        let Some(partial) = &mut self.partial else { return Ok(None) };
        let count = (partial.len - partial.filled).min(self.end - self.begin);
        partial.room()[..count].copy_from_slice(&self.chunk[self.begin..self.begin + count]);
        self.begin += count;
        partial.filled += count;
        if partial.filled < partial.len {
            return Ok(None);
        }
        self.partial.take().map(|whole| self.finish(whole)).transpose()
    }

    fn finish(&mut self, Partial { head, header, body, .. }: Partial) -> Result<Frame, BadInput> {
        packing::check(&head, &header, body.as_slice(), self.wire)?;
        let Some(how) = self.wire.compression.filter(|_| header.is_compressed()) else {
            return Ok(Frame { kind: header.kind, body });
        };
        let (limit, len) = (self.limit, header.full_len);
        let mut full = self.spares.take(len as usize, limit);
        let room = full.room(len as usize).map_err(|_over| BadInput::TooLarge { len, limit })?;
        self.unpacker.unpack(how, body.as_slice(), room)?;
        self.spares.keep(body);
        Ok(Frame { kind: header.kind, body: full })
    }

    fn begin_body(&mut self, header: Header, head: [u8; FRAME_HEADER]) -> Result<Partial, BadInput> {
        header.within(self.wire)?;
        let (len, limit) = (header.full_len.max(header.body_len), self.limit);
        if len as usize > limit {
            return Err(BadInput::TooLarge { len, limit });
        }
        let len = header.body_len as usize;
        Ok(Partial { head, header, body: self.spares.take(len, limit), len, filled: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use speedysvc_protocol::ids::CallId;
    use speedysvc_protocol::status::Status;
    use speedysvc_protocol::wire::Compression;

    const LIMIT: usize = 400_000;

    fn reply(id: u64) -> Kind {
        Kind::Reply { id: CallId(id), status: Status::Ok }
    }

    /// Feeds bytes in pieces of the given sizes, over and over.
    fn feed(reader: &mut FrameReader, mut bytes: &[u8], pieces: &[usize]) -> Result<Vec<Frame>, BadInput> {
        let mut frames = Vec::new();
        for piece in pieces.iter().cycle() {
            while let Some(frame) = reader.next()? {
                frames.push(frame);
            }
            if bytes.is_empty() {
                break;
            }
            let space = reader.space();
            assert!(!space.is_empty(), "a read of nothing looks like the end of a connection");
            let count = bytes.len().min(space.len()).min(*piece);
            space[..count].copy_from_slice(&bytes[..count]);
            reader.filled(count);
            bytes = &bytes[count..];
        }
        Ok(frames)
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            sizes in prop::collection::vec(prop_oneof![0_usize..100, 60_000_usize..LIMIT], 1..6),
            pieces in prop::collection::vec(prop_oneof![1_usize..100, 1_usize..300_000], 1..20),
        ) {
            let bodies: Vec<Vec<u8>> = sizes.iter().map(|len| (0..=250_u8).cycle().take(*len).collect()).collect();
            let mut bytes = Vec::new();
            for (id, body) in bodies.iter().enumerate() {
                frame::append(&mut bytes, reply(id as u64), body);
            }
            let frames = feed(&mut FrameReader::new(LIMIT), &bytes, &pieces).unwrap();
            prop_assert_eq!(frames.len(), bodies.len());
            for (id, (frame, body)) in frames.iter().zip(&bodies).enumerate() {
                prop_assert_eq!(frame.kind, reply(id as u64));
                prop_assert_eq!(frame.body.as_slice(), &body[..]);
            }
        }
    }

    /// Row C3, at the other end: memory for what a header announces comes as its body does.
    #[test]
    fn an_announced_length_takes_no_memory_before_its_body_comes() {
        let mut reader = FrameReader::new(u32::MAX as usize);
        let header = Header::plain(reply(1), u32::MAX).to_bytes();
        assert!(feed(&mut reader, &header, &[FRAME_HEADER]).unwrap().is_empty());
        let mut arrived = 0;
        while arrived < 40 << 20 {
            let count = reader.space().len();
            assert!((1..=arrived.max(16 << 20)).contains(&count), "{count} bytes of room behind {arrived}");
            reader.filled(count);
            arrived += count;
        }
    }

    #[test]
    fn a_body_that_is_longer_than_is_believed_comes_whole() {
        let body: Vec<u8> = (0..=250_u8).cycle().take(2 * BELIEVED + 77_777).collect();
        let mut bytes = Vec::new();
        frame::append(&mut bytes, reply(1), &body);
        frame::append(&mut bytes, reply(2), b"behind it");
        let frames = feed(&mut FrameReader::new(3 * BELIEVED), &bytes, &[1_000_003]).unwrap();
        assert!(frames.len() == 2 && frames[0].body.as_slice() == body);
        assert_eq!(frames[1].body.as_slice(), b"behind it");
    }

    #[test]
    fn a_large_frame_is_refused_by_its_header_alone() {
        let header = Header::plain(reply(1), 101).to_bytes();
        let refused = feed(&mut FrameReader::new(100), &header, &[1]).err();
        assert_eq!(refused, Some(BadInput::TooLarge { len: 101, limit: 100 }));
        // Also when few bytes are sent, and would become more.
        let mut reader = FrameReader::new(100);
        reader.agree(100, Wire { compression: Some(Compression::Lz4), ..Wire::default() });
        let header = Header { kind: reply(1), body_len: 10, full_len: 101, checksum: None }.to_bytes();
        assert_eq!(feed(&mut reader, &header, &[1]).err(), Some(BadInput::TooLarge { len: 101, limit: 100 }));
    }

    #[test]
    fn garbage_is_refused_at_its_first_byte() {
        assert!(matches!(feed(&mut FrameReader::new(100), b"HTTP/1.1 400", &[1]), Err(BadInput::Frame(_))));
    }
}
