//! What comes out of the API.

use schemars::JsonSchema;
use serde::Serialize;
use speedysvc_protocol::control::operator::{ClientStatus, LogLine, ServiceStatus};
use speedysvc_protocol::shm::peer_rows::Passed;
use speedysvc_protocol::stats::{Histogram, Timing};

use super::heat::{HEAT_FROM_NS, heat};
use crate::app::App;
use crate::history::{History, Point, Series, Sum};
use crate::moment::LoopNow;
use crate::pages::clients::{OverShm, OverSocket};
use crate::words::as_float;

/// Why there is no answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// In words.
    pub(crate) error: String,
}

/// What was said while something was done.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Said {
    /// In sentences.
    pub(crate) said: Vec<String>,
}

/// A service now. Rates and times are those of the last ten seconds.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Service {
    name: String,
    /// `ready`, `starting`, `waiting`, `rolling`, `degraded`, `stopping`, `stopped` or `failed`.
    state: String,
    /// Why, where not all is well.
    why: String,
    /// How many workers there should be.
    target: u16,
    addresses: Vec<String>,
    drivers: Vec<String>,
    /// Attached over shared memory.
    clients: usize,
    /// Answered since the engine began.
    calls: u64,
    /// Of those, with an error.
    errors: u64,
    /// Workers that died since the engine began.
    deaths: u64,
    calls_per_second: f64,
    errors_per_second: f64,
    total_ns: Percentiles,
    queue_ns: Percentiles,
    handler_ns: Percentiles,
    /// Processors in use: 1.0 is one.
    cpu: f64,
    /// Resident bytes; shared pages are shared out where that is known.
    memory: u64,
    workers: Vec<Worker>,
}

/// Times in nanoseconds that a share of the calls did not exceed; `null` where there were none.
#[derive(Debug, Serialize, JsonSchema)]
struct Percentiles {
    p50: Option<u64>,
    p90: Option<u64>,
    p99: Option<u64>,
    p99_9: Option<u64>,
    max: Option<u64>,
}

impl Percentiles {
    fn of(times: &Histogram) -> Self {
        let [p50, p90, p99, p99_9, max] = [0.5, 0.9, 0.99, 0.999, 1.0].map(|share| times.percentile(share));
        Self { p50, p90, p99, p99_9, max }
    }
}

/// A worker now.
#[derive(Debug, Serialize, JsonSchema)]
struct Worker {
    worker: u32,
    pid: i32,
    /// `starting`, `ready` or `draining`.
    state: String,
    /// `polls`, `sleeps`, `busy` or `gone`.
    #[serde(rename = "loop")]
    loop_state: String,
    /// Seconds since it said that it is ready.
    ready_s: Option<f64>,
}

impl Service {
    pub(super) fn of(app: &App, service: &ServiceStatus) -> Self {
        let (moment, recent) = (app.moment(), app.recent(&Series::service(&service.name)));
        let usage = moment.usage(service);
        let times = |timing| Percentiles::of(&recent.sum.times(timing));
        let workers = service.workers.iter().map(|worker| Worker {
            worker: worker.worker,
            pid: worker.pid,
            state: worker.state.clone(),
            loop_state: worker.loop_state.clone(),
            ready_s: worker.ready_s,
        });
        Self {
            name: service.name.clone(),
            state: service.state.clone(),
            why: service.why.clone(),
            target: service.target,
            addresses: service.addresses.clone(),
            drivers: service.drivers.clone(),
            clients: service.clients,
            calls: service.calls,
            errors: service.errors,
            deaths: service.deaths,
            calls_per_second: recent.rate(recent.sum.counts.calls),
            errors_per_second: recent.rate(recent.sum.counts.errors),
            total_ns: times(Timing::Total),
            queue_ns: times(Timing::Queue),
            handler_ns: times(Timing::Handler),
            cpu: usage.cpu,
            memory: usage.pss.unwrap_or(usage.total.rss),
            workers: workers.collect(),
        }
    }
}

