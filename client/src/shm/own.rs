//! A thread's own slot on the link that it calls most.
//!
//! To take a slot and to give it back are two locked instructions, and between a reply and the next request nothing is
//! short that is locked. So a thread that makes many calls may keep one slot: that of the call which has just ended,
//! for the one which begins next. Up to a quarter of a link's slots are kept in this way, as long as their threads live
//! and call; the others are everybody's.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::{Arc, Weak};

use super::{ShmConnection, looking};

/// After so many calls a thread looks for its slot anew, from the lowest on: a loop looks at all slots up to the
/// highest that is in use.
const SETTLE: u32 = 1024;

struct Own {
    /// Where it may keep a slot. Compared, and never followed: `home` says whether it still exists.
    at: Cell<*const ShmConnection>,
    home: RefCell<Weak<ShmConnection>>,
    /// The slot that is kept, while `is_idle`.
    slot: Cell<usize>,
    is_idle: Cell<bool>,
    /// Calls since the last look, wherever they went.
    calls: Cell<u32>,
}

thread_local! {
    static OWN: Own = const {
        Own {
            at: Cell::new(ptr::null()),
            home: RefCell::new(Weak::new()),
            slot: Cell::new(0),
            is_idle: Cell::new(false),
            calls: Cell::new(0),
        }
    };
}

/// This thread's own slot, or none if it has none here.
#[inline]
pub(super) fn take(home: &Arc<ShmConnection>) -> Option<usize> {
    // While a thread ends its locals are gone.
    OWN.try_with(|own| {
        let calls = own.calls.get() + 1;
        own.calls.set(calls);
        if calls == SETTLE {
            own.settle(home);
        }
        (own.at.get() == Arc::as_ptr(home) && own.is_idle.replace(false)).then(|| own.slot.get())
    })
    .ok()
    .flatten()
}

/// The slot that this thread keeps here, if it does; not once in a while, when [`take`] is to look for a better one.
#[inline]
pub(super) fn take_kept(home: &ShmConnection) -> Option<usize> {
    OWN.try_with(|own| {
        let calls = own.calls.get() + 1;
        if !ptr::eq(own.at.get(), home) || calls == SETTLE || !own.is_idle.replace(false) {
            return None;
        }
        own.calls.set(calls);
        Some(own.slot.get())
    })
    .ok()
    .flatten()
}

/// Whether the thread keeps this slot: it may, has none, and nobody waits for one.
#[inline]
pub(super) fn keep(home: &ShmConnection, slot: usize) -> bool {
    let keeps = |own: &Own| {
        let keeps = ptr::eq(own.at.get(), home) && !own.is_idle.get() && !home.slots.are_wanted();
        if keeps {
            own.slot.set(slot);
            own.is_idle.set(true);
        }
        keeps
    };
    OWN.try_with(keeps).unwrap_or(false)
}

impl Own {
    #[cold]
    fn settle(&self, home: &Arc<ShmConnection>) {
        self.calls.set(0);
        looking::many_calls();
        self.leave();
        if let Some(slot) = home.slots.begin_to_keep() {
            self.at.set(Arc::as_ptr(home));
            self.home.replace(Arc::downgrade(home));
            self.slot.set(slot);
            self.is_idle.set(true);
        }
    }

    /// A slot that is kept is everybody's again; none is kept from now on.
    fn leave(&self) {
        self.at.set(ptr::null());
        let home = self.home.replace(Weak::new());
        if let Some(home) = home.upgrade() {
            home.slots.end_to_keep();
            if self.is_idle.get() {
                home.give_back_slot(self.slot.get());
            }
        }
        self.is_idle.set(false);
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.leave();
    }
}
