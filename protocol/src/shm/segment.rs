//! Memory files and their mappings. Rule 25 and 26: the broker makes all of it, sealed; nobody forms references to
//! bytes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::mm::Advice;

use super::board::BoardLine;
use super::layout::{ReplyLine, RequestLine};
use super::sync::AtomicU64;

/// More than this is copied in pieces of it. The C library copies less than a processor's own cache (L2: 512 KiB at
/// least) by string instructions where those are fast, which write whole lines without fetching what was in them; and
/// more than that by vectors, which fetch every line first: here from the processor that wrote it last (decision 0013).
const PIECE: usize = 256 * 1024;

/// Makes a memory file of exactly `len` bytes, all zero, that can neither shrink nor grow. `mode` says who may open it
/// anew through `/proc`: never anybody but its owner.
///
/// # Errors
/// What the kernel says: out of memory or descriptors.
pub fn create(name: &str, len: u64, mode: Mode) -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::ftruncate(&fd, len)?;
    rustix::fs::fchmod(&fd, mode)?;
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(fd)
}

/// Opens a memory file of ours once more, for reading only: a duplicate would keep the right to write.
///
/// # Errors
/// What the kernel says; `/proc` must be mounted.
pub fn reopen_read_only(fd: impl AsFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Whether a mapping may be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Only read. A store through it ends the process.
    ReadOnly,
    /// Read and written.
    ReadWrite,
}

/// A mapped memory file.
#[derive(Debug)]
pub struct Segment {
    map: MmapRaw,
    access: Access,
}

/// Words that may lie in memory that another process writes.
///
/// # Safety
/// The type is made of atomics only: every bit pattern is a value of it, and it may change under a shared reference.
pub(super) unsafe trait SharedWords {}
// SAFETY: an atomic integer.
unsafe impl SharedWords for AtomicU64 {}
// SAFETY: `repr(C)`, and every field is an `AtomicU64` or an array of them.
unsafe impl SharedWords for RequestLine {}
// SAFETY: as above.
unsafe impl SharedWords for ReplyLine {}
// SAFETY: as above.
unsafe impl SharedWords for BoardLine {}
// SAFETY: an array of atomic integers.
unsafe impl<const N: usize> SharedWords for [AtomicU64; N] {}

