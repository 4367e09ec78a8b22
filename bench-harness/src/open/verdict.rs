//! Whether a run may be believed: whether the generator itself kept up.

use std::time::Duration;

use super::log::Log;
use crate::report::numbers::time;

/// The latest that the generator may send 99 of 100 calls by its own fault, when nobody says otherwise.
pub(crate) const LAG_MAX: Duration = Duration::from_millis(1);
/// The part of the wanted calls that must have been sent in their time.
const SENT_MIN: f64 = 0.99;
/// Connections that are in calls for this part of the time are what limits a run, not the generator.
const BUSY_MIN: f64 = 0.9;

/// What was wanted of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// In how many seconds calls were due.
    pub(crate) seconds: f64,
    /// On so many connections.
    pub(crate) connections: usize,
    /// See [`LAG_MAX`].
    pub(crate) lag_max: Duration,
}

impl Wanted {
    /// Why the run is void, when it is.
    pub(crate) fn void(&self, log: &Log) -> Option<String> {
        let lag = log.own_lag.value_at_quantile(0.99) as f64;
        let limit = self.lag_max.as_secs_f64() * 1e9;
        if lag > limit {
            let (lag, limit) = (time(lag), time(limit));
            return Some(format!(
                "the generator sent 1 % of the calls over {lag} late although their connection was free (limit {limit})"
            ));
        }
        // Who is late at the end by no more than it may be at any moment has kept up.
        let late = (log.last_sent_ns as f64 / 1e9 - self.seconds - self.lag_max.as_secs_f64()).max(0.0);
        let part = log.sent() as f64 / log.due().max(1) as f64 * self.seconds / (self.seconds + late);
        if part < SENT_MIN && self.busy(log) < BUSY_MIN {
            return Some(format!(
                "only {:.1} % of the wanted rate was sent, although connections were free for {:.0} % of the time: \
                 the generator did not keep up",
                part * 100.0,
                (1.0 - self.busy(log)) * 100.0
            ));
        }
        None
    }

    /// Whether the connections were in calls nearly all of the time and calls waited for them.
    pub(crate) fn is_saturated(&self, log: &Log) -> bool {
        self.busy(log) >= BUSY_MIN
    }

    /// The part of the time that connections were in calls.
    fn busy(&self, log: &Log) -> f64 {
        let seconds = self.seconds.max(log.last_done_ns as f64 / 1e9);
        log.busy_ns as f64 / 1e9 / (seconds * self.connections as f64)
    }
}
