//! One call at a time at equal gaps: both sides sleep in between.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::closed::Closed;
use super::found::{Found, nanoseconds};
use crate::contender::Client;
use crate::open::schedule::{Arrivals, Due, Schedule};
use crate::open::time::RealTime;
use crate::open::verdict::{LAG_MAX, Wanted};
use crate::open::{Caller, Failed, Run, drive};
use crate::stats::extra::Better;

/// The failure itself is kept beside: it ends the row.
const FAILED: Failed = "failed";

/// A closed loop that makes single calls.
struct Single<'a, C> {
    closed: &'a mut Closed<C>,
    failure: Option<anyhow::Error>,
}

impl<C: Client> Caller for Single<'_, C> {
    fn call(&mut self, _: Due) -> Result<(), Failed> {
        // After the first failure, calls fail at once: there is nothing to be measured any more.
        if self.failure.is_some() {
            return Err(FAILED);
        }
        self.closed.one().map_err(|error| {
            self.failure = Some(error);
            FAILED
        })
    }
}

/// Makes calls at a rate. Nobody spins before a call: that would keep the processor awake which is to sleep.
pub(super) fn measure<C: Client>(closed: &mut Closed<C>, rate: u32, span: Duration) -> Result<Found> {
    let seconds = span.as_secs_f64();
    let calls = Mutex::new(Schedule::new(Arrivals::Fixed, rate.into(), seconds, 0));
    let run = Run { calls: &calls, late_until_ns: u64::MAX, is_ended: &|| false };
    let mut single = Single { closed, failure: None };
    let log = drive(&run, &RealTime::new(Instant::now(), Duration::ZERO, &|| false), &mut single);
    if let Some(error) = single.failure {
        return Err(error);
    }
    let wanted = Wanted { seconds, connections: 1, lag_max: LAG_MAX };
    let from_send =
        |name, quantile| nanoseconds(name, Better::Less, log.uncorrected.value_at_quantile(quantile) as f64);
    let extras = vec![from_send("from send p50", 0.5), from_send("from send p99", 0.99)];
    let void = wanted.void(&log);
    let last = log.last_done_ns as f64 / 1e9;
    Ok(Found {
        calls: log.answered(),
        seconds: last.max(seconds),
        latencies: log.corrected,
        extras,
        void,
        client: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Shape;
    use crate::measure::task::Body;
    use std::io;

    /// Answers so many calls, then no more.
    struct Loopback(Vec<u8>, u64);

    impl Client for Loopback {
        fn send(&mut self, request: &[u8]) -> io::Result<()> {
            self.0 = request.to_vec();
            self.1 = self.1.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(())
        }

        fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()> {
            reply.clone_from(&self.0);
            Ok(())
        }
    }

    fn run(answers: u64) -> Result<Found> {
        let mut closed = Closed::new(vec![Loopback(vec![], answers)], Shape::new(32, 1), Body::Noise);
        measure(&mut closed, 1_000, Duration::from_millis(20))
    }

    #[test]
    fn calls_are_made_at_their_rate_and_counted_both_ways() {
        let found = run(20).unwrap();
        assert_eq!((found.calls, found.latencies.len()), (20, 20));
        assert!(found.seconds >= 0.019);
        assert!(found.extras[0].value <= found.latencies.max() as f64);
    }

    #[test]
    fn a_call_that_fails_fails_the_row() {
        assert!(run(5).err().unwrap().to_string().contains("call 5 failed"));
    }
}
