//! The same for Prometheus: every counter of `docs/counters.md`, and histograms.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use speedysvc_protocol::control::operator::ServiceStatus;
use speedysvc_protocol::stats::{Counter, MethodCounter, MethodStats, Timing};

use crate::app::App;
use crate::moment::Moment;
use crate::words::as_float;

/// Upper ends of the buckets in nanoseconds: 1, 2.5 and 5 of each decade from 250 ns to 25 s.
const ENDS: [u64; 25] = [
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    25_000_000_000,
];

pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut registry = Registry::with_prefix("speedysvc");
    registry.register_collector(Box::new(Everything(app.moment())));
    let mut body = String::new();
    match prometheus_text::encode(&mut body, &registry) {
        Ok(()) => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], body).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

struct Everything(Arc<Moment>);

impl fmt::Debug for Everything {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Everything")
    }
}

impl Collector for Everything {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.services(&mut encoder)?;
        self.counters(&mut encoder)?;
        self.methods(&mut encoder)?;
        self.errors(&mut encoder)?;
        self.times(&mut encoder)
    }
}

impl Everything {
    /// What the supervisor says.
    fn services(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let is_well =
            |one: &ServiceStatus| if matches!(one.state.as_str(), "ready" | "rolling" | "stopped") { 1 } else { 0 };
        let ready = |one: &ServiceStatus| one.workers.iter().filter(|worker| worker.state == "ready").count() as u64;
        let memory = |one: &ServiceStatus| self.0.usage(one).total.rss;
        self.gauge(encoder, "service_well", "Whether a service is as it should be", &is_well)?;
        self.gauge(encoder, "workers_ready", "Workers that serve", &ready)?;
        self.gauge(encoder, "workers_wanted", "Workers that there should be", &|one| u64::from(one.target))?;
        self.gauge(encoder, "clients", "Attached over shared memory", &|one| one.clients as u64)?;
        self.gauge(encoder, "resident_bytes", "Memory of the workers, what they share counted for each", &memory)?;
        let mut deaths = encoder.encode_descriptor("worker_deaths", "Workers that died", None, MetricType::Counter)?;
        for service in self.0.services() {
            let labels = [("service", service.name.as_str())];
            ConstCounter::new(service.deaths).encode(deaths.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn gauge(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        what: &str,
        value: &dyn Fn(&ServiceStatus) -> u64,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, what, None, MetricType::Gauge)?;
        for service in self.0.services() {
            let labels = [("service", service.name.as_str())];
            ConstGauge::new(value(service)).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn counters(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for counter in Counter::ALL {
            let what = counter.sentence().trim_end_matches('.');
            let mut family = encoder.encode_descriptor(counter.id(), what, None, MetricType::Counter)?;
            for (service, numbers) in &self.0.numbers {
                let value = ConstCounter::new(numbers.counter(*counter));
                value.encode(family.encode_family(&[("service", service.as_str())])?)?;
            }
        }
        Ok(())
    }

    /// Counters of methods; sums of times are in the histograms.
    fn methods(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        use MethodCounter::{BytesIn, BytesOut, Calls};
        for counter in [Calls, BytesIn, BytesOut] {
            let what = counter.sentence().trim_end_matches('.');
            let name = format!("method_{}", counter.id());
            let mut family = encoder.encode_descriptor(&name, what, None, MetricType::Counter)?;
            for (service, method, stats) in self.each() {
                let labels = [("service", service), ("method", method)];
                ConstCounter::new(stats.counter(counter)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn errors(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let what = "Calls that ended with an error, by code";
        let mut family = encoder.encode_descriptor("method_errors", what, None, MetricType::Counter)?;
        for (service, method, stats) in self.each() {
            let own = ("APPLICATION", stats.application_errors());
            let by_code =
                speedysvc_protocol::status::Code::ALL.iter().map(|code| (code.name(), stats.errors_with(*code)));
            for (code, errors) in std::iter::once(own).chain(by_code).filter(|(_, errors)| *errors > 0) {
                let labels = [("service", service), ("method", method), ("code", code)];
                ConstCounter::new(errors).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    /// Where calls are sampled, so are these; `method_calls` beside `..._count` says how many were timed.
    fn times(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for timing in Timing::ALL {
            let what = timing.sentence().trim_end_matches('.');
            let name = format!("method_{}", timing.id());
            let mut family = encoder.encode_descriptor(&name, what, Some(&Unit::Seconds), MetricType::Histogram)?;
            for (service, method, stats) in self.each() {
                let labels = [("service", service), ("method", method)];
                let sum = as_float(stats.counter(timing.sum())) / 1e9;
                let (buckets, count) = buckets(stats, *timing);
                let mut metric = family.encode_family(&labels)?;
                metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
            }
        }
        Ok(())
    }

    fn each(&self) -> impl Iterator<Item = (&str, &str, &MethodStats)> {
        self.0.numbers.iter().flat_map(|(service, numbers)| {
            numbers.methods().map(move |(method, stats)| (service.as_str(), method, stats))
        })
    }
}

/// How many times in each bucket, in seconds, the last one endless; and how many in all.
fn buckets(stats: &MethodStats, timing: Timing) -> (Vec<(f64, u64)>, u64) {
    let mut buckets: Vec<(f64, u64)> = ENDS.iter().map(|end| (as_float(*end) / 1e9, 0)).collect();
    buckets.push((f64::MAX, 0));
    let mut count = 0;
    for (ns, times) in stats.times(timing).pairs() {
        let place = ENDS.partition_point(|end| *end < ns);
        buckets[place].1 += times;
        count += times;
    }
    (buckets, count)
}
