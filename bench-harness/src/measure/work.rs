//! The open loop against handlers that take their time: queues, and more than can be done.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::accounts;
use super::found::{Found, figure, nanoseconds};
use super::job::{Job, Length, Outcome};
use super::task::{Drawn, Handler, Load, WORKERS};
use crate::open::log::{Log, Moments};
use crate::open::pool::{self, Lane, Plan};
use crate::open::schedule::{Arrivals, Due, Schedule};
use crate::open::verdict::{LAG_MAX, Wanted};
use crate::open::{Caller, Failed, started, time};
use crate::stats::extra::{Better, Extra, Unit};
use crate::stats::queue::{self, Mmc, Visit};

/// All rows have the same calls at the same moments, so that they differ by what answers them.
const SEED: u64 = 0x0FE1;
/// And the same handlers.
const HANDLERS: u64 = 0x00AD_1E55 << 32;
/// Time for the thread that starts calls to be ready for the first.
const AHEAD: Duration = Duration::from_millis(1);
/// What a service answers when it has too much to do, and when time is up.
const REFUSED: Failed = "RESOURCE_EXHAUSTED";
const EXPIRED: Failed = "DEADLINE_EXCEEDED";

/// A client of a service that works as long as it is told.
pub(crate) trait Worker {
    /// A call that was started.
    type Started: Future<Output = Result<(), Failed>> + Unpin;

    /// Lets a handler work, and says how long it took by its own clock, in nanoseconds.
    ///
    /// # Errors
    /// A code's name.
    fn work(&mut self, what: Drawn) -> Result<u64, Failed>;

    /// Starts the same, and does not wait.
    fn start(&mut self, what: Drawn) -> Self::Started;
}

/// One connection.
struct Connection<W> {
    worker: W,
    handler: Handler,
    visits: Vec<Visit>,
    /// How long each call took, from when it was due, and whether its handler waited.
    took: Vec<(u64, bool)>,
    waits: bool,
}

impl<W: Worker> Caller for Connection<W> {
    fn call(&mut self, due: Due) -> Result<(), Failed> {
        let drawn = self.handler.draw(HANDLERS ^ due.number);
        self.waits = drawn.waits;
        let served_ns = self.worker.work(drawn)?;
        self.visits.push(Visit { at_ns: due.at_ns, served_ns });
        Ok(())
    }

    fn answered(&mut self, moments: Moments) {
        self.took.push((moments.done.saturating_sub(moments.due), self.waits));
    }
}

impl Job {
    /// Makes calls of a service that works, which `connect` connects to: with the deadline, to the lane of this number.
    /// Calls are split between so many lanes beforehand.
    ///
    /// # Errors
    /// When there is no connection, or a call fails that must not.
    pub(crate) fn run_work<W: Worker + Send>(
        &self,
        lanes: usize,
        connect: impl Fn(usize, Option<Duration>) -> Result<W>,
    ) -> Result<Outcome> {
        let (handler, rate, deadline) = match self.task.load {
            Load::Queue { handler, rate } => (handler, rate, None),
            Load::Overload { handler, rate, deadline_ms } => {
                (handler, rate, Some(Duration::from_millis(deadline_ms.into())))
            }
            other => bail!("a service that works has no {other:?}"),
        };
        let Length::Timed { span, .. } = self.length else { bail!("a service that works is not verified by echoes") };
        let seconds = span.as_secs_f64();
        if let Some(deadline) = deadline {
            let workers = (0..self.shape.connections).map(|place| connect(place % lanes, Some(deadline)));
            return self.run_overload(workers.collect::<Result<_>>()?, handler, rate, seconds);
        }
        let lane = |number: usize| {
            let calls = Schedule::new(Arrivals::Poisson, rate.into(), seconds, SEED).of_lane(number, lanes);
            let connection = |_| {
                let worker = connect(number, None)?;
                Ok(Connection { worker, handler, visits: vec![], took: vec![], waits: false })
            };
            let callers = (0..self.shape.connections / lanes).map(connection).collect::<Result<_>>()?;
            Ok(Lane { callers, calls })
        };
        let lanes: Vec<Lane<Connection<W>>> = (0..lanes).map(lane).collect::<Result<_>>()?;
        self.pin()?;
        self.account(|| {
            let plan = Plan { seconds, spin: time::spin(rate.into()), is_ended: &|| false };
            let own = [std::process::id()];
            let ran = pool::run(lanes, &plan, || Ok(accounts::usage(&own)?))?;
            let visits: Vec<Visit> = ran.callers.iter().flat_map(|caller| caller.visits.iter().copied()).collect();
            let took: Vec<(u64, bool)> = ran.callers.iter().flat_map(|caller| caller.took.iter().copied()).collect();
            let extras = queue_figures(&ran.log, &visits, &took, handler, rate, seconds)?;
            let wanted = Wanted { seconds, connections: self.shape.connections, lag_max: LAG_MAX };
            Ok(Found {
                calls: ran.log.answered(),
                seconds: seconds.max(ran.log.last_done_ns as f64 / 1e9),
                void: wanted.void(&ran.log),
                latencies: ran.log.corrected,
                extras,
                client: Some(ran.after - ran.before),
            })
        })
    }
}

