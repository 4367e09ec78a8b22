//! Where archives are written and read.

use super::{AlignedVec, Allocations};
use crate::limits::ARCHIVE_ALIGN;
use crate::shm::layout::{INLINE, INLINE_WORDS};
use crate::status::{Code, Failure};

/// Bytes aligned for archives, with a limit, kept from call to call.
///
/// It grows and keeps its room, so that a loop in its stride allocates nothing.
pub struct Buffer {
    bytes: AlignedVec<ARCHIVE_ALIGN>,
    pub(super) len: usize,
    pub(super) limit: usize,
    /// How large it would have had to be, when something did not fit.
    pub(super) refused: Option<usize>,
    /// What some types need while they are archived, kept from call to call.
    pub(super) arena: Option<Allocations>,
}

impl Buffer {
    /// An empty buffer that refuses to hold more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        // With room from the start, so that even an empty archive lies at an aligned address.
        Self { bytes: AlignedVec::with_capacity(ARCHIVE_ALIGN), len: 0, limit, refused: None, arena: None }
    }

    /// What is in it, aligned to [`ARCHIVE_ALIGN`].
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The most bytes that it holds.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Changes the limit for what comes next.
    #[inline]
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Forgets what is in it, and keeps the room.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Gives room beyond `keep` bytes back to the system, after an unusually large call.
    #[inline]
    pub fn trim(&mut self, keep: usize) {
        if self.bytes.len() > keep {
            self.give_back();
        }
    }

    #[cold]
    fn give_back(&mut self) {
        self.bytes = AlignedVec::with_capacity(ARCHIVE_ALIGN);
        self.arena = None;
        self.len = 0;
    }

    /// Makes it exactly `len` bytes long and returns them to be overwritten; what they hold before is not defined.
    ///
    /// # Errors
    /// [`Failure`] when `len` is beyond the limit.
    #[inline]
    pub fn room(&mut self, len: usize) -> Result<&mut [u8], Failure> {
        if len > self.limit {
            return Err(too_large(len, self.limit));
        }
        if self.bytes.len() < len {
            self.len = 0;
            self.grow(len);
        }
        self.len = len;
        Ok(&mut self.bytes[..len])
    }

    /// Replaces what is in it by the first `len` bytes of these words.
    ///
    /// # Errors
    /// [`Failure`] when `len` is beyond the limit.
    #[inline]
    pub(crate) fn set_words(&mut self, words: [u64; INLINE_WORDS], len: usize) -> Result<(), Failure> {
        debug_assert!(len <= INLINE);
        if len > self.limit {
            return Err(too_large(len, self.limit));
        }
        if self.bytes.len() < INLINE {
            self.len = 0;
            self.grow(INLINE);
        }
        // All of them, whatever the length, as to choose takes longer; and one by one, as they are read so: a copy in
        // larger pieces waits until what was written in smaller ones is out.
        let line: &mut [u8; INLINE] = self.bytes.first_chunk_mut().expect("it has grown");
        if let ([a, b, c, d, e], []) = line.as_chunks_mut() {
            [*a, *b, *c, *d, *e] = words.map(u64::to_le_bytes);
        }
        self.len = len;
        Ok(())
    }

    /// Makes it exactly `len` bytes long, and keeps those that it has; what new ones hold is not defined.
    ///
    /// # Errors
    /// [`Failure`] when `len` is beyond the limit.
    #[inline]
    pub fn lengthen(&mut self, len: usize) -> Result<&mut [u8], Failure> {
        if len > self.limit {
            return Err(too_large(len, self.limit));
        }
        if self.bytes.len() < len {
            self.grow(len);
        }
        self.len = len;
        Ok(&mut self.bytes[..len])
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// [`Failure`] when they would pass the limit.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let end = self.len.saturating_add(bytes.len());
        match self.bytes.get_mut(self.len..end) {
            Some(room) if end <= self.limit => {
                room.copy_from_slice(bytes);
                self.len = end;
                Ok(())
            }
            _ => self.append_beyond(bytes, end),
        }
    }

    /// Adds bytes for which there is no room, or may be none. Apart, so that the usual case is short enough to be part
    /// of what rkyv makes of a type: it writes a value in many small pieces.
    #[cold]
    fn append_beyond(&mut self, bytes: &[u8], end: usize) -> Result<(), Failure> {
        if end > self.limit {
            self.refused = Some(end);
            return Err(too_large(end, self.limit));
        }
        self.grow(end);
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Makes the backing bytes at least `end` long. They keep their length between calls: only growth is zeroed.
    #[cold]
    fn grow(&mut self, end: usize) {
        let grown = end.next_power_of_two().min(self.limit.max(end)).max(256);
        self.bytes.resize(grown, 0);
    }
}

#[cold]
pub(super) fn too_large(len: usize, limit: usize) -> Failure {
    let message = format!("a message of at least {len} bytes is over the limit of {limit} bytes");
    Failure::done(Code::ResourceExhausted, message)
}