/// Lines over time: the same number of points in each, oldest first.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct TimeSeries {
    /// Seconds from one point to the next.
    step: u64,
    /// When each point begins, in seconds since 1970.
    at: Vec<u64>,
    /// A second.
    calls: Vec<f64>,
    /// A second.
    errors: Vec<f64>,
    /// Of the total time, in nanoseconds; `null` where nothing was timed.
    p50: Vec<Option<u64>>,
    p99: Vec<Option<u64>>,
    p99_9: Vec<Option<u64>>,
    /// The mean queue wait and handler time, in nanoseconds.
    queue_mean: Vec<Option<f64>>,
    handler_mean: Vec<Option<f64>>,
    queue_p99: Vec<Option<u64>>,
    handler_p99: Vec<Option<u64>>,
    /// Processors in use; 1.0 is one.
    cpu: Vec<f64>,
    /// Resident bytes, the most of each point.
    memory: Vec<u64>,
    /// Bytes from and to disks, a second.
    disk: Vec<f64>,
    /// Deaths of workers.
    deaths: Vec<u64>,
    /// For each point pairs of a band and how many calls took so long; see `heat_bands`.
    heat: Vec<Vec<[u64; 2]>>,
    /// The shortest time of band 0 in nanoseconds; each band is an eighth of an octave wide.
    heat_from_ns: u64,
}

impl TimeSeries {
    pub(super) fn of(history: &History, which: &[Series], (from, to): (u64, u64), step: u64) -> Self {
        let mut series = Self { step, heat_from_ns: HEAT_FROM_NS, ..Self::default() };
        let mut all = which.iter().map(|one| history.points(one, from, to, step));
        let Some(mut points) = all.next() else { return series };
        for more in all {
            points.iter_mut().zip(&more).for_each(|(point, more)| point.sum.merge(&more.sum));
        }
        points.iter().for_each(|point| series.push(point));
        series
    }

    fn push(&mut self, point: &Point) {
        let (sum, counts) = (&point.sum, &point.sum.counts);
        let per_second = |count: u64| as_float(count) / as_float(self.step.max(1));
        let mean = |ns: u64| (counts.timed > 0).then(|| as_float(ns) / as_float(counts.timed));
        let usage = sum.usage.unwrap_or_default();
        let [total, queue, handler] = [Timing::Total, Timing::Queue, Timing::Handler].map(|timing| sum.times(timing));
        self.calls.push(per_second(counts.calls));
        self.errors.push(per_second(counts.errors));
        self.queue_mean.push(mean(counts.queue_ns));
        self.handler_mean.push(mean(counts.handler_ns));
        self.cpu.push(per_second(usage.cpu_us) / 1e6);
        self.disk.push(per_second(usage.read + usage.written));
        self.memory.push(usage.rss);
        self.deaths.push(usage.deaths);
        self.at.push(point.at);
        self.p50.push(total.percentile(0.5));
        self.p99.push(total.percentile(0.99));
        self.p99_9.push(total.percentile(0.999));
        self.queue_p99.push(queue.percentile(0.99));
        self.handler_p99.push(handler.percentile(0.99));
        self.heat.push(heat(&total));
    }
}

/// Percentiles of a window.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Curve {
    calls: u64,
    errors: u64,
    /// Shares of the calls, ascending, each missing an eighth of a decade less.
    shares: Vec<f64>,
    /// Nanoseconds that so many did not exceed.
    total: Vec<Option<u64>>,
    queue: Vec<Option<u64>>,
    handler: Vec<Option<u64>>,
}

impl Curve {
    pub(super) fn of(sum: &Sum) -> Self {
        let shares: Vec<f64> = (0..=40).map(|eighth| 1.0 - 10_f64.powf(-f64::from(eighth) / 8.0)).collect();
        let line = |timing| {
            let times = sum.times(timing);
            let timed = as_float(times.count());
            // Beyond the last call there is nothing to say.
            let known = |share: &f64| ((1.0 - share) * timed >= 0.5).then(|| times.percentile(*share)).flatten();
            shares.iter().map(known).collect()
        };
        let (total, queue, handler) = (line(Timing::Total), line(Timing::Queue), line(Timing::Handler));
        Self { calls: sum.counts.calls, errors: sum.counts.errors, total, queue, handler, shares }
    }
}

