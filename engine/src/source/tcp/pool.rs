//! Buffers of a loop's connections, kept while nobody needs them: an idle connection has none, and a busy one does not
//! have its memory mapped anew with every call.

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::frame::BadFrame;
use speedysvc_protocol::limits::COMPRESS_FROM;
use speedysvc_protocol::packing::{Packer, Unpacker};
use speedysvc_protocol::stats::Counter;
use speedysvc_protocol::wire::Compression;

use crate::budget::KEEP;
use crate::dispatch::Runner;
use crate::meter::Meter;

/// The most of a kind that are kept, and the largest of the small kind.
const SMALL_KEPT: usize = 256;
const SMALL_MAX: usize = 128 * 1024;
const LARGE_KEPT: usize = 4;

#[derive(Default)]
pub(super) struct Pool {
    small: Vec<Vec<u8>>,
    large: Vec<Buffer>,
    /// Made for the first connection that compresses.
    packing: Option<Box<(Packer, Unpacker)>>,
}

impl Pool {
    /// Room for frames.
    pub(super) fn small(&mut self) -> Vec<u8> {
        self.small.pop().unwrap_or_default()
    }

    /// Takes it back, without what is in it.
    pub(super) fn keep_small(&mut self, mut bytes: Vec<u8>) {
        if (1..=SMALL_MAX).contains(&bytes.capacity()) && self.small.len() < SMALL_KEPT {
            bytes.clear();
            self.small.push(bytes);
        }
    }

    /// Room for the body of one large frame, of at most `limit` bytes.
    pub(super) fn large(&mut self, limit: usize) -> Buffer {
        let mut buffer = self.large.pop().unwrap_or_else(|| Buffer::new(limit));
        buffer.set_limit(limit);
        buffer.clear();
        buffer
    }

    /// Takes it back, without what is in it.
    pub(super) fn keep_large(&mut self, mut buffer: Buffer) {
        buffer.trim(KEEP);
        if self.large.len() < LARGE_KEPT {
            self.large.push(buffer);
        }
    }

    fn packing(&mut self) -> &mut (Packer, Unpacker) {
        self.packing.get_or_insert_default()
    }

    /// A body compressed, if that pays.
    pub(super) fn pack(&mut self, how: Compression, body: &[u8], meter: &Meter) -> Option<Buffer> {
        if body.len() < COMPRESS_FROM {
            return None;
        }
        let mut packed = self.large(0);
        if !self.packing().0.pack(how, body, &mut packed) {
            meter.count(Counter::CompressionSkipped);
            self.keep_large(packed);
            return None;
        }
        meter.add(Counter::CompressedFull, body.len() as u64);
        meter.add(Counter::CompressedSent, packed.as_slice().len() as u64);
        Some(packed)
    }

    /// Decompresses a body into the runner's arguments. Its length is one that was checked against the limit.
    pub(super) fn unpack(
        &mut self,
        how: Compression,
        sent: &[u8],
        full_len: usize,
        runner: &mut Runner,
    ) -> Result<(), BadFrame> {
        let room = runner.take_arguments(full_len, full_len).map_err(|_over| BadFrame::Body)?;
        self.packing().1.unpack(how, sent, room)?;
        runner.meter.add(Counter::CompressedFull, full_len as u64);
        runner.meter.add(Counter::CompressedSent, sent.len() as u64);
        Ok(())
    }
}
