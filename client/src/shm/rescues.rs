//! How long callers sleep before they look for themselves (rule 23), and how often one found its reply that way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use speedysvc_protocol::shm::doorbell::LOOK_AGAIN;

use crate::clock::whole_ns;

/// Shared by all links of a line.
pub(crate) struct Rescues {
    count: AtomicU64,
    longest_sleep_ns: AtomicU64,
}

impl Default for Rescues {
    fn default() -> Self {
        Self { count: AtomicU64::new(0), longest_sleep_ns: AtomicU64::new(whole_ns(LOOK_AGAIN)) }
    }
}

impl Rescues {
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// A reply was found by looking.
    pub(super) fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sleep_at_most(&self, longest: Duration) {
        self.longest_sleep_ns.store(whole_ns(longest), Ordering::Relaxed);
    }

    pub(super) fn longest_sleep(&self) -> Duration {
        Duration::from_nanos(self.longest_sleep_ns.load(Ordering::Relaxed))
    }
}
