//! How much of the heap is in use, and was: from that follows when the pages that a burst has touched go back to the
//! system. Pure: offsets and numbers only, no memory and no clock.

use std::ops::Range;

use speedysvc_protocol::shm::layout::Grant;

use super::heap::Heap;

/// The first bytes of the heap stay for good. They are given out first, so that usual calls find their pages warm.
const KEEP_WARM: u64 = 8 << 20;
/// A burst is over when less than one in so many of its bytes are in use.
const PART: u64 = 4;
/// So much is given back at a time: nobody can have it meanwhile.
const PIECE: u64 = 1 << 20;

/// The heap, and how much of it is used.
pub(super) struct Tide {
    heap: Heap,
    base: u64,
    in_use: u64,
    /// The most that was in use at once since the last look...
    lately: u64,
    /// ...and since pages were given back.
    most: u64,
    /// Behind so many bytes of the heap no page was touched since then, nor is one that was touched before.
    reach: u64,
    /// Somebody [looks](Self::look) from time to time.
    is_watched: bool,
}

/// What is to be done.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Look {
    /// Nothing, until a block that is freed [says so](Tide::free) again.
    Over,
    /// To look again after a while.
    Again,
    /// To give back these blocks, those of them that can still be [taken](Tide::take); then to look again.
    GiveBack(Vec<Grant>),
}

impl Tide {
    pub(super) fn new(base: u64, size: u64) -> Self {
        let heap = Heap::new(base, size);
        Self { heap, base, in_use: 0, lately: 0, most: 0, reach: 0, is_watched: false }
    }

    /// Whether a block of this size can be had at all.
    pub(super) fn could_hold(&self, len: u64) -> bool {
        self.heap.could_hold(len)
    }

    /// A block of at least `len` bytes, if there is one now.
    pub(super) fn allocate(&mut self, len: u64) -> Option<Grant> {
        let block = self.heap.allocate(len)?;
        self.in_use += block.capacity;
        self.lately = self.lately.max(self.in_use);
        self.most = self.most.max(self.in_use);
        self.reach = self.reach.max(block.offset - self.base + block.capacity);
        Some(block)
    }

    /// Takes a block back. Whether the caller must see to it that somebody looks from now on.
    #[must_use]
    pub(super) fn free(&mut self, block: Grant) -> bool {
        self.heap.free(block);
        self.in_use -= block.capacity;
        let begins = !self.is_watched && self.is_low(self.in_use);
        self.is_watched |= begins;
        begins
    }

    /// Whether it would be a burst's end if so many bytes were in use.
    fn is_low(&self, in_use: u64) -> bool {
        self.reach > KEEP_WARM && in_use < self.most / PART
    }

    /// Who sees to it looks. Bursts that come again between two looks keep their pages.
    pub(super) fn look(&mut self) -> Look {
        let lately = std::mem::replace(&mut self.lately, self.in_use);
        if !self.is_low(self.in_use) {
            self.is_watched = false;
            return Look::Over;
        }
        if !self.is_low(lately) {
            return Look::Again;
        }
        let touched = Range { start: KEEP_WARM, end: self.reach };
        self.most = self.in_use;
        self.reach = self.heap.used_end();
        Look::GiveBack(self.heap.free_blocks(touched, PIECE))
    }

    /// Takes just this block, so that its pages can be given back; `false` when a part of it is in use.
    #[must_use]
    pub(super) fn take(&mut self, block: Grant) -> bool {
        self.heap.take(block)
    }

