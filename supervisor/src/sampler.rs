//! What the scaling rule is told: once a second, from the stats pages, the board and the kernel.

use std::collections::BTreeMap;
use std::time::Duration;

use speedysvc_broker::ServiceKey;
use speedysvc_config::ScaleRule;
use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::ids::WorkerId;
use speedysvc_protocol::stats::{MethodCounter, Snapshot};

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
struct Totals {
    at: Duration,
    stats: Snapshot,
    waited: u64,
    waiting: Duration,
    /// Processor time, and how often the loop has turned while it was in a handler.
    workers: BTreeMap<WorkerId, (Duration, Option<u64>)>,
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
            let sample = sampled.before.as_ref().map(|before| difference(before, &totals, rule.rule));
            sampled.before = Some(totals);
            let Some(sample) = sample.filter(|_| !sampled.by_hand && !view.rolling) else { continue };
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
        Totals { at: now, stats, waited, waiting, workers: ready.into_iter().map(of_worker).collect() }
    }
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
        ScaleRule::Busy => Duration::from_nanos(now.stats.handler_ns_since(&before.stats)) + running,
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
            let mut stats = Snapshot::default();
            let more = |counter: &MethodCounter| match counter {
                MethodCounter::Calls | MethodCounter::Timed => u64::from(at),
                MethodCounter::HandlerNs => 500_000_000 * u64::from(at),
                _ => 0,
            };
            let counters: Vec<u64> = MethodCounter::ALL.iter().map(more).collect();
            stats.method_mut("half").add_counts(&counters, &[]);
            Totals { at: second * at, stats, waited: 0, waiting: second, workers: workers.into() }
        };
        let busy = |before: &Totals, now: &Totals| difference(before, now, ScaleRule::Busy).busy;
        assert_eq!(busy(&totals(1, Some(7)), &totals(2, Some(7))), second * 3 / 2);
        assert_eq!(busy(&totals(1, Some(7)), &totals(2, Some(8))), second / 2);
        assert_eq!(difference(&totals(1, None), &totals(2, None), ScaleRule::Cpu).busy, second / 4);
        assert!(processor_time(i32::try_from(std::process::id()).unwrap()) < Duration::from_secs(3600));
        assert_eq!(processor_time(-1), Duration::ZERO);
    }
}
