//! What the scaling rule is told: once a second, from the stats pages, the board and the kernel.

use std::collections::BTreeMap;
use std::time::Duration;

use speedysvc_broker::ServiceKey;
use speedysvc_config::ScaleRule;
use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::ids::WorkerId;
use speedysvc_protocol::stats::{MethodCounter, MethodStats, Snapshot};

use crate::StartError;
use crate::policy::{Event, Order, Phase};
use crate::run::Supervisor;
use crate::scaling::{Sample, Scaler};

/// Between two samples.
const PAUSE: Duration = Duration::from_secs(1);

/// Samples of all services that scale.
#[derive(Default)]
pub(crate) struct Sampler {
    services: BTreeMap<ServiceKey, Sampled>,
    next: Duration,
}

/// What was seen of a service.
#[derive(Default)]
struct Sampled {
    scaler: Scaler,
    /// An operator said a number: nobody else does, until `auto`.
    by_hand: bool,
    before: Option<Totals>,
}

/// Sums since the beginning.
#[derive(Clone, Default)]
struct Totals {
    at: Duration,
    methods: BTreeMap<String, Handled>,
    waited: u64,
    waiting: Duration,
    /// Processor time, and how often the loop has turned while it was in a handler.
    workers: BTreeMap<WorkerId, (Duration, Option<u64>)>,
}

/// Of one method: calls, those of them whose times are known, and their time in the handler.
#[derive(Clone, Copy, Default)]
struct Handled {
    calls: u64,
    timed: u64,
    ns: u64,
}

impl Sampler {
    /// Whether an operator's number is in force.
    pub(crate) fn set_by_hand(&mut self, key: ServiceKey, by_hand: bool) {
        // What was measured and decided before is of no use for what comes after.
        self.services.insert(key, Sampled { by_hand, ..Sampled::default() });
    }

    /// The last decision, in words.
    pub(crate) fn explain(&self, key: ServiceKey) -> Option<String> {
        let sampled = self.services.get(&key)?;
        if sampled.by_hand {
            return Some("scaled by hand, until `ctl scale NAME auto`".to_owned());
        }
        sampled.scaler.last.clone()
    }
}

impl Supervisor<'_, '_> {
    /// When to sample next; never while nothing scales.
    pub(crate) fn next_sample(&self) -> Option<Duration> {
        let scales = |key: &ServiceKey| self.hands.service(*key).scale.is_some();
        self.live_keys().iter().any(scales).then_some(self.sampler.next)
    }

    pub(crate) fn sample(&mut self) -> Result<(), StartError> {
        let now = self.now();
        if self.next_sample().is_none_or(|next| next > now) {
            return Ok(());
        }
        self.sampler.next = now + PAUSE;
        for key in self.live_keys() {
            let Some(rule) = self.hands.service(key).scale else { continue };
            let Some(view) = self.state.view(key).filter(|view| view.wanted && !view.failed) else { continue };
            let ready = view.slots.iter().filter(|slot| slot.phase == Phase::Ready).filter_map(|slot| slot.worker);
            let totals = self.totals(key, ready.collect(), now);
            let min = self.hands.service(key).workers.get();
            let sampled = self.sampler.services.entry(key).or_default();
            let Some(before) = sampled.before.replace(totals.clone()) else { continue };
            if sampled.by_hand || view.rolling {
                continue;
            }
            let sample = difference(&before, &totals, rule.rule);
            if let Some(wanted) = sampled.scaler.decide(&rule, min, view.target, sample, now) {
                let why = sampled.scaler.last.clone().unwrap_or_default();
                let line = format!("{}: {why}", self.hands.name(key));
                self.journal.say(Level::Info, &line);
                self.feed(Event::Order(key, Order::Scale(wanted)))?;
            }
        }
        Ok(())
    }

    fn totals(&self, key: ServiceKey, ready: Vec<WorkerId>, now: Duration) -> Totals {
        let stats = self.hands.stats(key);
        let (waited, waiting) = waited(&stats);
        let of_worker = |worker: WorkerId| {
            let look = self.hands.look(key, worker);
            let in_handler = look.filter(|look| look.method.is_some()).map(|look| look.turns);
            (worker, (processor_time(self.hands.pid(key, worker)), in_handler))
        };
        Totals {
            at: now,
            methods: handled(&stats),
            waited,
            waiting,
            workers: ready.into_iter().map(of_worker).collect(),
        }
    }
}

fn handled(stats: &Snapshot) -> BTreeMap<String, Handled> {
    let of_method = |(name, method): (&str, &MethodStats)| {
        let [calls, timed, ns] = [MethodCounter::Calls, MethodCounter::Timed, MethodCounter::HandlerNs]
            .map(|counter| method.counter(counter));
        (name.to_owned(), Handled { calls, timed, ns })
    };
    stats.methods().map(of_method).collect()
}