    /// The pages of a block that was [taken](Self::take) are given back.
    pub(super) fn put_back(&mut self, block: Grant) {
        self.heap.free(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: u64 = 64 * 4096;
    const SIZE: u64 = 64 << 20;
    const EACH: u64 = 300 << 10;

    fn bursts(tide: &mut Tide, count: usize) -> bool {
        let blocks: Vec<Grant> = (0..count).map(|_| tide.allocate(EACH).unwrap()).collect();
        blocks.into_iter().filter(|block| tide.free(*block)).count() > 0
    }

    /// Gives back what the look says; how many bytes that were.
    fn give_back(tide: &mut Tide) -> u64 {
        let Look::GiveBack(blocks) = tide.look() else { return 0 };
        let mut bytes = 0;
        for block in blocks {
            assert!(tide.take(block), "nobody has taken it meanwhile");
            tide.put_back(block);
            bytes += block.capacity;
        }
        bytes
    }

    #[test]
    fn a_burst_of_small_blocks_is_given_back_when_it_is_over() {
        let mut tide = Tide::new(BASE, SIZE);
        assert!(bursts(&mut tide, 64), "somebody must look");
        assert_eq!(tide.look(), Look::Again, "it is not over for long");
        // 64 blocks of 512 KiB.
        assert_eq!(give_back(&mut tide), (32 << 20) - KEEP_WARM);
        assert_eq!(tide.look(), Look::Over);
        assert!(bursts(&mut tide, 64), "the next burst is another");
    }

    #[test]
    fn what_stays_warm_is_never_looked_at() {
        let mut tide = Tide::new(BASE, SIZE);
        assert!(!bursts(&mut tide, 16), "8 MiB");
        assert!(bursts(&mut tide, 17));
    }

    #[test]
    fn bursts_that_come_again_keep_their_pages() {
        let mut tide = Tide::new(BASE, SIZE);
        assert!(bursts(&mut tide, 64));
        for round in 0..20 {
            assert_eq!(tide.look(), Look::Again, "round {round}");
            assert!(!bursts(&mut tide, 40), "somebody looks already");
        }
        assert_eq!(tide.look(), Look::Again);
        assert!(give_back(&mut tide) > 0);
    }

    #[test]
    fn while_a_quarter_is_in_use_nobody_looks() {
        let mut tide = Tide::new(BASE, SIZE);
        let mut blocks: Vec<Grant> = (0..64).map(|_| tide.allocate(EACH).unwrap()).collect();
        assert!(blocks.drain(16..).all(|block| !tide.free(block)));
        assert!(tide.free(blocks.pop().unwrap()), "it is a quarter no more");
        blocks.push(tide.allocate(EACH).unwrap());
        assert_eq!(tide.look(), Look::Over);
        assert!(tide.free(blocks.pop().unwrap()), "who has ceased to look must be told again");
    }

    /// What a caller keeps for long among the last blocks of a burst goes back once it is freed, and before that it
    /// makes nobody look for ever.
    #[test]
    fn what_is_held_is_given_back_when_it_is_freed() {
        let mut tide = Tide::new(BASE, SIZE);
        let mut blocks: Vec<Grant> = (0..64).map(|_| tide.allocate(EACH).unwrap()).collect();
        let last = blocks.pop().unwrap();
        assert_eq!(blocks.into_iter().filter(|block| tide.free(*block)).count(), 1, "one is told");
        assert_eq!(tide.look(), Look::Again);
        assert_eq!(give_back(&mut tide), (32 << 20) - KEEP_WARM - last.capacity);
        assert_eq!(tide.look(), Look::Over);
        assert!(tide.free(last));
        assert_eq!(tide.look(), Look::Again);
        assert!(give_back(&mut tide) >= last.capacity);
        assert_eq!(tide.look(), Look::Over);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Allocate(u64),
        Free(usize),
        Look,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            5 => (12_u32..22, 0_u64..100).prop_map(|(bits, more)| Op::Allocate((1 << bits) + more)),
            4 => any::<usize>().prop_map(Op::Free),
            1 => Just(Op::Look),
        ]
    }

    fn pages(block: Grant) -> Range<usize> {
        let page = |at: u64| usize::try_from((at - BASE) / 4096).unwrap();
        page(block.offset)..page(block.offset + block.capacity)
    }

    proptest! {
        /// The oracle: every page that was ever in a block and not given back since.
        #[test]
        fn nothing_in_use_is_given_back_and_in_the_end_all_but_the_first(ops in prop::collection::vec(op(), 0..300)) {
            let mut tide = Tide::new(BASE, SIZE);
            let mut touched = vec![false; usize::try_from(SIZE / 4096).unwrap()];
            let mut held: Vec<Grant> = Vec::new();
            let mut is_watched = false;
            let look = |tide: &mut Tide, touched: &mut Vec<bool>, held: &[Grant]| {
                let look = tide.look();
                let goes_on = look != Look::Over;
                let Look::GiveBack(blocks) = look else { return goes_on };
                for block in blocks {
                    assert!(tide.take(block), "nobody has taken it meanwhile");
                    assert!(held.iter().all(|held| {
                        held.offset + held.capacity <= block.offset || block.offset + block.capacity <= held.offset
                    }), "{block:?} is in use");
                    touched[pages(block)].fill(false);
                    tide.put_back(block);
                }
                goes_on
            };
            for op in ops {
                match op {
                    Op::Allocate(len) => {
                        let Some(block) = tide.allocate(len) else { continue };
                        touched[pages(block)].fill(true);
                        held.push(block);
                    }
                    Op::Free(which) if !held.is_empty() => {
                        is_watched |= tide.free(held.swap_remove(which % held.len()));
                    }
                    Op::Look if is_watched => is_watched = look(&mut tide, &mut touched, &held),
                    Op::Free(_) | Op::Look => {}
                }
            }
            for block in held.drain(..) {
                is_watched |= tide.free(block);
            }
            let mut looks = 0;
            while is_watched {
                is_watched = look(&mut tide, &mut touched, &[]);
                looks += 1;
                prop_assert!(looks < 10, "it looks for ever");
            }
            let warm = usize::try_from(KEEP_WARM / 4096).unwrap();
            prop_assert!(touched[warm..].iter().all(|touched| !touched), "pages stay");
            prop_assert_eq!(tide.allocate(SIZE), Some(Grant { offset: BASE, capacity: SIZE }));
        }
    }
}
