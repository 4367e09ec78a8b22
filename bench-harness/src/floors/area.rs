//! Memory that server and client both map: lines with a flag, and areas for payloads.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, SealFlags};

/// Bytes before the payload areas: room for every line.
const CONTROL: usize = 16 * 1024;
const PAGE: usize = 4096;

/// A cache line: a flag, and what travels in the same line.
#[repr(C, align(64))]
pub(crate) struct Line {
    /// What the other side waits for.
    pub(crate) flag: AtomicU32,
    _unused: AtomicU32,
    payload: [AtomicU64; 7],
}

impl Line {
    /// Bytes that fit beside the flag; whole words only.
    pub(crate) const ROOM: usize = 56;

    /// Writes bytes beside the flag. Whoever sees the flag change afterwards sees them too.
    #[inline]
    pub(crate) fn put(&self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        debug_assert!(rest.is_empty() && words.len() <= self.payload.len(), "{} bytes", bytes.len());
        for (place, word) in self.payload.iter().zip(words) {
            place.store(u64::from_ne_bytes(*word), Ordering::Relaxed);
        }
    }

    /// Reads what was written beside the flag.
    #[inline]
    pub(crate) fn take(&self, bytes: &mut [u8]) {
        let (words, _) = bytes.as_chunks_mut::<8>();
        for (place, word) in self.payload.iter().zip(words) {
            *word = place.load(Ordering::Relaxed).to_ne_bytes();
        }
    }

    /// Copies what stands beside the flag of another line.
    #[inline]
    pub(crate) fn copy_from(&self, other: &Self, len: usize) {
        for (place, from) in self.payload.iter().zip(&other.payload).take(len / 8) {
            place.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// A memory file and its mapping. No reference to the bytes of its payload areas is ever formed.
pub(crate) struct Area {
    map: MmapRaw,
    file: OwnedFd,
}

impl Area {
    /// Makes memory with so many payload areas of so many bytes.
    pub(crate) fn create(areas: usize, size: usize) -> io::Result<Self> {
        let len = CONTROL + areas * size.next_multiple_of(PAGE);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create("bench-harness", flags)?;
        rustix::fs::ftruncate(&file, len as u64)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Self::map(file, len)
    }

    /// Maps the memory of another process of the same user, by the address that [`Area::address`] gave there.
    pub(crate) fn open(address: &str) -> io::Result<Self> {
        let file = OwnedFd::from(File::options().read(true).write(true).open(address)?);
        let size = rustix::fs::fstat(&file)?.st_size;
        if !rustix::fs::fcntl_get_seals(&file)?.contains(SealFlags::SHRINK) {
            return Err(io::Error::other(format!("{address} is not the memory of a floor: it could shrink")));
        }
        Self::map(file, usize::try_from(size).map_err(io::Error::other)?)
    }

    fn map(file: OwnedFd, len: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(len).map_raw(file.as_raw_fd())?;
        Ok(Self { map, file })
    }

    /// Where another process finds this memory, as long as this one lives.
    pub(crate) fn address(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// A line by its number. Lines of two sides stand two apart: processors fetch them in pairs.
    pub(crate) fn line(&self, number: usize) -> &Line {
        let start = number * size_of::<Line>();
        assert!(start + size_of::<Line>() <= CONTROL, "there is no line {number}");
        // SAFETY: (1) `bytes` shows that all of the line lies inside the mapping, which lives as long as `self`; the
        // file is sealed against shrinking, so its pages stay; (2) the mapping starts at a page, and `start` is a
        // multiple of 64, so it is aligned; (3) a `Line` is made of atomics only: every bit pattern is a value, and
        // other processes may change it under a shared reference; (4) payload areas begin behind `CONTROL`, and the
        // line ends before it, as was just asserted, so that no plain copy ever touches it.
        unsafe { &*self.bytes(start, size_of::<Line>()).cast::<Line>() }
    }

    /// Copies bytes into a payload area.
    #[inline]
    pub(crate) fn copy_in(&self, area: usize, bytes: &[u8]) {
        let to = self.payload(area, bytes.len());
        // SAFETY: (1) `payload` has shown that all of `to` lies in the writable mapping; (2) `bytes` is memory of this
        // process alone, so they do not overlap; (3) no reference to these bytes exists, here or there, and the flags
        // give them to one side at a time; if a peer broke that, the bytes would be arbitrary, which `u8` may be.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Copies bytes out of a payload area.
    #[inline]
    pub(crate) fn copy_out(&self, area: usize, bytes: &mut [u8]) {
        let from = self.payload(area, bytes.len());
        // SAFETY: as in `copy_in`, with the roles exchanged.
        unsafe { ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
    }

    /// Copies bytes from one payload area into another.
    #[inline]
    pub(crate) fn copy_over(&self, from: usize, to: usize, len: usize) {
        assert_ne!(from, to, "an area is not copied onto itself");
        let (from, to) = (self.payload(from, len), self.payload(to, len));
        // SAFETY: as in `copy_in`; two different areas are at least `len` rounded up to pages apart, so they do not
        // overlap.
        unsafe { ptr::copy_nonoverlapping(from, to, len) };
    }

    fn payload(&self, area: usize, len: usize) -> *mut u8 {
        self.bytes(CONTROL + area * len.next_multiple_of(PAGE), len)
    }

    /// The first of `len` bytes that are all inside the mapping.
    fn bytes(&self, start: usize, len: usize) -> *mut u8 {
        let is_inside = start.checked_add(len).is_some_and(|end| end <= self.map.len());
        assert!(is_inside, "{len} bytes at {start} of a mapping of {}", self.map.len());
        // SAFETY: `start` is at most the mapping's length, as was just asserted.
        unsafe { self.map.as_mut_ptr().add(start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_cross_between_two_mappings() {
        let here = Area::create(2, 100).unwrap();
        let there = Area::open(&here.address()).unwrap();
        here.copy_in(0, &[7; 100]);
        there.copy_over(0, 1, 100);
        let mut out = [0; 100];
        here.copy_out(1, &mut out);
        assert_eq!(out, [7; 100]);
    }

    #[test]
    fn words_travel_beside_the_flag() {
        let area = Area::create(0, 0).unwrap();
        let sent: Vec<u8> = (0..56).collect();
        area.line(0).put(&sent);
        area.line(2).copy_from(area.line(0), sent.len());
        let mut received = [0; 56];
        area.line(2).take(&mut received);
        assert_eq!(received, sent[..]);
    }

    #[test]
    #[should_panic(expected = "of a mapping of")]
    fn bytes_outside_are_refused() {
        Area::create(1, 4096).unwrap().copy_in(1, &[0; 4096]);
    }

    #[test]
    fn other_files_are_refused() {
        assert!(Area::open("/proc/self/exe").is_err());
    }
}
