//! Figures that several pages show.

use speedysvc_protocol::control::operator::ServiceStatus;
use speedysvc_protocol::stats::{Histogram, MethodCounter, Snapshot, Timing};

use crate::app::{App, Recent};
use crate::history::Series;
use crate::moment::{Moment, ProcessNow};
use crate::page::{Action, Cell, Column, Fact, Row, Table, Tone};
use crate::words::{age, as_float, bytes, count, duration, encoded, percent, plural, rate};

/// Each death is followed by a restart, until a service has used up its limit.
pub(super) const RESTARTS: &str = "Workers that died since the engine began, and were started anew.";

/// The name of a service, which leads to its page.
pub(super) fn service_cell(name: &str) -> Cell {
    Cell::text(name).link(format!("/services/{}", encoded(name)))
}

/// A state in a word and a colour.
pub(super) fn state_cell(state: &str, why: &str) -> Cell {
    let tone = match state {
        "ready" => Tone::Good,
        "stopped" => Tone::Quiet,
        "failed" => Tone::Bad,
        "rolling" | "starting" => Tone::Plain,
        _ => Tone::Warn,
    };
    Cell::text(state).tone(tone).more(why)
}

/// How many calls failed, of how many.
pub(super) fn errors_cell(errors: u64, calls: u64) -> Cell {
    let share = if calls == 0 { 0.0 } else { as_float(errors) / as_float(calls) };
    let tone = if share == 0.0 {
        Tone::Quiet
    } else if share < 0.01 {
        Tone::Warn
    } else {
        Tone::Bad
    };
    Cell::number(percent(share), share).tone(tone).more(plural(errors, "error"))
}

/// p50, p99 and p99.9.
pub(super) fn percentiles(times: &Histogram) -> [Cell; 3] {
    [0.5, 0.99, 0.999].map(|share| Cell::time(times.percentile(share)))
}

pub(super) fn rate_cell(per_second: f64) -> Cell {
    Cell::number(rate(per_second), per_second)
}

pub(super) fn count_cell(value: u64) -> Cell {
    Cell::number(count(value), as_float(value))
}

pub(super) fn bytes_cell(value: u64) -> Cell {
    Cell::number(bytes(as_float(value)), as_float(value))
}

/// Processors in use.
pub(super) fn cpu_cell(cpu: f64) -> Cell {
    Cell::number(percent(cpu), if cpu < 0.0005 { 0.0 } else { cpu })
}

pub(super) fn memory_cell(usage: &ProcessNow) -> Cell {
    let rss = usage.total.rss;
    bytes_cell(usage.pss.unwrap_or(rss)).more(format!("resident, shared pages in full: {}", bytes(as_float(rss))))
}

/// The figures of a stretch of calls.
pub(super) fn traffic_facts(recent: &Recent) -> Vec<Fact> {
    let (sum, counts) = (&recent.sum, &recent.sum.counts);
    let total = sum.times(Timing::Total);
    let [p50, p99, p999] = percentiles(&total);
    let queue = Cell::time(sum.times(Timing::Queue).percentile(0.99));
    let busy = counts.handler_ns_of_all() / 1e9 / recent.seconds;
    vec![
        Fact::new("calls/s", "Calls answered, a second.", rate_cell(recent.rate(counts.calls))),
        Fact::new("errors", "The share of calls that ended with an error.", errors_cell(counts.errors, counts.calls)),
        Fact::new("p50", "Half of the calls took no longer, queue wait and handler together.", p50),
        Fact::new("p99", "99 of 100 calls took no longer.", p99),
        Fact::new("p99.9", "999 of 1000 calls took no longer.", p999),
        Fact::new("queue p99", "99 of 100 calls waited no longer before they were begun.", queue),
        Fact::new(
            "in handlers",
            "Workers kept busy by handlers, on the average.",
            Cell::number(crate::words::digits(busy), busy),
        ),
    ]
}

