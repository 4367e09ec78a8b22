//! One look at everything, once a second.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use speedysvc_protocol::control::operator::{Reply, Request, ServiceStatus, Status};
use speedysvc_protocol::stats::{Counter, MethodCounter, MethodStats, Snapshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::app::App;
use crate::history::{Sample, Series, Usage};
use crate::machine::{Host, Machine};
use crate::processes::{Process, pss};
use crate::words::as_float;

/// Between two looks.
const STEP: Duration = Duration::from_secs(1);
/// How long the supervisor may take to say how everything is.
const PATIENCE: Duration = Duration::from_millis(900);
/// How long the first visitors wait for the supervisor, whose socket opens a moment after the dashboard's.
const FIRST_WORD: Duration = Duration::from_secs(2);
/// Between two questions until then.
const FIRST_STEP: Duration = Duration::from_millis(20);
/// Proportional sizes are read once in so many looks, and only when somebody watches: the kernel walks all pages of a
/// process for them, and holds up its faults meanwhile.
const PSS_EVERY: u64 = 10;

/// What becomes of the proportional sizes that are known. Without a watcher they grow old, and none is better.
#[derive(Clone, Copy)]
enum Sizes {
    Read,
    Keep,
    Forget,
}

impl Sizes {
    fn now(self, known: Option<u64>, read: impl FnOnce() -> Option<u64>) -> Option<u64> {
        match (self, known) {
            (Self::Forget, _) => None,
            (Self::Keep, Some(_)) => known,
            (Self::Keep, None) | (Self::Read, _) => read(),
        }
    }
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Moment {
    /// Seconds since 1970.
    pub(crate) at: u64,
    /// When the dashboard began.
    pub(crate) began: u64,
    /// What the supervisor said last.
    pub(crate) status: Option<Status>,
    /// Why that is old, if it is.
    pub(crate) unheard: Option<String>,
    /// All numbers, by service.
    pub(crate) numbers: BTreeMap<String, Arc<Snapshot>>,
    pub(crate) loops: Vec<LoopNow>,
    pub(crate) processes: HashMap<i32, ProcessNow>,
    pub(crate) host: Host,
}

/// A loop over the last second.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LoopNow {
    pub(crate) service: String,
    pub(crate) worker: u32,
    /// Shares of the time.
    pub(crate) busy: f64,
    pub(crate) asleep: f64,
    /// A second.
    pub(crate) turns: f64,
    pub(crate) sleeps: f64,
    pub(crate) calls: f64,
    pub(crate) completions: f64,
    /// Since it began.
    pub(crate) counters: Snapshot,
}

impl LoopNow {
    /// The share in which it looked for work.
    pub(crate) fn looking(&self) -> f64 {
        (1.0 - self.busy - self.asleep).max(0.0)
    }
}

/// A process over the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ProcessNow {
    pub(crate) total: Process,
    /// Processors in use: 1.0 is one.
    pub(crate) cpu: f64,
    /// Proportional resident bytes, where somebody wanted to know.
    pub(crate) pss: Option<u64>,
}

impl Moment {
    pub(crate) fn service(&self, name: &str) -> Option<&ServiceStatus> {
        self.status.as_ref()?.services.iter().find(|service| service.name == name)
    }

    pub(crate) fn services(&self) -> &[ServiceStatus] {
        self.status.as_ref().map_or(&[], |status| &status.services)
    }

    /// What the processes of a service use together.
    pub(crate) fn usage(&self, service: &ServiceStatus) -> ProcessNow {
        let mut sum = ProcessNow::default();
        for process in service.workers.iter().filter_map(|worker| self.processes.get(&worker.pid)) {
            sum.cpu += process.cpu;
            sum.total.rss += process.total.rss;
            sum.total.read += process.total.read;
            sum.total.written += process.total.written;
            sum.pss = sum.pss.unwrap_or(0).checked_add(process.pss.unwrap_or(process.total.rss));
        }
        sum
    }
}

/// Looks for as long as the dashboard is there.
pub(crate) async fn look(app: Arc<App>) {
    // Who has said nothing by then is unheard, and the pages say so.
    let _unheard = timeout(FIRST_WORD, heard(&app)).await;
    let mut before = Before { at: Instant::now(), ..Before::new() };
    let mut ticks = interval(STEP);
    // After a pause of this process the time that passed is one long second.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let status = match app.control.ask(&Request::Status, PATIENCE).await {
            Ok(Reply::Status(status)) => Ok(status),
            Ok(_) => Err("the supervisor answers in an unknown way".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let is_watched = app.watchers.available_permits() < crate::app::WATCHERS_MAX;
        let (moment, samples) = before.look(&app, status, is_watched);
        app.history().record(moment.at, samples);
        app.now.send_replace(Arc::new(moment));
        app.hub.publish(&app);
    }
}

