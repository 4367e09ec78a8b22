//! Buffers of a loop's connections, kept while nobody needs them: an idle connection has none, and a busy one does not
//! have its memory mapped anew with every call.

use speedysvc_protocol::archive::Buffer;

use crate::budget::KEEP;

/// The most of a kind that are kept, and the largest of the small kind.
const SMALL_KEPT: usize = 256;
const SMALL_MAX: usize = 128 * 1024;
const LARGE_KEPT: usize = 4;

#[derive(Default)]
pub(super) struct Pool {
    small: Vec<Vec<u8>>,
    large: Vec<Buffer>,
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
}
