//! Buffers that the kernel picks from when bytes arrive, so that an idle connection holds none.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use memmap2::MmapMut;

use crate::budget::Sizes;
use crate::driver::Chunk;

/// The only group of buffers of a ring.
pub(super) const GROUP: u16 = 0;

/// The ring of buffer addresses, and the buffers. Both are our own memory, not the kernel's (CVE-2024-0582).
pub(super) struct BufferRing {
    entries: MmapMut,
    memory: MmapMut,
    /// How many, and bytes of each. Fixed: the memory above is as large.
    count: u16,
    len: usize,
    tail: u16,
}

impl BufferRing {
    /// # Panics
    /// When the number of buffers is no power of two.
    pub(super) fn new(ring: &IoUring, sizes: Sizes) -> io::Result<Self> {
        let Sizes { buffers: count, buffer: len, .. } = sizes;
        assert!(count.is_power_of_two(), "{count} receive buffers");
        let entries = MmapMut::map_anon(usize::from(count) * size_of::<BufRingEntry>())?;
        let memory = MmapMut::map_anon(usize::from(count) * len)?;
        let mut buffers = Self { entries, memory, count, len, tail: 0 };
        // SAFETY: the entries are page-aligned anonymous memory with room for this many of them; they are unmapped only
        // when `BufferRing` is dropped, which `Ring` does after the ring's descriptor was closed, or never.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(buffers.entries.as_ptr() as u64, count, GROUP, 0)?;
        }
        for id in 0..count {
            buffers.offer(id);
        }
        Ok(buffers)
    }

    /// A buffer that a completion names. The kernel only names buffers that it was offered, and offers of each are one
    /// at a time: that is its side of the interface.
    pub(super) fn taken(&self, id: u16, len: usize) -> Chunk {
        // PAIR buffer-offered: the other end is the kernel's load-acquire of the tail, before it filled this buffer
        // (`io_uring/kbuf.c`, `io_ring_buffer_select`).
        assert!(id < self.count && len <= self.len, "the kernel filled buffer {id} with {len} bytes");
        Chunk { id, len }
    }

    pub(super) fn bytes(&self, chunk: &Chunk) -> &[u8] {
        let start = usize::from(chunk.id) * self.len;
        &self.memory[start..start + chunk.len]
    }

    #[expect(clippy::needless_pass_by_value, reason = "the chunk ends here: nobody may read the buffer any more")]
    pub(super) fn recycle(&mut self, chunk: Chunk) {
        self.offer(chunk.id);
    }

    fn offer(&mut self, id: u16) {
        let place = usize::from(self.tail & (self.count - 1));
        let address = self.memory[usize::from(id) * self.len..].as_mut_ptr();
        let first = self.entries.as_mut_ptr().cast::<BufRingEntry>();
        // SAFETY: (1) `place` is below the number of entries that the mapping has room for, by the mask (`new` has
        // checked that it is one); (2) anonymous
        // memory is zeroed, and zero is a valid entry; (3) the kernel reads an entry only after the tail below has
        // passed it, and we are the only writer.
        let entry = unsafe { &mut *first.add(place) };
        entry.set_addr(address as u64);
        entry.set_len(u32::try_from(self.len).expect("below 4 GiB, by the budget"));
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the first entry, whose memory is valid and aligned for a `u16`; the kernel reads it
        // as an atomic, and `set_*` above do not touch that field.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(first).cast_mut()) };
        // PAIR buffer-offered: the entry above is seen by whoever loads this tail.
        tail.store(self.tail, Ordering::Release);
    }

    /// Keeps the memory for ever: the kernel may still write into it.
    pub(super) fn leak(&mut self) {
        let tiny = || MmapMut::map_anon(1);
        if let (Ok(entries), Ok(memory)) = (tiny(), tiny()) {
            std::mem::forget(std::mem::replace(&mut self.entries, entries));
            std::mem::forget(std::mem::replace(&mut self.memory, memory));
        }
    }
}