impl Job {
    /// More calls than can be answered: one thread starts them on all connections in turn.
    fn run_overload<W: Worker>(
        &self,
        mut workers: Vec<W>,
        handler: Handler,
        rate: u32,
        seconds: f64,
    ) -> Result<Outcome> {
        self.pin()?;
        self.account(|| {
            let own = [std::process::id()];
            let before = accounts::usage(&own)?;
            let calls = Schedule::new(Arrivals::Poisson, rate.into(), seconds, SEED);
            let time = time::RealTime::new(Instant::now() + AHEAD, time::spin(rate.into()), &|| false);
            let count = workers.len() as u64;
            let log = started::drive(calls, &time, |due| {
                let place = usize::try_from(due.number % count).expect("there are so many");
                workers[place].start(handler.draw(HANDLERS ^ due.number))
            });
            let after = accounts::usage(&own)?;
            let wanted = Wanted { seconds, connections: self.shape.connections, lag_max: LAG_MAX };
            Ok(Found {
                calls: log.answered(),
                seconds: seconds.max(log.last_done_ns as f64 / 1e9),
                void: wanted.void(&log),
                extras: overload_figures(&log, handler, seconds),
                latencies: log.corrected,
                client: Some(after - before),
            })
        })
    }
}

/// Beside the row's own figures: what one queue in front of all workers would have made of the very same calls, if
/// carrying them cost nothing.
fn queue_figures(
    log: &Log,
    visits: &[Visit],
    took: &[(u64, bool)],
    handler: Handler,
    rate: u32,
    seconds: f64,
) -> Result<Vec<Extra>> {
    if let Some((code, count)) = log.errors.first_key_value() {
        bail!("{count} calls failed with {code}");
    }
    if visits.is_empty() {
        bail!("no call was answered");
    }
    let served: f64 = visits.iter().map(|visit| visit.served_ns as f64).sum();
    let times = queue::first_come_first_served(visits, WORKERS as usize);
    let mut extras = vec![
        figure("load", Unit::Part, Better::Neither, served / 1e9 / seconds / f64::from(WORKERS)),
        nanoseconds("ideal p50", Better::Neither, queue::percentile(&times, 50)),
        nanoseconds("ideal p99", Better::Neither, queue::percentile(&times, 99)),
    ];
    let all: Vec<u64> = took.iter().map(|(ns, _)| *ns).collect();
    let beside_ideal = queue::percentile(&all, 99) / queue::percentile(&times, 99);
    extras.push(figure("p99 / ideal p99", Unit::Count, Better::Less, beside_ideal));
    if let Handler::Sometimes { .. } = handler {
        let short: Vec<u64> = took.iter().filter(|(_, waits)| !waits).map(|(ns, _)| *ns).collect();
        extras.push(nanoseconds("short p99", Better::Less, queue::percentile(&short, 99)));
    }
    if let Handler::Exponential { .. } = handler
        && let Some(formula) = Mmc::new(WORKERS, handler.mean_ns(), f64::from(rate) / 1e9)
    {
        let name = format!("M/M/{WORKERS} p99");
        extras.push(nanoseconds(&name, Better::Neither, formula.quantile(0.99)));
    }
    extras.push(own_lag(log));
    Ok(extras)
}

