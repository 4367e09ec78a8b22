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
    head: [u8; FRAME_HEADER],
    header: Header,
    call: Asked,
    body: Buffer,
    /// Bytes of the body.
    pub(super) len: usize,
    /// When its first byte came.
    pub(super) since_ns: u64,
}

impl Large {
    /// Takes what belongs to it, and gives back the rest.
    pub(super) fn arrive<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (ours, rest) = bytes.split_at(bytes.len().min(self.len - self.body.as_slice().len()));
        self.body.append(ours).expect("the length was checked against the limit, which the buffer has");
        rest
    }

    fn is_whole(&self) -> bool {
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
        let (body, len) = (pool.large(self.settings.message_max), header.body_len as usize);
        let since_ns = self.arrivals.next_ns();
        let mut large = Box::new(Large { head, header, call, body, len, since_ns });
        let arrived = self.inbox.waiting().len();
        large.arrive(&self.inbox.waiting()[FRAME_HEADER..]);
        self.handled(arrived);
        self.large = Some(large);
        true
    }

    pub(super) fn handle_large(
        &mut self,
        mut large: Box<Large>,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
    ) -> Result<Next, BadFrame> {
        if !large.is_whole() {
            self.large = Some(large);
            return Ok(Next::Wait);
        }
        let (call, header) = (large.call, large.header);
        packing::check(&large.head, &header, large.body.as_slice(), self.wire)?;
        self.is_new(header)?;
        if let Some((index, way)) = self.admit(call, large.since_ns, None, runner) {
            if self.must_wait(way) {
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
