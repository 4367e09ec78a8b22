//! The pages of a burst go back to the system: from a thread of its own, which runs only while there may be some, so
//! that no caller pays for it.

use std::sync::Weak;
use std::thread;
use std::time::Duration;

use speedysvc_protocol::shm::layout::Grant;

use super::ShmConnection;
use super::room::Lack;
use super::tide::Look;

/// For so long a burst must be over. Those that come again sooner find their pages; who comes later pays one fault for
/// each, once in this time.
const QUIET: Duration = Duration::from_secs(1);

impl ShmConnection {
    #[cold]
    pub(super) fn free(&self, block: Grant) {
        let begins = self.room().free(block);
        self.tell_first(Lack::Memory);
        if begins {
            self.watch();
        }
    }

    fn watch(&self) {
        // The thread keeps the link for a look, and not while it sleeps.
        let link = Weak::clone(&self.me);
        let look = move || link.upgrade().is_some_and(|link| link.ebb().is_some());
        let watch = move || {
            thread::sleep(QUIET);
            while look() {
                thread::sleep(QUIET);
            }
        };
        if thread::Builder::new().name("speedysvc-memory".to_owned()).spawn(watch).is_err() {
            // Here and now, then: nobody else would, if this was the last call for long.
            while self.ebb().is_some() {}
        }
    }

    /// Looks once, and gives back what is to be given back: so many bytes. `None` when there is no need to look again.
    pub(super) fn ebb(&self) -> Option<u64> {
        let look = self.room().look();
        match look {
            Look::Over => None,
            Look::Again => Some(0),
            Look::GiveBack(blocks) => Some(blocks.into_iter().map(|block| self.release(block)).sum()),
        }
    }

    /// Not under the lock, which callers need; so the block is taken meanwhile, as if it were in use.
    pub(super) fn release(&self, block: Grant) -> u64 {
        if !self.room().take(block) {
            return 0;
        }
        let released = self.link.release(block);
        // Failing costs nothing but memory that stays in use until the link goes.
        debug_assert!(released.is_ok(), "{released:?}");
        self.room().put_back(block);
        self.tell_first(Lack::Memory);
        block.capacity
    }
}
