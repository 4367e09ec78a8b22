//! What is counted and timed, declared once: documentation, metrics and pages are made from these tables.
//!
//! [`table`] names every counter. [`buckets`] says into which bucket a time falls. [`Histogram`] and [`Snapshot`] are
//! what readers get: plain values that can be added up, over the loops of a service and over its workers' lives.
//! Where the numbers lie in memory, and who may write them, is in [`crate::shm::stats_page`].

pub mod buckets;
mod histogram;
mod snapshot;
pub mod table;
mod words;

pub use histogram::Histogram;
pub use snapshot::{ERRORS, MethodStats, OTHER_NAME, Snapshot, error_place};
pub use table::{Counter, MethodCounter, Timing, Unit};

use crate::status::Status;

/// Most methods of a service that have numbers of their own; those with higher indexes are counted together, as
/// [`OTHER_NAME`]. With every bucket of every method in use a loop's page has 21 MiB; what is not used takes none.
pub const METERED_MAX: usize = 256;

/// One call that has been answered, for [`crate::shm::stats_page::StatsWriter::record`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// What its caller was told.
    pub status: Status,
    /// Bytes of its arguments.
    pub bytes_in: u64,
    /// Bytes of its reply.
    pub bytes_out: u64,
    /// How long it took, if it was timed.
    pub times: Option<Times>,
}

/// Calls of one method that were answered well and not timed, for
/// [`crate::shm::stats_page::StatsWriter::record_untimed`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Untimed {
    /// How many.
    pub calls: u64,
    /// Bytes of their arguments, all together.
    pub bytes_in: u64,
    /// Bytes of their replies.
    pub bytes_out: u64,
}

/// How long a call took, in nanoseconds. What each means is in [`Timing`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// [`Timing::Queue`].
    pub queue_ns: u64,
    /// [`Timing::Handler`].
    pub handler_ns: u64,
}

impl Times {
    /// The time of this kind.
    #[must_use]
    pub fn get(&self, timing: Timing) -> u64 {
        match timing {
            Timing::Queue => self.queue_ns,
            Timing::Handler => self.handler_ns,
            Timing::Total => self.queue_ns.saturating_add(self.handler_ns),
        }
    }
}
