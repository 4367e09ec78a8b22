//! The arena's heap: blocks of powers of two, split and joined with their buddies. Pure: offsets only, no memory.

use std::collections::BTreeSet;
use std::ops::Range;

use speedysvc_protocol::shm::layout::Grant;

/// The smallest block. What fits a slot's own buffer needs none.
const BLOCK_MIN: u64 = 8 * 1024;

/// Which parts of the heap are free. Of several blocks that fit it gives the lowest, so that pages stay warm.
pub(crate) struct Heap {
    base: u64,
    size: u64,
    /// Free blocks of `BLOCK_MIN << order` bytes, by offset from `base`.
    free: Vec<BTreeSet<u64>>,
}

impl Heap {
    /// A heap of `size` bytes, a power of two, whose first byte is at `base` of the arena.
    pub(crate) fn new(base: u64, size: u64) -> Self {
        debug_assert!(size.is_power_of_two());
        let orders = (size / BLOCK_MIN).checked_ilog2().map_or(0, |order| order as usize + 1);
        let mut free = vec![BTreeSet::new(); orders];
        if let Some(largest) = free.last_mut() {
            largest.insert(0);
        }
        Self { base, size, free }
    }

    /// Whether a block of `len` bytes could be had if all else were free.
    pub(crate) fn could_hold(&self, len: u64) -> bool {
        !self.free.is_empty() && len <= self.size
    }

    /// A block of at least `len` bytes.
    pub(crate) fn allocate(&mut self, len: u64) -> Option<Grant> {
        if !self.could_hold(len) {
            return None;
        }
        let capacity = len.max(BLOCK_MIN).next_power_of_two();
        let wanted = order_of(capacity);
        let mut order = (wanted..self.free.len()).find(|order| !self.free[*order].is_empty())?;
        let offset = self.free[order].pop_first()?;
        while order > wanted {
            order -= 1;
            self.free[order].insert(offset + (BLOCK_MIN << order));
        }
        Some(Grant { offset: self.base + offset, capacity })
    }

    /// Takes a block back.
    pub(crate) fn free(&mut self, block: Grant) {
        let mut order = order_of(block.capacity);
        let mut offset = block.offset - self.base;
        while order + 1 < self.free.len() && self.free[order].remove(&(offset ^ (BLOCK_MIN << order))) {
            offset &= !(BLOCK_MIN << order);
            order += 1;
        }
        let is_new = self.free[order].insert(offset);
        debug_assert!(is_new, "a block was freed twice");
    }

    /// Takes just this block, if all of it is free.
    pub(crate) fn take(&mut self, block: Grant) -> bool {
        let (wanted, offset) = (order_of(block.capacity), block.offset - self.base);
        let around = |order: usize| offset & !((BLOCK_MIN << order) - 1);
        let Some(mut order) = (wanted..self.free.len()).find(|order| self.free[*order].remove(&around(*order))) else {
            return false;
        };
        while order > wanted {
            order -= 1;
            self.free[order].insert(around(order) ^ (BLOCK_MIN << order));
        }
        true
    }

    /// What is free of these bytes of the heap, in blocks of at most `longest` bytes.
    pub(crate) fn free_blocks(&self, bytes: Range<u64>, longest: u64) -> Vec<Grant> {
        let blocks = self.free.iter().enumerate().flat_map(|(order, free)| free.iter().map(move |at| (order, *at)));
        let parts = blocks.flat_map(|(order, offset)| {
            let size = BLOCK_MIN << order;
            let capacity = size.min(longest);
            (offset..offset + size)
                .step_by(usize::try_from(capacity).unwrap_or(usize::MAX))
                .map(move |at| (at, capacity))
        });
        let wanted = parts.filter(|(offset, capacity)| offset + capacity > bytes.start && *offset < bytes.end);
        wanted.map(|(offset, capacity)| Grant { offset: self.base + offset, capacity }).collect()
    }

    /// Where in the heap the last block that is in use ends.
    pub(crate) fn used_end(&self) -> u64 {
        let mut end = self.size;
        let is_free = |end: u64, order: usize| {
            end.checked_sub(BLOCK_MIN << order).is_some_and(|offset| self.free[order].contains(&offset))
        };
        while let Some(order) = (0..self.free.len()).find(|order| is_free(end, *order)) {
            end -= BLOCK_MIN << order;
        }
        end
    }
}

