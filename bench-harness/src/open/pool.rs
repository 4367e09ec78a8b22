//! Many connections, with a thread each: our client blocks.

use std::sync::{Mutex, OnceLock, mpsc};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::driver::{Caller, Run, drive};
use super::log::Log;
use super::schedule::Schedule;
use super::time::RealTime;

/// The most connections, and so threads.
pub(crate) const CONNECTIONS_MAX: u16 = 4096;
/// How long after the span calls that are late may still be sent.
pub(crate) const LATE: Duration = Duration::from_secs(5);
/// Time for each thread to wake before the run begins, so that the first calls do not wait for all of them.
const AHEAD: Duration = Duration::from_micros(200);
/// A thread that makes calls needs little.
const STACK: usize = 256 * 1024;

/// Connections that share calls. There are several lanes when callers cannot choose: each has its own part of them.
pub(crate) struct Lane<C> {
    pub(crate) callers: Vec<C>,
    pub(crate) calls: Schedule,
}

/// How a run is made.
pub(crate) struct Plan<'a> {
    /// In how many seconds calls are due.
    pub(crate) seconds: f64,
    /// How long to look at the clock before each call.
    pub(crate) spin: Duration,
    /// Somebody wants no more calls.
    pub(crate) is_ended: &'a (dyn Fn() -> bool + Sync),
}

/// What came of it.
pub(crate) struct Ran<C, R> {
    pub(crate) callers: Vec<C>,
    pub(crate) log: Log,
    /// What was read when every thread was there and no call made, and when all calls were made.
    pub(crate) before: R,
    pub(crate) after: R,
}

/// Makes the calls of all lanes. `read` reads accounts: it is called while all threads exist, so that none of them
/// takes its part along.
pub(crate) fn run<C: Caller + Send, R>(
    lanes: Vec<Lane<C>>,
    plan: &Plan<'_>,
    mut read: impl FnMut() -> Result<R>,
) -> Result<Ran<C, R>> {
    let late_until_ns = u64::try_from((Duration::from_secs_f64(plan.seconds) + LATE).as_nanos()).unwrap_or(u64::MAX);
    let split = |lane: Lane<C>| (Mutex::new(lane.calls), lane.callers);
    let (calls, callers): (Vec<Mutex<Schedule>>, Vec<Vec<C>>) = lanes.into_iter().map(split).unzip();
    let gates = Gates { begin: OnceLock::new(), end: OnceLock::new() };
    thread::scope(|scope| {
        // Whatever fails below, the threads are let go on: the scope waits for them.
        let _opened = Opened(&gates);
        let (say, said) = mpsc::channel();
        let mut threads = 0;
        for (calls, callers) in calls.iter().zip(callers) {
            for mut caller in callers {
                let (say, gates) = (say.clone(), &gates);
                let work = move || {
                    let Some(begin) = *gates.begin.wait() else { return };
                    let time = RealTime::new(begin, plan.spin, plan.is_ended);
                    let log = drive(&Run { calls, late_until_ns, is_ended: plan.is_ended }, &time, &mut caller);
                    // Nobody listens any more only when the run has failed.
                    say.send((caller, log)).ok();
                    drop(say);
                    gates.end.wait();
                };
                let builder = Builder::new().name("load".into()).stack_size(STACK);
                builder.spawn_scoped(scope, work).context("no thread for another connection")?;
                threads += 1;
            }
        }
        drop(say);
        let before = read()?;
        let ahead = AHEAD * u32::try_from(threads).unwrap_or(u32::MAX);
        gates.begin.get_or_init(|| Some(Instant::now() + ahead));
        let (mut callers, mut log) = (Vec::with_capacity(threads), Log::new());
        for _ in 0..threads {
            let (caller, its) = said.recv().context("a thread that makes calls panicked")?;
            callers.push(caller);
            log.merge(&its);
        }
        Ok(Ran { callers, log, before, after: read()? })
    })
}

/// What threads wait for.
struct Gates {
    /// When the run began; none when there will be no run.
    begin: OnceLock<Option<Instant>>,
    end: OnceLock<()>,
}

/// Dropping it lets all threads end.
struct Opened<'a>(&'a Gates);

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.0.begin.get_or_init(|| None);
        self.0.end.get_or_init(|| ());
    }
}

#[cfg(test)]
mod tests {
    use super::super::driver::Failed;
    use super::super::schedule::{Arrivals, Due};
    use super::*;

    struct Counts(Vec<u64>);

    impl Caller for Counts {
        fn call(&mut self, due: Due) -> Result<(), Failed> {
            assert!(due.number < 1_000, "this call breaks");
            self.0.push(due.number);
            if due.number.is_multiple_of(10) { Err("INTERNAL") } else { Ok(()) }
        }
    }

    fn lane(connections: usize, rate: f64) -> Lane<Counts> {
        let callers = (0..connections).map(|_| Counts(vec![])).collect();
        Lane { callers, calls: Schedule::new(Arrivals::Fixed, rate, 0.01, 1) }
    }

    fn run_lanes(lanes: Vec<Lane<Counts>>, is_ended: bool) -> Result<Ran<Counts, u32>> {
        let mut reads = 0;
        let plan = Plan { seconds: 0.01, spin: Duration::ZERO, is_ended: &|| is_ended };
        run(lanes, &plan, || {
            reads += 1;
            Ok(reads)
        })
    }

    #[test]
    fn every_call_is_made_once_by_whoever_is_free() {
        let ran = run_lanes(vec![lane(3, 10_000.0), lane(1, 2_000.0)], false).unwrap();
        let mut made: Vec<u64> = ran.callers.into_iter().flat_map(|caller| caller.0).collect();
        made.sort_unstable();
        let mut wanted: Vec<u64> = (0..100).chain(0..20).collect();
        wanted.sort_unstable();
        assert_eq!(made, wanted);
        assert_eq!((ran.log.sent(), ran.log.answered(), ran.log.errors["INTERNAL"]), (120, 108, 12));
        assert_eq!((ran.before, ran.after), (1, 2));
    }

    #[test]
    fn a_run_that_is_ended_makes_no_calls() {
        let ran = run_lanes(vec![lane(2, 10_000.0)], true).unwrap();
        assert_eq!(ran.log.sent(), 0);
    }

    #[test]
    fn what_breaks_does_not_hang() {
        let broken = std::panic::catch_unwind(|| run_lanes(vec![lane(2, 200_000.0)], false).is_ok());
        assert!(broken.is_err());
    }
}
