//! The live view: what happened between two looks at the numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use speedysvc_protocol::control::operator::{Numbers, Reply, Request, ServiceStatus, Status};

use super::arguments::Ctl;
use super::code_of;
use super::show::{percentile, time};
use super::socket::Socket;
use crate::out::line as print;

/// Shortest time between two pictures.
const SHORTEST: Duration = Duration::from_millis(100);
/// Home, and forget what is below: less flicker than clearing.
const HOME: &str = "\x1b[H\x1b[J";

/// A look at everything.
struct Look {
    at: Instant,
    status: Status,
    numbers: BTreeMap<String, Numbers>,
}

pub(super) fn top(ctl: &Ctl, count: Option<u32>, every: Duration) -> Result<ExitCode, ExitCode> {
    let mut socket = Socket::connect(ctl)?;
    let mut before = look(&mut socket)?;
    let home = if io::stdout().is_terminal() && !ctl.json { HOME } else { "" };
    let mut shown = 0;
    while count.is_none_or(|count| shown < count) {
        thread::sleep(every.max(SHORTEST));
        let now = look(&mut socket)?;
        if ctl.json {
            let rows: Vec<_> = now.status.services.iter().map(|service| row(service, &before, &now).json()).collect();
            print(&serde_json::Value::from(rows).to_string())?;
        } else {
            print(&format!("{home}{}", picture(&before, &now)))?;
        }
        before = now;
        shown += 1;
    }
    Ok(ExitCode::SUCCESS)
}

fn look(socket: &mut Socket) -> Result<Look, ExitCode> {
    let at = Instant::now();
    let (_, status) = socket.ask(&Request::Status)?;
    let (_, stats) = socket.ask(&Request::Stats { service: None })?;
    match (status, stats) {
        (Reply::Status(status), Reply::Stats { services: numbers }) => Ok(Look { at, status, numbers }),
        (refused @ Reply::Refused { .. }, _) | (_, refused) => Err(code_of(&refused, false)),
    }
}

/// What a service did between two looks.
struct Row {
    name: String,
    state: String,
    workers: String,
    calls_per_s: f64,
    errors_per_s: f64,
    /// Time in handlers, of the time that its workers had.
    busy: f64,
    handler: [Option<u64>; 2],
    queue_p99: Option<u64>,
    clients: usize,
    rss: u64,
}

#[expect(clippy::cast_precision_loss, reason = "rates, for people")]
fn row(service: &ServiceStatus, before: &Look, now: &Look) -> Row {
    let seconds = now.at.duration_since(before.at).as_secs_f64().max(1e-9);
    let old = before.status.services.iter().find(|old| old.name == service.name);
    let more = |of: fn(&ServiceStatus) -> u64| of(service).saturating_sub(old.map_or(0, of)) as f64;
    let ready = service.workers.iter().filter(|worker| worker.state == "ready").count();
    let handler = between(&service.name, "handler_time", before, now);
    let queue = between(&service.name, "queue_wait", before, now);
    Row {
        name: service.name.clone(),
        state: service.state.clone(),
        workers: format!("{ready}/{}", service.target),
        calls_per_s: more(|service| service.calls) / seconds,
        errors_per_s: more(|service| service.errors) / seconds,
        busy: more(|service| service.handler_ns) / 1e9 / seconds / ready.max(1) as f64,
        handler: [0.5, 0.99].map(|share| percentile(&handler, share)),
        queue_p99: percentile(&queue, 0.99),
        clients: service.clients,
        rss: service.workers.iter().filter_map(|worker| worker.rss).sum(),
    }
}

/// The histogram of one timing over all methods, of what came between two looks.
fn between(service: &str, timing: &str, before: &Look, now: &Look) -> Vec<(u64, u64)> {
    let sum = |look: &Look| {
        let mut sum: BTreeMap<u64, u64> = BTreeMap::new();
        let methods = look.numbers.get(service).into_iter().flat_map(|numbers| numbers.methods.values());
        for (time, count) in methods.filter_map(|method| method.times.get(timing)).flatten() {
            *sum.entry(*time).or_default() += count;
        }
        sum
    };
    let old = sum(before);
    let more = |(time, count): (u64, u64)| (time, count.saturating_sub(old.get(&time).copied().unwrap_or(0)));
    sum(now).into_iter().map(more).filter(|(_, count)| *count > 0).collect()
}

impl Row {
    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "service": self.name,
            "state": self.state,
            "workers": self.workers,
            "calls_per_s": self.calls_per_s,
            "errors_per_s": self.errors_per_s,
            "busy": self.busy,
            "handler_p50_ns": self.handler[0],
            "handler_p99_ns": self.handler[1],
            "queue_p99_ns": self.queue_p99,
            "clients": self.clients,
            "rss": self.rss,
        })
    }
}

fn picture(before: &Look, now: &Look) -> String {
    let mut text = format!(
        "{}; {} services; Ctrl-C ends\n\n{:<16} {:<9} {:>7} {:>11} {:>8} {:>6} {:>9} {:>9} {:>9} {:>7} {:>8}\n",
        if now.status.well { "all is well" } else { "NOT all is well" },
        now.status.services.len(),
        "service",
        "state",
        "workers",
        "calls/s",
        "errors/s",
        "busy",
        "p50",
        "p99",
        "queue p99",
        "clients",
        "MiB"
    );
    for service in &now.status.services {
        let row = row(service, before, now);
        writeln!(
            text,
            "{:<16} {:<9} {:>7} {:>11.0} {:>8.0} {:>5.0}% {:>9} {:>9} {:>9} {:>7} {:>8}",
            row.name,
            row.state,
            row.workers,
            row.calls_per_s,
            row.errors_per_s,
            row.busy * 100.0,
            time(row.handler[0]),
            time(row.handler[1]),
            time(row.queue_p99),
            row.clients,
            row.rss >> 20
        )
        .expect("a text takes everything");
    }
    now.status.troubles.iter().for_each(|trouble| text.push_str(&format!("\n! {trouble}")));
    text
}
