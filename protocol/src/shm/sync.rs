//! The only import of atomics in this room: the real ones, or loom's when the orderings are being explored.

#[cfg(loom)]
pub(super) use explored::{AtomicU64, fence};
#[cfg(loom)]
pub(super) use loom::sync::atomic::Ordering;

#[cfg(not(loom))]
pub(super) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Loom's atomics, with what it does not know: that two SeqCst accesses of one thread stay in their order.
///
/// Loom takes a SeqCst access for an AcqRel one, and only a fence for what it is. Here a SeqCst load that comes after a
/// SeqCst store or swap of the same thread has a fence before it. Not every SeqCst load: a fence there would also order
/// what came before by other means, and hide that a fence of ours is missing. If either of the two is weakened in the
/// code, its fence is gone here, and a model fails.
#[cfg(loom)]
mod explored {
    use std::cell::Cell;

    use loom::sync::atomic::{self, Ordering};

    loom::thread_local! {
        /// Whether this thread has made a SeqCst store or swap since its last fence.
        static STORED: Cell<bool> = Cell::new(false);
    }

    pub(in crate::shm) fn fence(order: Ordering) {
        STORED.with(|stored| stored.set(false));
        atomic::fence(order);
    }

    fn stored(order: Ordering) {
        if order == Ordering::SeqCst {
            STORED.with(|stored| stored.set(true));
        }
    }

    #[derive(Debug)]
    pub struct AtomicU64(atomic::AtomicU64);

    impl AtomicU64 {
        pub(in crate::shm) fn new(value: u64) -> Self {
            Self(atomic::AtomicU64::new(value))
        }

        pub(in crate::shm) fn load(&self, order: Ordering) -> u64 {
            if order == Ordering::SeqCst && STORED.with(Cell::get) {
                fence(Ordering::SeqCst);
            }
            self.0.load(order)
        }

        pub(in crate::shm) fn store(&self, value: u64, order: Ordering) {
            self.0.store(value, order);
            stored(order);
        }

        pub(in crate::shm) fn swap(&self, value: u64, order: Ordering) -> u64 {
            let before = self.0.swap(value, order);
            stored(order);
            before
        }

        pub(in crate::shm) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            let before = self.0.fetch_add(value, order);
            stored(order);
            before
        }

        pub(in crate::shm) fn compare_exchange(
            &self,
            old: u64,
            new: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            let swapped = self.0.compare_exchange(old, new, success, failure);
            if swapped.is_ok() {
                stored(success);
            }
            swapped
        }
    }
}