/// Everything about methods, of one service or of all.
pub(super) fn methods_table<'m>(
    app: &App,
    services: impl Iterator<Item = (&'m String, &'m std::sync::Arc<Snapshot>)>,
    most: usize,
    with_service: bool,
) -> Table {
    let mut methods: Vec<(f64, &String, &str, Cell)> = Vec::new();
    let mut time_of_all = 0.0;
    for (service, snapshot) in services {
        for (method, stats) in snapshot.methods() {
            let (timed, calls) = (stats.counter(MethodCounter::Timed), stats.counter(MethodCounter::Calls));
            let per_call =
                if timed == 0 { 0.0 } else { as_float(stats.counter(MethodCounter::HandlerNs)) / as_float(timed) };
            let time = per_call * as_float(calls);
            time_of_all += time;
            methods.push((time, service, method, count_cell(calls)));
        }
    }
    let known = methods.len();
    methods.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let rows = methods.into_iter().take(most);
    let rows = rows.map(|(time, service, method, calls)| {
        let share = if time_of_all > 0.0 { time / time_of_all } else { 0.0 };
        method_row(app, service, method, (time, share), calls, with_service)
    });
    let left_out = if known > most { format!(", the {most} with most time of {known}") } else { String::new() };
    let mut columns = vec![
        Column::text("method", "Its name. Leads to its latencies."),
        Column::number("calls/s", "Calls answered, a second."),
        Column::number("errors", "The share of calls that ended with an error."),
        Column::number("p50", "Half of the calls took no longer, queue wait and handler together."),
        Column::number("p99", "99 of 100 calls took no longer."),
        Column::number("p99.9", "999 of 1000 calls took no longer.").minor(),
        Column::number("queue p99", "99 of 100 calls waited no longer before they were begun.").minor(),
        Column::number("in", "Bytes of arguments, a second.").minor(),
        Column::number("out", "Bytes of replies, a second.").minor(),
        Column::number("calls", "Calls answered since the engine began.").minor(),
        Column::number("time", "Time in its handlers since the engine began."),
        Column::number("share", "Of the time of all these methods."),
    ];
    if with_service {
        columns.insert(0, Column::text("service", "Whose method it is."));
    }
    Table {
        id: "methods",
        caption: format!("Methods by total time{left_out}"),
        columns,
        rows: rows.collect(),
        empty: "No method has been called yet.",
    }
}

fn method_row(
    app: &App,
    service: &str,
    method: &str,
    (time, share): (f64, f64),
    calls: Cell,
    with_service: bool,
) -> Row {
    let recent = app.recent(&Series::method(service, method));
    let (sum, counts) = (&recent.sum, &recent.sum.counts);
    let link = format!("/latency?service={}&method={}", encoded(service), encoded(method));
    let [p50, p99, p999] = percentiles(&sum.times(Timing::Total));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and saturating")]
    let in_words = duration(time as u64);
    let mut cells = vec![
        Cell::text(method).link(link),
        rate_cell(recent.rate(counts.calls)),
        errors_cell(counts.errors, counts.calls),
        p50,
        p99,
        p999,
        Cell::time(sum.times(Timing::Queue).percentile(0.99)),
        Cell::number(bytes(recent.rate(counts.bytes_in)), recent.rate(counts.bytes_in)),
        Cell::number(bytes(recent.rate(counts.bytes_out)), recent.rate(counts.bytes_out)),
        calls,
        Cell::number(in_words, time),
        Cell::number(percent(share), share),
    ];
    if with_service {
        cells.insert(0, service_cell(service));
    }
    Row { id: format!("{service}.{method}"), cells, actions: Vec::new() }
}

/// How long something has been so.
pub(super) fn age_cell(seconds: Option<f64>) -> Cell {
    seconds.map_or_else(|| Cell::text("–").tone(Tone::Quiet), |seconds| Cell::number(age(seconds), seconds))
}

/// Deaths, and the last of them.
pub(super) fn deaths_cell(service: &ServiceStatus) -> Cell {
    let ago = service.last_death_s_ago.map(|ago| format!("{} ago: ", age(ago))).unwrap_or_default();
    let last = service.last_death.clone().unwrap_or_default();
    let recent = service.last_death_s_ago.is_some_and(|ago| ago < 600.0);
    let tone = if service.deaths == 0 {
        Tone::Quiet
    } else if recent {
        Tone::Warn
    } else {
        Tone::Plain
    };
    count_cell(service.deaths).tone(tone).more(format!("{ago}{last}"))
}

pub(super) fn ready_of(service: &ServiceStatus) -> usize {
    service.workers.iter().filter(|worker| worker.state == "ready").count()
}

pub(super) fn actions_of(service: &ServiceStatus) -> Vec<Action> {
    super::actions(&service.name, &service.state, service.target)
}

/// The figures of the machine.
pub(super) fn host_facts(moment: &Moment) -> Vec<Fact> {
    let host = &moment.host;
    let used = host.memory.saturating_sub(host.available);
    let memory = Cell::number(format!("{} of {}", bytes(as_float(used)), bytes(as_float(host.memory))), as_float(used));
    let load = Cell::number(crate::words::digits(host.load), host.load).more(format!("Linux {}", host.kernel));
    vec![
        Fact::new(
            "machine",
            "The share of its processors in use.",
            cpu_cell(host.busy).more(plural(host.processors as u64, "processor")),
        ),
        Fact::new("load", "Jobs that ran or wanted to, over the last minute.", load),
        Fact::new("memory", "In use on this machine.", memory),
    ]
}