fn order_of(capacity: u64) -> usize {
    (capacity / BLOCK_MIN).ilog2() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: u64 = 3 * 4096;
    const SIZE: u64 = 1 << 18;

    #[derive(Clone, Debug)]
    enum Op {
        Allocate(u64),
        Free(usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            3 => (0_u32..19, 0_u64..100).prop_map(|(bits, more)| Op::Allocate((1 << bits) + more)),
            2 => any::<usize>().prop_map(Op::Free),
        ]
    }

    /// The oracle: one bit a page, and the rule that blocks lie at multiples of their size.
    struct Pages([bool; (SIZE / BLOCK_MIN) as usize]);

    impl Pages {
        fn range(block: Grant) -> Range<usize> {
            let index = |at: u64| usize::try_from((at - BASE) / BLOCK_MIN).unwrap();
            index(block.offset)..index(block.offset + block.capacity)
        }

        fn has_room(&self, capacity: u64) -> bool {
            let len = usize::try_from(capacity / BLOCK_MIN).unwrap();
            self.0.chunks(len).any(|pages| pages.len() == len && pages.iter().all(|used| !used))
        }
    }

    proptest! {
        #[test]
        fn blocks_never_overlap_and_all_come_back_together(ops in prop::collection::vec(op(), 0..200)) {
            let mut heap = Heap::new(BASE, SIZE);
            let mut pages = Pages([false; (SIZE / BLOCK_MIN) as usize]);
            let mut held: Vec<Grant> = Vec::new();
            for op in ops {
                match op {
                    Op::Allocate(len) => {
                        let capacity = len.next_power_of_two().max(BLOCK_MIN);
                        let block = heap.allocate(len);
                        prop_assert_eq!(block.is_some(), pages.has_room(capacity), "{} bytes", len);
                        let Some(block) = block else { continue };
                        prop_assert_eq!(block.capacity, capacity);
                        prop_assert!((block.offset - BASE).is_multiple_of(capacity));
                        for page in Pages::range(block) {
                            prop_assert!(!std::mem::replace(&mut pages.0[page], true), "two blocks overlap");
                        }
                        held.push(block);
                    }
                    Op::Free(which) if !held.is_empty() => {
                        let block = held.swap_remove(which % held.len());
                        pages.0[Pages::range(block)].fill(false);
                        heap.free(block);
                    }
                    Op::Free(_) => {}
                }
            }
            held.into_iter().for_each(|block| heap.free(block));
            prop_assert_eq!(heap.allocate(SIZE), Some(Grant { offset: BASE, capacity: SIZE }));
        }
    }

    #[test]
    fn just_one_block_can_be_taken_out_of_what_is_free() {
        let mut heap = Heap::new(BASE, SIZE);
        let block = |offset, capacity| Grant { offset: BASE + offset, capacity };
        assert_eq!(heap.used_end(), 0);
        let first = heap.allocate(BLOCK_MIN).unwrap();
        assert!(
            heap.take(block(SIZE / 2 + BLOCK_MIN, BLOCK_MIN)) && !heap.take(block(SIZE / 2 + BLOCK_MIN, BLOCK_MIN))
        );
        assert!(!heap.take(block(0, SIZE / 2)) && !heap.take(first), "a part of it is in use");
        assert_eq!(heap.used_end(), SIZE / 2 + 2 * BLOCK_MIN);
        let mut free = heap.free_blocks(SIZE / 4..SIZE / 2 + 3 * BLOCK_MIN, SIZE / 8);
        free.sort_by_key(|block| block.offset);
        // What lies at the range's ends is whole.
        let (half, eighth) = (SIZE / 2, SIZE / 8);
        let expected = [
            (half - 2 * eighth, eighth),
            (half - eighth, eighth),
            (half, BLOCK_MIN),
            (half + 2 * BLOCK_MIN, 2 * BLOCK_MIN),
        ];
        assert_eq!(free, expected.map(|(offset, capacity)| block(offset, capacity)));
        assert!(free.into_iter().all(|block| heap.take(block)));
        assert!(heap.allocate(SIZE / 4).is_some_and(|block| block.offset == BASE + SIZE / 2 + SIZE / 4));
    }

    #[test]
    fn a_heap_too_small_for_a_block_has_none() {
        let mut heap = Heap::new(0, 4096);
        assert!(!heap.could_hold(1));
        assert_eq!(heap.allocate(1), None);
        assert!(!Heap::new(0, 1 << 16).could_hold((1 << 16) + 1));
    }
}