/// How late the generator was, for whoever doubts the other figures.
fn own_lag(log: &Log) -> Extra {
    nanoseconds("own lag p99", Better::Neither, log.own_lag.value_at_quantile(0.99) as f64)
}

/// What was done in time, and what became of the rest.
fn overload_figures(log: &Log, handler: Handler, seconds: f64) -> Vec<Extra> {
    let goodput = log.answered() as f64 / seconds.max(log.last_done_ns as f64 / 1e9);
    let capacity = f64::from(WORKERS) * 1e9 / handler.mean_ns();
    let part = |count: u64| count as f64 / log.due().max(1) as f64;
    let failed = |code: Failed| log.errors.get(code).copied().unwrap_or(0);
    let other = log.errors.values().sum::<u64>() - failed(REFUSED) - failed(EXPIRED) + log.unsent;
    vec![
        figure("goodput", Unit::PerSecond, Better::More, goodput),
        figure("of capacity", Unit::Part, Better::Neither, goodput / capacity),
        figure("refused", Unit::Part, Better::Neither, part(failed(REFUSED))),
        figure("expired", Unit::Part, Better::Neither, part(failed(EXPIRED))),
        figure("other failures", Unit::Part, Better::Less, part(other)),
        own_lag(log),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::log::Moments;

    fn log(results: &[Result<(), Failed>]) -> Log {
        let mut log = Log::new();
        for (number, result) in (0..).zip(results) {
            let due = number * 1_000_000;
            log.add(Moments { due, free: 0, sent: due, done: due + 500_000 }, *result);
        }
        log
    }

    fn value(extras: &[Extra], name: &str) -> f64 {
        extras.iter().find(|extra| extra.name == name).unwrap_or_else(|| panic!("no {name}")).value
    }

    #[test]
    fn what_was_refused_is_told_from_what_expired() {
        let log = log(&[Ok(()), Err(REFUSED), Err(EXPIRED), Err("INTERNAL"), Ok(())]);
        let extras = overload_figures(&log, Handler::Waits { us: 2_000 }, 1.0);
        let found = ["goodput", "of capacity", "refused", "expired", "other failures"].map(|name| value(&extras, name));
        assert_eq!(found, [2.0, 0.002, 0.2, 0.2, 0.2]);
    }

    #[test]
    fn the_ideal_queue_has_the_same_calls() {
        let handler = Handler::Exponential { mean_us: 2_000 };
        // Three calls at once for two workers.
        let visits = [Visit { at_ns: 0, served_ns: 1_000_000 }; 3];
        let took = [(3_000_000, true); 3];
        let extras = queue_figures(&log(&[Ok(())]), &visits, &took, handler, 800, 0.01).unwrap();
        assert_eq!((value(&extras, "ideal p50"), value(&extras, "ideal p99")), (1e6, 2e6));
        assert!((value(&extras, "load") - 0.15).abs() < 1e-9);
        assert!((value(&extras, "M/M/2 p99") / 23.8e6 - 1.0).abs() < 0.01);
        assert!((value(&extras, "p99 / ideal p99") - 1.5).abs() < 1e-9);
        let handler = Handler::Sometimes { busy_us: 1, waits_us: 5_000, one_in: 100 };
        let took = [(7_000, false), (9_000_000, true), (7_000, false)];
        let extras = queue_figures(&log(&[Ok(())]), &visits, &took, handler, 800, 0.01).unwrap();
        assert!((value(&extras, "short p99") - 7e3).abs() < 1e-9);
        let refused = queue_figures(&log(&[Err(REFUSED)]), &visits, &took, handler, 800, 0.01);
        assert!(refused.unwrap_err().to_string().contains("RESOURCE_EXHAUSTED"));
    }
}
