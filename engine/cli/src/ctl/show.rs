//! Replies for people.

use std::fmt::Write as _;

use speedysvc_protocol::control::operator::{
    ClientStatus, LogLine, Numbers, Reply, ServiceStatus, Status, WorkerStatus,
};
use speedysvc_protocol::trace::LogTrace;

use super::arguments::CtlVerb;

pub(super) fn reply(reply: &Reply, verb: &CtlVerb) -> String {
    match reply {
        Reply::Status(status) if matches!(verb, CtlVerb::Driver) => drivers(status),
        Reply::Status(shown) => status(shown),
        Reply::Stats { services } => {
            services.iter().map(|(name, numbers)| stats(name, numbers)).collect::<Vec<_>>().join("\n")
        }
        Reply::Done { said } if said.is_empty() => "done: nothing had to be changed".to_owned(),
        Reply::Done { said } => said.join("\n"),
        Reply::Reload { changes, .. } if changes.is_empty() => "nothing is different".to_owned(),
        Reply::Reload { changes, said } if said.is_empty() => changes.join("\n"),
        Reply::Reload { said, .. } => said.join("\n"),
        Reply::Log { lines, missed } => {
            let missed =
                if *missed > 0 { format!("({missed} lines are not in memory any more)\n") } else { String::new() };
            missed + &lines.iter().map(log_line).collect::<Vec<_>>().join("\n")
        }
        Reply::Clients { clients } => {
            let line = |one: &ClientStatus| {
                let ClientStatus { service, link, pid, uid, .. } = one;
                let in_flight = one.in_flight.map_or(String::new(), |calls| format!(" in flight {calls}"));
                format!("{service} link {link} pid {pid} user {uid}{in_flight}")
            };
            clients.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        Reply::Refused { why, .. } => why.clone(),
    }
}

fn status(status: &Status) -> String {
    let mut text = String::new();
    let verdict = match (status.well, status.stopping) {
        (_, true) => "stopping".to_owned(),
        (true, _) => "all is well".to_owned(),
        _ => "NOT all is well".to_owned(),
    };
    let up = span(status.uptime_s);
    writeln!(text, "{verdict}; engine {} (pid {}), up {up}; {}", status.version, status.pid, status.config)
        .expect("a text takes everything");
    status.troubles.iter().for_each(|trouble| text.push_str(&format!("  ! {trouble}\n")));
    if status.log_lines_lost > 0 {
        let lost = status.log_lines_lost;
        writeln!(text, "  ! {lost} lines of the log were lost: too fast, or the disk is full")
            .expect("a text takes everything");
    }
    writeln!(
        text,
        "\n{:<16} {:<9} {:>7} {:>8} {:>12} {:>8} {:>9} {:>9} {:>9}  where",
        "service", "state", "workers", "clients", "calls", "errors", "p50", "p99", "queue p99"
    )
    .expect("a text takes everything");
    for service in &status.services {
        service_line(&mut text, service);
    }
    text
}

fn service_line(text: &mut String, service: &ServiceStatus) {
    let ready = service.workers.iter().filter(|worker| worker.state == "ready").count();
    writeln!(
        text,
        "{:<16} {:<9} {:>7} {:>8} {:>12} {:>8} {:>9} {:>9} {:>9}  {}",
        service.name,
        service.state,
        format!("{ready}/{}", service.target),
        service.clients,
        service.calls,
        service.errors,
        time(service.handler_p50_ns),
        time(service.handler_p99_ns),
        time(service.queue_p99_ns),
        service.addresses.join(" ")
    )
    .expect("a text takes everything");
    if let Some(why) = &service.scaling {
        writeln!(text, "    scaling: {why}").expect("a text takes everything");
    }
    if let Some(why) = &service.memory {
        writeln!(text, "    memory: {why}").expect("a text takes everything");
    }
    for worker in &service.workers {
        worker_line(text, worker);
    }
    if let (Some(line), Some(ago)) = (&service.last_death, service.last_death_s_ago) {
        writeln!(text, "    deaths: {}; the last {} ago: {line}", service.deaths, span(ago))
            .expect("a text takes everything");
    }
}

fn worker_line(text: &mut String, worker: &WorkerStatus) {
    let ready = worker.ready_s.map(|seconds| format!(" for {}", span(seconds))).unwrap_or_default();
    let doing = worker.doing.as_ref().map(|what| format!(", {what}")).unwrap_or_default();
    let method = worker.method.as_ref().map(|method| format!(" in {method}")).unwrap_or_default();
    let rss = worker.rss.map(|bytes| format!("; {} MiB", bytes >> 20)).unwrap_or_default();
    let pss = worker.pss.map(|bytes| format!(", {} MiB of its own", bytes >> 20)).unwrap_or_default();
    writeln!(
        text,
        "    worker {} (pid {}): {}{doing}{ready}; {}{method}{rss}{pss}",
        worker.worker, worker.pid, worker.state, worker.loop_state
    )
    .expect("a text takes everything");
}

fn drivers(status: &Status) -> String {
    let line = |service: &ServiceStatus| {
        let drivers = if service.drivers.is_empty() { "not known yet".to_owned() } else { service.drivers.join("; ") };
        format!("{}: {drivers}", service.name)
    };
    status.services.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn stats(name: &str, numbers: &Numbers) -> String {
    let mut text = format!("{name}\n");
    for (id, value) in numbers.counters.iter().filter(|(_, value)| **value > 0) {
        writeln!(text, "  {id:<28} {value:>16}").expect("a text takes everything");
    }
    for (method, numbers) in &numbers.methods {
        writeln!(text, "  method {method}: {} errors", numbers.errors).expect("a text takes everything");
        for (id, value) in numbers.counters.iter().filter(|(_, value)| **value > 0) {
            writeln!(text, "    {id:<26} {value:>16}").expect("a text takes everything");
        }
        for (id, pairs) in numbers.times.iter().filter(|(_, pairs)| !pairs.is_empty()) {
            let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| time(percentile(pairs, share)));
            writeln!(text, "    {id:<26} p50 {p50}, p99 {p99}, p99.9 {p999}").expect("a text takes everything");
        }
    }
    text
}

/// The time that this share of the calls did not exceed.
pub(super) fn percentile(pairs: &[(u64, u64)], share: f64) -> Option<u64> {
    let all: u64 = pairs.iter().map(|(_, count)| count).sum();
    #[expect(clippy::cast_precision_loss, reason = "a share of a count, for people")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares are between 0 and 1")]
    let rank = (all as f64 * share).ceil() as u64;
    let mut seen = 0;
    let found = pairs.iter().find(|(_, count)| {
        seen += count;
        seen >= rank
    });
    found.map(|(time, _)| *time)
}

fn log_line(line: &LogLine) -> String {
    let service = line.service.as_deref().unwrap_or("engine");
    let worker = line.worker.map(|worker| format!("/{worker}")).unwrap_or_default();
    let call = line.call.as_ref().map(|call| format!(" [{call}]")).unwrap_or_default();
    let trace = line.trace.as_ref().map(LogTrace::to_string).unwrap_or_default();
    let cut = if line.cut { "…" } else { "" };
    let level = line.level.as_str().to_uppercase();
    format!("{} {level:<5} {service}{worker} {}{call}{trace}: {}{cut}", clock(line.time_us), line.target, line.text)
}

/// `14:03:59.123456Z`: UTC, because servers are.
fn clock(time_us: u64) -> String {
    let (seconds, us) = (time_us / 1_000_000, time_us % 1_000_000);
    let (h, m, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{h:02}:{m:02}:{s:02}.{us:06}Z")
}

/// `830 ns`, `12.3 µs`, `4.56 s`; a dash for nothing.
pub(crate) fn time(ns: Option<u64>) -> String {
    let Some(ns) = ns else { return "-".to_owned() };
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let value = ns as f64;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", value / 1e6),
        _ => format!("{:.2} s", value / 1e9),
    }
}

/// `8 s`, `3 min`, `2.5 h`, `4.0 d`.
fn span(seconds: f64) -> String {
    match seconds {
        ..60.0 => format!("{seconds:.0} s"),
        ..3600.0 => format!("{:.0} min", seconds / 60.0),
        ..86_400.0 => format!("{:.1} h", seconds / 3600.0),
        _ => format!("{:.1} d", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        let shown = [Some(7), Some(12_345), Some(12_345_678), Some(4_560_000_000), None].map(time);
        assert_eq!(shown, ["7 ns", "12.3 µs", "12.3 ms", "4.56 s", "-"]);
        assert_eq!([8.2, 200.0, 9_000.0, 345_600.0].map(span), ["8 s", "3 min", "2.5 h", "4.0 d"]);
        assert_eq!(clock(86_399_000_001), "23:59:59.000001Z");
    }

    #[test]
    fn percentiles_of_pairs() {
        let pairs = [(10, 98), (20, 1), (30, 1)];
        assert_eq!([0.5, 0.98, 0.99, 1.0].map(|share| percentile(&pairs, share)), [10, 10, 20, 30].map(Some));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
