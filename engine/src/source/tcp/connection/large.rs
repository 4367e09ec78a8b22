//! A large body on its way in: straight to where it is read.

use std::mem;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::frame::{BadFrame, Header};
use speedysvc_protocol::limits::FRAME_HEADER;
use speedysvc_protocol::packing;

use super::native::Asked;
use super::{Connection, Next, Stage};
use crate::dispatch::{Elsewhere, Runner};
use crate::source::tcp::pool::Pool;

/// A call whose body arrives straight where its handler will read it, unless it must be decompressed. It grows as it
/// arrives: a length that was only announced takes no memory.
pub(super) struct Large {
    /// The frame that it is in; `None` for a request over HTTP, whose head has been handled.
    frame: Option<Frame>,
    pub(super) body: Buffer,
    /// Bytes of the body.
    pub(super) len: usize,
    /// When its first byte came.
    pub(super) since_ns: u64,
}

/// A call without its body.
struct Frame {
    head: [u8; FRAME_HEADER],
    header: Header,
    call: Asked,
}

impl Large {
    /// Takes what belongs to it, and gives back the rest.
    pub(super) fn arrive<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (ours, rest) = bytes.split_at(bytes.len().min(self.len - self.body.as_slice().len()));
        self.body.append(ours).expect("the length was checked against the limit, which the buffer has");
        rest
    }

    pub(super) fn is_whole(&self) -> bool {
        self.body.as_slice().len() == self.len
    }
}

impl Connection {
    /// The rest of this call's body goes straight to where it is read. `false` when it is no call for that.
    pub(super) fn begin_large(&mut self, header: Header, pool: &mut Pool) -> bool {
        let (Some(call), Some(head)) = (Asked::of(header.kind), self.inbox.waiting().first_chunk().copied()) else {
            return false;
        };
        if !self.greeted || !matches!(self.stage, Stage::Serving | Stage::Closing) {
            return false;
        }
        self.expect_large(Some(Frame { head, header, call }), header.body_len as usize, pool);
        true
    }

    /// The same for the body of a request over HTTP, of which more than what has arrived is to come.
    pub(super) fn begin_large_request(&mut self, len: usize, pool: &mut Pool) {
        self.expect_large(None, len, pool);
    }

    fn expect_large(&mut self, frame: Option<Frame>, len: usize, pool: &mut Pool) {
        let since_ns = self.arrivals.next_ns();
        let header = if frame.is_some() { FRAME_HEADER } else { 0 };
        let mut large = Box::new(Large { frame, body: pool.large(self.settings.message_max), len, since_ns });
        let arrived = self.inbox.waiting().len();
        large.arrive(&self.inbox.waiting()[header..]);
        self.handled(arrived);
        self.large = Some(large);
    }

    pub(super) fn handle_large(
        &mut self,
        mut large: Box<Large>,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
    ) -> Result<Next, BadFrame> {
        let whole = if large.is_whole() { large.frame.take() } else { None };
        let Some(frame) = whole else {
            self.large = Some(large);
            return Ok(Next::Wait);
        };
        let Frame { head, header, call } = frame;
        packing::check(&head, &header, large.body.as_slice(), self.wire)?;
        self.is_new(header)?;
        if let Some((index, way)) = self.admit(call, large.since_ns, None, runner) {
            if self.must_wait(way) {
                large.frame = Some(Frame { head, header, call });
                (self.large, self.waits) = (Some(large), true);
                return Ok(Next::Wait);
            }
            let compression = self.wire.compression.filter(|_| header.is_compressed());
            match compression {
                None => mem::swap(&mut runner.arguments, &mut large.body),
                Some(how) => pool.unpack(how, large.body.as_slice(), header.full_len as usize, runner)?,
            }
            self.run(call, (index, way), runner, elsewhere, pool);
            if compression.is_none() {
                mem::swap(&mut runner.arguments, &mut large.body);
            }
        }
        self.trace = None;
        self.took(header);
        pool.keep_large(large.body);
        Ok(Next::Frame)
    }
}