/// Until the supervisor answers.
async fn heard(app: &App) {
    while app.control.ask(&Request::Status, PATIENCE).await.is_err() {
        sleep(FIRST_STEP).await;
    }
}

/// What the look before saw.
struct Before {
    at: Instant,
    looks: u64,
    began: u64,
    status: Option<Status>,
    numbers: BTreeMap<String, Arc<Snapshot>>,
    loops: HashMap<(String, u32), Snapshot>,
    processes: HashMap<i32, ProcessNow>,
    deaths: HashMap<String, u64>,
    machine: Machine,
}

impl Before {
    fn new() -> Self {
        Self {
            at: Instant::now(),
            looks: 0,
            began: seconds_now(),
            status: None,
            numbers: BTreeMap::new(),
            loops: HashMap::new(),
            processes: HashMap::new(),
            deaths: HashMap::new(),
            machine: Machine::new(),
        }
    }

    fn look(&mut self, app: &App, status: Result<Status, String>, is_watched: bool) -> (Moment, Vec<(Series, Sample)>) {
        let seconds = self.at.elapsed().as_secs_f64().max(0.001);
        self.at = Instant::now();
        let unheard = match status {
            Ok(status) => {
                self.status = Some(status);
                None
            }
            Err(why) => Some(why),
        };
        let sizes = match is_watched {
            false => Sizes::Forget,
            true if self.looks.is_multiple_of(PSS_EVERY) => Sizes::Read,
            true => Sizes::Keep,
        };
        self.looks += 1;
        let numbers: BTreeMap<_, _> =
            app.sight.numbers().into_iter().map(|(name, snapshot)| (name, Arc::new(snapshot))).collect();
        let mut samples = self.samples(&numbers);
        self.numbers.clone_from(&numbers);
        let loops = self.loops(app.sight.loops(), seconds);
        let usages = self.look_at_processes(seconds, sizes);
        add_usages(&mut samples, usages);
        let moment = Moment {
            at: seconds_now(),
            began: self.began,
            status: self.status.clone(),
            unheard,
            numbers,
            loops,
            processes: self.processes.clone(),
            host: self.machine.look(),
        };
        (moment, samples)
    }

    /// What came since the look before, of each service and each of its methods.
    fn samples(&self, numbers: &BTreeMap<String, Arc<Snapshot>>) -> Vec<(Series, Sample)> {
        let (empty, none) = (Arc::default(), MethodStats::default());
        let mut samples = Vec::new();
        for (service, now) in numbers {
            let before = self.numbers.get(service).unwrap_or(&empty);
            for (method, now) in now.methods() {
                let sample = Sample::between(before.method(method).unwrap_or(&none), now);
                samples.extend(sample.map(|sample| (Series::method(service, method), sample)));
            }
            let sample = Sample::between(&before.all_methods(), &now.all_methods());
            samples.extend(sample.map(|sample| (Series::service(service), sample)));
        }
        samples
    }

    fn loops(&mut self, now: Vec<(String, u32, Snapshot)>, seconds: f64) -> Vec<LoopNow> {
        let before = std::mem::take(&mut self.loops);
        let empty = Snapshot::default();
        let mut loops = Vec::new();
        for (service, worker, counters) in now {
            let key = (service.clone(), worker);
            let old = before.get(&key).unwrap_or(&empty);
            let sleeps = self.sleeps(&service, worker);
            loops.push(loop_between(service, worker, (old, &counters), seconds, sleeps));
            self.loops.insert(key, counters);
        }
        loops.sort_by(|a, b| (&a.service, a.worker).cmp(&(&b.service, b.worker)));
        loops
    }

    /// Whether the supervisor saw a loop asleep.
    fn sleeps(&self, service: &str, worker: u32) -> bool {
        let mut services = self.status.iter().flat_map(|status| &status.services);
        let workers = services.find(|known| known.name == service).map_or(&[][..], |service| &service.workers);
        workers.iter().any(|known| known.worker == worker && known.loop_state == "sleeps")
    }

