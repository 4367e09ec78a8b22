//! A mapping of a memory file that its owner reads and writes as it likes. The unsafe code of the hostile room.

use std::io;
use std::os::fd::AsFd;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};

/// Mapped bytes that others write, too.
#[derive(Debug)]
pub struct Mapping {
    start: *mut u8,
    len: usize,
}

// SAFETY: the bytes are only touched as atomic words, or copied by raw pointers; no reference to them exists.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes from the beginning of a file.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(file: impl AsFd, len: u64, may: ProtFlags) -> io::Result<Self> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // SAFETY: the kernel chooses the place, so no memory of this process is replaced.
        let start = unsafe { rustix::mm::mmap(ptr::null_mut(), len, may, MapFlags::SHARED, file, 0)? };
        Ok(Self { start: start.cast(), len })
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is mapped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn at(&self, offset: u64, len: usize) -> *mut u8 {
        let start = usize::try_from(offset).expect("offsets fit");
        assert!(start.checked_add(len).is_some_and(|end| end <= self.len), "{offset} and {len} of {}", self.len);
        // SAFETY: the range lies inside the mapping, as was just asserted.
        unsafe { self.start.add(start) }
    }

    fn word(&self, offset: u64) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8), "words are aligned");
        // SAFETY: (1) the word lies inside the mapping, which starts at a page, and is aligned; (2) an atomic may
        // change under a shared reference, and has no invalid bit patterns; (3) the mapping lives as long as `self`.
        unsafe { &*self.at(offset, 8).cast::<AtomicU64>() }
    }

    /// A word.
    #[must_use]
    pub fn load(&self, offset: u64) -> u64 {
        self.word(offset).load(Ordering::SeqCst)
    }

    /// Stores a word. On a mapping for reading only this ends the process.
    pub fn store(&self, offset: u64, value: u64) {
        self.word(offset).store(value, Ordering::SeqCst);
    }

    /// Compares and swaps a word; whether that went well.
    #[must_use]
    pub fn swap(&self, offset: u64, old: u64, new: u64) -> bool {
        self.word(offset).compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Copies bytes in.
    pub fn write(&self, offset: u64, bytes: &[u8]) {
        let to = self.at(offset, bytes.len());
        // SAFETY: the target lies inside the mapping, and `bytes` elsewhere.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Copies bytes out.
    #[must_use]
    pub fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let from = self.at(offset, len);
        // SAFETY: the source lies inside the mapping, and `bytes` elsewhere.
        unsafe { ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), len) };
        bytes
    }

    /// Gives the advice that drops the pages of the whole mapping.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn advise(&self, advice: Advice) -> io::Result<()> {
        // SAFETY: the range is this mapping, whose bytes nobody relies on.
        unsafe { rustix::mm::madvise(self.start.cast(), self.len, advice)? };
        Ok(())
    }

    /// Asks for the right to write.
    ///
    /// # Errors
    /// What the kernel says: that is what is tested.
    pub fn unprotect(&self) -> io::Result<()> {
        let may = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the range is this mapping; more rights harm nobody who does not use them.
        unsafe { rustix::mm::mprotect(self.start.cast(), self.len, may)? };
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is this mapping, and nothing refers to it any more.
        let unmapped = unsafe { rustix::mm::munmap(self.start.cast(), self.len) };
        unmapped.expect("what was mapped can be unmapped");
    }
}