/// A loop over the last second.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Loop {
    service: String,
    worker: u32,
    /// Shares of the time; together they are one.
    busy: f64,
    looking: f64,
    asleep: f64,
    calls_per_second: f64,
    turns_per_second: f64,
    sleeps_per_second: f64,
}

impl Loop {
    pub(super) fn of(one: &LoopNow) -> Self {
        Self {
            service: one.service.clone(),
            worker: one.worker,
            busy: one.busy,
            looking: one.looking(),
            asleep: one.asleep,
            calls_per_second: one.calls,
            turns_per_second: one.turns,
            sleeps_per_second: one.sleeps,
        }
    }
}

/// Somebody who is connected.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "transport", rename_all = "snake_case")]
pub(crate) enum Client {
    /// A process with a link of shared memory.
    Shm {
        service: String,
        link: u64,
        pid: i32,
        uid: u32,
        slots: u16,
        /// Calls asked and not answered; `null` where that could not be seen.
        in_flight: Option<u16>,
        #[serde(flatten)]
        passed: Through,
    },
    /// A connection over TCP.
    Tcp(Connection),
    /// A connection over a Unix socket.
    Unix(Connection),
}

/// A connection.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Connection {
    service: String,
    worker: u32,
    /// An address, or the number of a user.
    peer: String,
    http: bool,
    /// Calls that have begun and are not answered.
    in_flight: u64,
    #[serde(flatten)]
    passed: Through,
    /// Bytes that came and that the worker has not read yet; `null` where the kernel does not say.
    unread: Option<u64>,
    /// Bytes that the peer has not taken yet.
    unsent: Option<u64>,
}

/// What has passed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Through {
    calls: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Through {
    fn of(passed: &Passed) -> Self {
        let Passed { calls, bytes_in, bytes_out, .. } = *passed;
        Self { calls, bytes_in, bytes_out }
    }
}

impl Client {
    pub(super) fn over_shm(OverShm { status, passed }: &OverShm) -> Self {
        let ClientStatus { service, link, pid, uid, slots, in_flight } = status.clone();
        Self::Shm { service, link, pid, uid, slots, in_flight, passed: Through::of(passed) }
    }

    pub(super) fn over_socket(one: &OverSocket) -> Self {
        let OverSocket { service, worker, peer, queues } = one;
        let connection = Connection {
            service: service.clone(),
            worker: *worker,
            peer: one.name(),
            http: peer.over_http,
            in_flight: peer.passed.in_flight,
            passed: Through::of(&peer.passed),
            unread: queues.map(|(unread, _)| unread),
            unsent: queues.map(|(_, unsent)| unsent),
        };
        if one.is_tcp() { Self::Tcp(connection) } else { Self::Unix(connection) }
    }
}

/// A line of the log.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Log {
    /// Microseconds since 1970, UTC.
    time_us: u64,
    level: String,
    service: Option<String>,
    worker: Option<u32>,
    target: String,
    call: Option<String>,
    /// The trace that this call belongs to, and the call's span in it (W3C Trace Context).
    trace_id: Option<String>,
    span_id: Option<String>,
    /// With control characters escaped.
    text: String,
}

impl Log {
    pub(super) fn of(line: &LogLine) -> Self {
        let LogLine { time_us, level, service, worker, target, call, trace, text, .. } = line.clone();
        let (trace_id, span_id) = trace.map(|trace| (trace.trace_id, trace.span_id)).unzip();
        Self { time_us, level: level.as_str().to_owned(), service, worker, target, call, trace_id, span_id, text }
    }
}

/// A setting in force.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Setting {
    /// `null` for those of the engine.
    service: Option<String>,
    /// As in the file.
    key: String,
    value: String,
}

impl Setting {
    pub(super) fn new(service: Option<String>, key: &str, value: String) -> Self {
        Self { service, key: key.to_owned(), value }
    }
}