    /// What the processes of each service used.
    fn look_at_processes(&mut self, seconds: f64, sizes: Sizes) -> Vec<(String, Usage)> {
        let before = std::mem::take(&mut self.processes);
        let mut usages = Vec::new();
        for service in self.status.iter().flat_map(|status| &status.services) {
            let known = self.deaths.insert(service.name.clone(), service.deaths).unwrap_or(service.deaths);
            let mut usage = Usage { deaths: service.deaths.saturating_sub(known), ..Usage::default() };
            for worker in service.workers.iter().filter(|worker| worker.pid > 0) {
                let Some(total) = Process::read(worker.pid) else { continue };
                let old = before.get(&worker.pid).copied();
                let was = old.map_or(total, |old| old.total);
                let cpu_us = total.cpu_us.saturating_sub(was.cpu_us);
                usage.cpu_us += cpu_us;
                usage.read += total.read.saturating_sub(was.read);
                usage.written += total.written.saturating_sub(was.written);
                usage.rss += total.rss;
                usage.workers += 1;
                let pss = sizes.now(old.and_then(|old| old.pss), || pss(worker.pid));
                let cpu = as_float(cpu_us) / 1e6 / seconds;
                self.processes.insert(worker.pid, ProcessNow { total, cpu, pss });
            }
            usages.push((service.name.clone(), usage));
        }
        usages
    }
}

fn add_usages(samples: &mut Vec<(Series, Sample)>, usages: Vec<(String, Usage)>) {
    for (service, usage) in usages {
        if usage == Usage::default() {
            continue;
        }
        let series = Series::service(&service);
        match samples.iter_mut().find(|(of, _)| *of == series) {
            Some((_, sample)) => sample.usage = Some(Box::new(usage)),
            None => samples.push((series, Sample::of_usage(usage))),
        }
    }
}

/// A sleep is counted at its end. One that is under way has the rest of the time: a loop looks for some microseconds
/// before it sleeps, so whoever is seen asleep has hardly looked. One that has not turned and does not sleep is in a
/// handler.
fn loop_between(
    service: String,
    worker: u32,
    (old, new): (&Snapshot, &Snapshot),
    seconds: f64,
    sleeps: bool,
) -> LoopNow {
    let more = |counter| as_float(new.counter(counter).saturating_sub(old.counter(counter)));
    let calls_of = |snapshot: &Snapshot| snapshot.all_methods().counter(MethodCounter::Calls);
    let calls = as_float(calls_of(new).saturating_sub(calls_of(old)));
    let handler_ns = as_float(new.handler_ns_since(old));
    let counted = (more(Counter::AsleepNs) / 1e9 / seconds).min(1.0);
    let stuck = !sleeps && more(Counter::Turns) == 0.0 && new.counter(Counter::Turns) > 0;
    let busy = if stuck { 1.0 } else { (handler_ns / 1e9 / seconds).min(1.0 - counted) };
    LoopNow {
        service,
        worker,
        busy,
        asleep: if sleeps { 1.0 - busy } else { counted.min(1.0 - busy) },
        turns: more(Counter::Turns) / seconds,
        sleeps: more(Counter::Sleeps) / seconds,
        calls: calls / seconds,
        completions: more(Counter::Completions) / seconds,
        counters: new.clone(),
    }
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proportional_sizes_are_never_those_of_long_ago() {
        let read = || Some(7);
        assert_eq!(Sizes::Forget.now(Some(1), read), None, "nobody looks: they would grow old");
        assert_eq!(Sizes::Keep.now(None, read), Some(7), "somebody has begun to look");
        assert_eq!(Sizes::Keep.now(Some(1), || unreachable!("it costs the process")), Some(1));
        assert_eq!(Sizes::Read.now(Some(1), read), Some(7));
    }

    #[test]
    fn what_a_loop_does_is_seen_before_it_is_counted() {
        let snapshot = |turns, asleep_ns| {
            let mut snapshot = Snapshot::default();
            snapshot.add(Counter::Turns, turns);
            snapshot.add(Counter::AsleepNs, asleep_ns);
            snapshot
        };
        let shares = |old: &Snapshot, new: &Snapshot, sleeps| {
            let one = loop_between("echo".to_owned(), 1, (old, new), 1.0, sleeps);
            [one.busy, one.looking(), one.asleep]
        };
        let (before, turned) = (snapshot(10, 0), snapshot(12, 250_000_000));
        // Nothing was counted: it sleeps all the time, or one handler has it.
        assert_eq!(shares(&before, &before, true), [0.0, 0.0, 1.0]);
        assert_eq!(shares(&before, &before, false), [1.0, 0.0, 0.0]);
        // It slept for a while, and looks, or has gone to sleep again.
        assert_eq!(shares(&before, &turned, false), [0.0, 0.75, 0.25]);
        assert_eq!(shares(&before, &turned, true), [0.0, 0.0, 1.0]);
        // A long sleep is counted at its end.
        assert_eq!(shares(&before, &snapshot(12, 5_000_000_000), false), [0.0, 0.0, 1.0]);
    }
}