impl Handled {
    fn since(self, before: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(before.calls),
            timed: self.timed.saturating_sub(before.timed),
            ns: self.ns.saturating_sub(before.ns),
        }
    }

    /// The time of all calls, as that of those which are known; none where none is.
    fn of_all(self) -> Option<Duration> {
        let ns = (u128::from(self.ns) * u128::from(self.calls)).checked_div(u128::from(self.timed))?;
        Some(Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX)))
    }
}

/// Time in handlers since then: that of the timed calls stands for all of their method. Of this time alone, as how many
/// are timed changes with how long they take; before it only where none of it was timed.
fn busy(before: &BTreeMap<String, Handled>, now: &BTreeMap<String, Handled>) -> Duration {
    let of_method = |(name, now): (&String, &Handled)| {
        let since = now.since(before.get(name).copied().unwrap_or_default());
        since.of_all().or_else(|| Handled { calls: since.calls, ..*now }.of_all()).unwrap_or_default()
    };
    now.iter().map(of_method).fold(Duration::ZERO, Duration::saturating_add)
}

fn waited(stats: &Snapshot) -> (u64, Duration) {
    let all = stats.all_methods();
    (all.counter(MethodCounter::Timed), Duration::from_nanos(all.counter(MethodCounter::QueueNs)))
}

fn difference(before: &Totals, now: &Totals, rule: ScaleRule) -> Sample {
    let span = now.at.saturating_sub(before.at);
    let mut cpu = Duration::ZERO;
    // A handler that ran all the time has counted nothing yet.
    let mut running = Duration::ZERO;
    for (worker, (time, turns)) in &now.workers {
        let (old_time, old_turns) = before.workers.get(worker).copied().unwrap_or_default();
        cpu += time.saturating_sub(old_time);
        running += if turns.is_some() && *turns == old_turns { span } else { Duration::ZERO };
    }
    let busy = match rule {
        ScaleRule::Busy => busy(&before.methods, &now.methods).saturating_add(running),
        ScaleRule::Cpu => cpu,
    };
    Sample {
        span,
        workers: u16::try_from(now.workers.len()).unwrap_or(u16::MAX),
        busy,
        waited: now.waited.saturating_sub(before.waited),
        waiting: now.waiting.saturating_sub(before.waiting),
    }
}

/// Of a process, user and kernel together.
fn processor_time(pid: i32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_that_runs_all_the_time_keeps_its_worker_busy() {
        let second = Duration::from_secs(1);
        let totals = |at: u32, turns| {
            let workers = [(WorkerId(0), (second * at / 4, turns)), (WorkerId(1), (Duration::ZERO, None))];
            let half = Handled { calls: u64::from(at), timed: u64::from(at), ns: 500_000_000 * u64::from(at) };
            let methods = BTreeMap::from([("half".to_owned(), half)]);
            Totals { at: second * at, methods, waited: 0, waiting: second, workers: workers.into() }
        };
        let busy = |before: &Totals, now: &Totals| difference(before, now, ScaleRule::Busy).busy;
        assert_eq!(busy(&totals(1, Some(7)), &totals(2, Some(7))), second * 3 / 2);
        assert_eq!(busy(&totals(1, Some(7)), &totals(2, Some(8))), second / 2);
        assert_eq!(difference(&totals(1, None), &totals(2, None), ScaleRule::Cpu).busy, second / 4);
        assert!(processor_time(i32::try_from(std::process::id()).unwrap()) < Duration::from_secs(3600));
        assert_eq!(processor_time(-1), Duration::ZERO);
    }

    #[test]
    fn calls_stand_for_others_of_their_method_and_time() {
        let handled = |calls, timed, ns| BTreeMap::from([("call".to_owned(), Handled { calls, timed, ns })]);
        let ns = |before: &BTreeMap<_, _>, now: &BTreeMap<_, _>| busy(before, now).as_nanos();
        // Of many tiny calls few are timed, of the longer ones behind them all.
        let tiny = handled(3_600_000_000, 60_000_000, 3_000_000_000);
        let longer = handled(3_600_100_000, 60_100_000, 3_200_000_000);
        assert_eq!(ns(&tiny, &longer), 200_000_000);
        assert_eq!(ns(&BTreeMap::new(), &tiny), 180_000_000_000);
        assert_eq!(ns(&tiny, &handled(3_600_000_050, 60_000_000, 3_000_000_000)), 2_500, "none was timed");
        assert_eq!((ns(&tiny, &tiny), ns(&longer, &tiny), ns(&tiny, &BTreeMap::new())), (0, 0, 0));
        assert_eq!(ns(&BTreeMap::new(), &handled(5, 0, 0)), 0);
    }
}
