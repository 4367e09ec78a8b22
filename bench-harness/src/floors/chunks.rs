//! Buffers that the kernel picks from when bytes arrive on any connection of an io_uring.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use memmap2::{MmapOptions, MmapRaw};

/// The only group of buffers of a ring.
pub(super) const GROUP: u16 = 0;
/// The most that the kernel takes in a group.
const COUNT_MAX: usize = 1 << 15;

/// The ring of buffer addresses, and the buffers. Never unmapped: the kernel may write there as long as its ring lives.
pub(super) struct Chunks {
    entries: MmapRaw,
    memory: MmapRaw,
    /// Buffers, a power of two; and bytes of each.
    count: u16,
    len: usize,
    tail: u16,
}

impl Chunks {
    /// At least `count` buffers of `len` bytes, all of them the kernel's.
    pub(super) fn provide(submitter: &Submitter<'_>, count: usize, len: usize) -> io::Result<&'static mut Self> {
        let count = count.next_power_of_two().min(COUNT_MAX);
        let entries = MmapOptions::new().len(count * size_of::<BufRingEntry>()).map_anon()?.into();
        let memory = MmapOptions::new().len(count * len).map_anon()?.into();
        let count = u16::try_from(count).map_err(io::Error::other)?;
        let chunks = Box::leak(Box::new(Self { entries, memory, count, len, tail: 0 }));
        // SAFETY: the entries are a page-aligned mapping with room for so many of them, and are never unmapped.
        unsafe { submitter.register_buf_ring_with_flags(chunks.entries.as_ptr() as u64, count, GROUP, 0)? };
        (0..count).for_each(|id| chunks.give_back(id));
        Ok(chunks)
    }

    /// The first of `len` bytes of a buffer.
    pub(super) fn start(&self, id: u16, len: usize) -> *mut u8 {
        assert!(id < self.count && len <= self.len, "{len} bytes of buffer {id}");
        // SAFETY: `id` is below the number of buffers that the mapping has room for, as was just asserted.
        unsafe { self.memory.as_mut_ptr().add(usize::from(id) * self.len) }
    }

    /// Adds what the kernel has put into a buffer.
    pub(super) fn append(&self, id: u16, len: usize, to: &mut Vec<u8>) {
        let from = self.start(id, len);
        to.reserve(len);
        // SAFETY: (1) `start` has shown that all of `from` lies in the mapping, and `reserve` has made room behind the
        // vector's end; they do not overlap, as the mapping is no vector's; (2) the kernel writes into a buffer only
        // between an offer and the completion that names it, and callers have `id` from such a completion; (3) no
        // reference to the mapping is formed, and any byte is a `u8`.
        unsafe {
            ptr::copy_nonoverlapping(from, to.as_mut_ptr().add(to.len()), len);
            to.set_len(to.len() + len);
        }
    }

    /// Gives a buffer to the kernel, for the next bytes that arrive.
    pub(super) fn give_back(&mut self, id: u16) {
        let address = self.start(id, self.len);
        let first = self.entries.as_mut_ptr().cast::<BufRingEntry>();
        // SAFETY: (1) the mapping has room for `count` entries, and the mask keeps the place below that; it is zeroed,
        // and zeroes are an entry; (2) the kernel reads an entry only after the tail below has passed it, and nobody
        // else writes any.
        let entry = unsafe { &mut *first.add(usize::from(self.tail & (self.count - 1))) };
        entry.set_addr(address as u64);
        entry.set_len(u32::try_from(self.len).expect("a buffer is some pages long"));
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the first entry, which is mapped and aligned; the kernel reads it as an atomic, too.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(first).cast_mut()) };
        // Release: whoever sees this tail sees the entry above.
        tail.store(self.tail, Ordering::Release);
    }
}
