//! What a run leaves behind.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::driver::Failed;
use crate::stats::latency;

/// The moments of one call, in nanoseconds since the run began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moments {
    /// It should have been sent.
    pub(crate) due: u64,
    /// Its connection had no other call any more.
    pub(crate) free: u64,
    /// It was sent.
    pub(crate) sent: u64,
    /// It was answered, or failed.
    pub(crate) done: u64,
}

/// Histograms in nanoseconds, and counts.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// From the moment at which a call should have been sent to its answer. A call that was never sent counts with the
    /// time that it had waited when it was given up: it would have taken longer still.
    pub(crate) corrected: Histogram<u64>,
    /// From the moment at which it was sent.
    pub(crate) uncorrected: Histogram<u64>,
    /// How late calls were sent, whoever was at fault.
    pub(crate) lag: Histogram<u64>,
    /// How late they were sent although their connection was free: the generator's own fault.
    pub(crate) own_lag: Histogram<u64>,
    /// Calls that failed, by the reason. They are in no histogram of latencies.
    pub(crate) errors: BTreeMap<Failed, u64>,
    /// Calls that were due and never sent, because no connection was free until long after.
    pub(crate) unsent: u64,
    /// Time in calls, of all connections together.
    pub(crate) busy_ns: u64,
    /// When the last call was sent.
    pub(crate) last_sent_ns: u64,
    /// When the last answer came.
    pub(crate) last_done_ns: u64,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            corrected: latency::empty(),
            uncorrected: latency::empty(),
            lag: latency::empty(),
            own_lag: latency::empty(),
            errors: BTreeMap::new(),
            unsent: 0,
            busy_ns: 0,
            last_sent_ns: 0,
            last_done_ns: 0,
        }
    }

    /// A call that was made.
    pub(crate) fn add(&mut self, at: Moments, result: Result<(), Failed>) {
        self.lag.saturating_record(at.sent.saturating_sub(at.due));
        self.own_lag.saturating_record(at.sent.saturating_sub(at.due.max(at.free)));
        self.busy_ns += at.done.saturating_sub(at.sent);
        self.last_sent_ns = self.last_sent_ns.max(at.sent);
        self.last_done_ns = self.last_done_ns.max(at.done);
        match result {
            Ok(()) => {
                self.corrected.saturating_record(at.done.saturating_sub(at.due));
                self.uncorrected.saturating_record(at.done.saturating_sub(at.sent));
            }
            Err(failed) => *self.errors.entry(failed).or_default() += 1,
        }
    }

    /// A call that was due, and given up now.
    pub(super) fn give_up(&mut self, due: u64, now: u64) {
        self.unsent += 1;
        self.corrected.saturating_record(now.saturating_sub(due));
    }

    /// Those of another connection, too.
    pub(crate) fn merge(&mut self, other: &Self) {
        let all = [
            (&mut self.corrected, &other.corrected),
            (&mut self.uncorrected, &other.uncorrected),
            (&mut self.lag, &other.lag),
            (&mut self.own_lag, &other.own_lag),
        ];
        for (mine, theirs) in all {
            mine.add(theirs).expect("histograms of latencies have the same range");
        }
        for (failed, count) in &other.errors {
            *self.errors.entry(failed).or_default() += count;
        }
        self.unsent += other.unsent;
        self.busy_ns += other.busy_ns;
        self.last_sent_ns = self.last_sent_ns.max(other.last_sent_ns);
        self.last_done_ns = self.last_done_ns.max(other.last_done_ns);
    }

    /// Calls that got an answer.
    pub(crate) fn answered(&self) -> u64 {
        self.uncorrected.len()
    }

    /// Calls that were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.lag.len()
    }

    /// Calls that were due.
    pub(crate) fn due(&self) -> u64 {
        self.sent() + self.unsent
    }

    /// The part of calls that failed, or were never sent.
    pub(crate) fn failed_part(&self) -> f64 {
        (self.due() - self.answered()) as f64 / self.due().max(1) as f64
    }
}
