//! What a stretch of time has seen of a service or a method.

use serde::{Deserialize, Serialize};
use speedysvc_protocol::stats::{Histogram, MethodCounter, MethodStats, Timing};

use super::packed::{Dense, Packed};

/// How many calls came, and how long they took.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) counts: Counts,
    times: [Packed; 3],
    /// Of services only.
    pub(crate) usage: Option<Box<Usage>>,
}

/// What is counted in a stretch of time.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) errors: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// Calls whose times are known.
    pub(crate) timed: u64,
    /// Of those.
    pub(crate) queue_ns: u64,
    /// Of those.
    pub(crate) handler_ns: u64,
}

impl Counts {
    fn between(old: &MethodStats, new: &MethodStats) -> Self {
        let more = |counter| new.counter(counter).saturating_sub(old.counter(counter));
        Self {
            calls: more(MethodCounter::Calls),
            errors: new.errors().saturating_sub(old.errors()),
            bytes_in: more(MethodCounter::BytesIn),
            bytes_out: more(MethodCounter::BytesOut),
            timed: more(MethodCounter::Timed),
            queue_ns: more(MethodCounter::QueueNs),
            handler_ns: more(MethodCounter::HandlerNs),
        }
    }

    pub(crate) fn add(&mut self, more: &Self) {
        let sum = |our: &mut u64, their: u64| *our = our.saturating_add(their);
        sum(&mut self.calls, more.calls);
        sum(&mut self.errors, more.errors);
        sum(&mut self.bytes_in, more.bytes_in);
        sum(&mut self.bytes_out, more.bytes_out);
        sum(&mut self.timed, more.timed);
        sum(&mut self.queue_ns, more.queue_ns);
        sum(&mut self.handler_ns, more.handler_ns);
    }

    /// Nanoseconds in handlers, of all calls; where only some were timed, the others count like these.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub(crate) fn handler_ns_of_all(&self) -> f64 {
        if self.timed == 0 { 0.0 } else { self.handler_ns as f64 / self.timed as f64 * self.calls as f64 }
    }
}

/// What the processes of a service used.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Microseconds of processors.
    pub(crate) cpu_us: u64,
    /// Bytes from and to disks.
    pub(crate) read: u64,
    /// Bytes to disks.
    pub(crate) written: u64,
    /// Deaths of workers.
    pub(crate) deaths: u64,
    /// The largest in this time: resident bytes, and workers.
    pub(crate) rss: u64,
    /// The most.
    pub(crate) workers: u64,
}

impl Usage {
    fn add(&mut self, more: &Self) {
        self.cpu_us = self.cpu_us.saturating_add(more.cpu_us);
        self.read = self.read.saturating_add(more.read);
        self.written = self.written.saturating_add(more.written);
        self.deaths = self.deaths.saturating_add(more.deaths);
        self.rss = self.rss.max(more.rss);
        self.workers = self.workers.max(more.workers);
    }
}

impl Sample {
    /// What came between two looks at the same method; `None` when nothing did.
    pub(crate) fn between(old: &MethodStats, new: &MethodStats) -> Option<Self> {
        let counts = Counts::between(old, new);
        let times = Timing::ALL.iter().map(|timing| Packed::between(old.times(*timing), new.times(*timing)));
        let times: Vec<Packed> = times.collect();
        let times = <[Packed; 3]>::try_from(times).unwrap_or_default();
        let is_empty = counts == Counts::default() && times.iter().all(|packed| packed.len() == 0);
        (!is_empty).then_some(Self { counts, times, usage: None })
    }

    /// A time without calls.
    pub(crate) fn of_usage(usage: Usage) -> Self {
        Self { usage: Some(Box::new(usage)), ..Self::default() }
    }

    /// Bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        let apart: usize = self.times.iter().map(Packed::len).sum();
        let usage = self.usage.as_ref().map_or(0, |_| size_of::<Usage>());
        size_of::<Self>() + apart + usage
    }
}

/// The sum of several samples.
#[derive(Clone, Default, Debug)]
pub(crate) struct Sum {
    pub(crate) counts: Counts,
    pub(crate) usage: Option<Usage>,
    times: [Dense; 3],
}

impl Sum {
    pub(crate) fn add(&mut self, sample: &Sample) {
        self.counts.add(&sample.counts);
        self.times.iter_mut().zip(&sample.times).for_each(|(sum, packed)| sum.add(packed));
        if let Some(usage) = &sample.usage {
            self.usage.get_or_insert_default().add(usage);
        }
    }

    /// Adds another sum.
    pub(crate) fn merge(&mut self, more: &Self) {
        self.add(&more.pack());
    }

    pub(crate) fn times(&self, timing: Timing) -> Histogram {
        self.times[timing as usize].histogram()
    }

    pub(crate) fn pack(&self) -> Sample {
        let [queue, handler, total] = &self.times;
        Sample {
            counts: self.counts,
            times: [queue.pack(), handler.pack(), total.pack()],
            usage: self.usage.map(Box::new),
        }
    }
}