impl Segment {
    /// Maps `len` bytes of a memory file that the broker made.
    ///
    /// # Errors
    /// When the file has another size or cannot shrink-and-grow-proof be relied on, or the kernel refuses.
    pub fn map(fd: BorrowedFd<'_>, len: u64, access: Access) -> io::Result<Self> {
        let size = u64::try_from(rustix::fs::fstat(fd)?.st_size).unwrap_or(0);
        let seals = rustix::fs::fcntl_get_seals(fd)?;
        if size != len || !seals.contains(SealFlags::SHRINK | SealFlags::GROW) {
            let text = format!("a segment of {size} bytes with seals {seals:?}, instead of {len} sealed bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut options = MmapOptions::new();
        let map = match access {
            Access::ReadOnly => options.len(len).map_raw_read_only(fd.as_raw_fd())?,
            Access::ReadWrite => options.len(len).map_raw(fd.as_raw_fd())?,
        };
        // SAFETY: (1) pointer and length are this mapping's own; (2) the advice only keeps children from inheriting it.
        unsafe { rustix::mm::madvise(map.as_mut_ptr().cast(), map.len(), Advice::LinuxDontFork)? };
        Ok(Self { map, access })
    }

    #[inline]
    fn bounds(&self, offset: u64, len: usize) -> usize {
        let start = usize::try_from(offset).expect("offsets come from a geometry that was mapped");
        let end = start.checked_add(len).expect("lengths come from a geometry that was mapped");
        assert!(end <= self.map.len(), "bytes {start}..{end} of a segment of {}", self.map.len());
        start
    }

    /// Where the `len` bytes at `offset` are mapped; `None` when they are not.
    pub(super) fn range(&self, offset: u64, len: usize) -> Option<NonNull<u8>> {
        let start = usize::try_from(offset).ok()?;
        let is_inside = start.checked_add(len).is_some_and(|end| end <= self.map.len());
        NonNull::new(self.map.as_mut_ptr().wrapping_add(start)).filter(|_| is_inside)
    }

    /// Copies bytes out. What another process writes meanwhile may arrive in part; it never changes `out` afterwards.
    #[inline]
    pub fn copy_out(&self, offset: u64, out: &mut [u8]) {
        let start = self.bounds(offset, out.len());
        // SAFETY: (1) the source lies inside the mapping by `bounds`; (2) `out` is a private slice, so they do not
        // overlap; (3) the source is only touched through this raw pointer: no reference to these bytes exists in this
        // process, and what a peer writes at the same time can only make the copied values arbitrary.
        unsafe { copy(self.map.as_ptr().add(start), out.as_mut_ptr(), out.len()) };
    }

    /// Bytes where they lie.
    ///
    /// # Safety
    /// Nobody writes them while the slice lives, here or in another process.
    #[expect(clippy::disallowed_methods, reason = "the one place where a trusted peer's bytes are not copied")]
    pub(super) unsafe fn slice(&self, offset: u64, len: usize) -> &[u8] {
        let start = self.bounds(offset, len);
        // SAFETY: (1) `bounds` has shown that they lie inside the mapping, which lives as long as `self`; the file is
        // sealed against shrinking, so its pages stay; (2) every byte is a `u8`; (3) the caller promises the rest.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(start), len) }
    }

    /// Copies bytes out into memory of their own, which is not written twice.
    #[must_use]
    pub fn copy_to_vec(&self, offset: u64, len: usize) -> Vec<u8> {
        let start = self.bounds(offset, len);
        let mut out = Vec::with_capacity(len);
        // SAFETY: (1) to (3) as in `copy_out`, into the room for `len` bytes that was just made; (4) they are set by
        // the copy before the vector has them.
        unsafe {
            copy(self.map.as_ptr().add(start), out.as_mut_ptr(), len);
            out.set_len(len);
        }
        out
    }

    /// Copies bytes in.
    ///
    /// # Panics
    /// When the segment was mapped read-only.
    #[inline]
    pub fn copy_in(&self, offset: u64, bytes: &[u8]) {
        assert!(self.access == Access::ReadWrite, "a store into a read-only segment");
        let start = self.bounds(offset, bytes.len());
        // SAFETY: as in `copy_out`, with the roles exchanged; the mapping is writable, as was just asserted.
        unsafe { copy(bytes.as_ptr(), self.map.as_mut_ptr().add(start), bytes.len()) };
    }

    /// Gives the pages of a range back to the system; they read as zeros afterwards. Offset and length are whole pages.
    ///
    /// # Errors
    /// What the kernel says. The bytes are then unchanged, and nothing is lost but memory.
    pub fn release(&self, offset: u64, len: usize) -> io::Result<()> {
        assert!(self.access == Access::ReadWrite, "pages of a read-only segment are not ours to drop");
        let start = self.bounds(offset, len);
        // SAFETY: (1) the range lies inside this writable mapping; (2) its bytes may read as zeros afterwards, which
        // is one of the values that a peer could write, and no reference to them exists.
        unsafe { rustix::mm::madvise(self.map.as_mut_ptr().add(start).cast(), len, Advice::LinuxRemove)? };
        Ok(())
    }
}

/// Copies bytes; many of them from the last piece to the first: who has just written them wrote the last ones last, so
/// that these are still in its cache, and would be driven out by copying the first ones first.
///
/// # Safety
/// As for [`ptr::copy_nonoverlapping`]: `from` may be read and `to` written for `len` bytes, which do not overlap.
#[inline]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    if len <= PIECE {
        // SAFETY: the caller's promise.
        return unsafe { ptr::copy_nonoverlapping(from, to, len) };
    }
    for at in (0..len).step_by(PIECE).rev() {
        // SAFETY: `at` is below `len`, and no piece ends behind it: part of what the caller promises.
        unsafe { ptr::copy_nonoverlapping(from.add(at), to.add(at), PIECE.min(len - at)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(len: u64) -> (OwnedFd, Segment) {
        let fd = create("speedysvc-test", len, Mode::from_raw_mode(0o600)).unwrap();
        let segment = Segment::map(fd.as_fd(), len, Access::ReadWrite).unwrap();
        (fd, segment)
    }

    #[test]
    fn bytes_cross_between_two_mappings() {
        let (fd, first) = segment(8192);
        let second = Segment::map(fd.as_fd(), 8192, Access::ReadOnly).unwrap();
        first.copy_in(8000, b"across");
        let mut out = [0; 6];
        second.copy_out(8000, &mut out);
        assert_eq!(&out, b"across");
        assert_eq!(second.copy_to_vec(8001, 4), b"cros");
        first.release(4096, 4096).unwrap();
        second.copy_out(8000, &mut out);
        assert_eq!(out, [0; 6]);
    }

    #[test]
    fn large_copies_are_whole_whatever_their_last_piece() {
        let (_fd, segment) = segment(3 * PIECE as u64);
        for len in [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 4095] {
            // No period of it is a power of two.
            let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
            segment.copy_in(64, &vec![255; len + 1]);
            segment.copy_in(64, &bytes);
            let mut out = vec![0; len];
            segment.copy_out(64, &mut out);
            assert!(out == bytes && segment.copy_to_vec(64, len) == bytes, "{len} bytes");
            assert_eq!(segment.copy_to_vec(64 + len as u64, 1), [255]);
        }
    }

    #[test]
    #[should_panic(expected = "of a segment of")]
    fn bytes_outside_are_refused() {
        segment(4096).1.copy_out(4090, &mut [0; 7]);
    }

    #[test]
    #[should_panic(expected = "of a segment of")]
    fn bytes_outside_are_refused_for_a_vector_too() {
        drop(segment(4096).1.copy_to_vec(4090, 7));
    }

    #[test]
    fn the_size_is_fixed_and_checked() {
        let (fd, _) = segment(4096);
        assert!(rustix::fs::ftruncate(&fd, 0).is_err());
        assert!(rustix::fs::ftruncate(&fd, 8192).is_err());
        assert!(Segment::map(fd.as_fd(), 8192, Access::ReadWrite).is_err());
        let unsealed = rustix::fs::memfd_create("speedysvc-test", MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&unsealed, 4096).unwrap();
        assert!(Segment::map(unsealed.as_fd(), 4096, Access::ReadWrite).is_err());
    }

    #[test]
    fn a_reopened_file_cannot_be_mapped_for_writing() {
        let (fd, _) = segment(4096);
        let read_only = reopen_read_only(&fd).unwrap();
        assert!(Segment::map(read_only.as_fd(), 4096, Access::ReadWrite).is_err());
        Segment::map(read_only.as_fd(), 4096, Access::ReadOnly).unwrap();
    }
}
