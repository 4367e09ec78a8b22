//! All services and where the time goes.

use speedysvc_protocol::control::operator::ServiceStatus;
use speedysvc_protocol::stats::Timing;

use super::figures::{
    RESTARTS, actions_of, count_cell, cpu_cell, deaths_cell, errors_cell, host_facts, memory_cell, methods_table,
    percentiles, rate_cell, ready_of, service_cell, state_cell,
};
use crate::app::App;
use crate::history::Series;
use crate::page::{Cell, Chart, Column, Fact, Page, Row, Table, Tone};
use crate::words::{age, as_float, bytes};

/// Most methods in the list of those that take most time.
const METHODS_MAX: usize = 15;

pub(super) fn page(app: &App) -> Page {
    let moment = app.moment();
    let services = moment.services();
    let rows = services.iter().map(|service| row(app, service)).collect();
    Page {
        title: "Overview".to_owned(),
        place: "overview",
        lead: lead(app),
        facts: facts(app),
        charts: vec![Chart {
            kind: "rate",
            title: "Calls and errors",
            source: "/api/v1/history?seconds=600".to_owned(),
        }],
        tables: vec![services_table(rows), methods_table(app, moment.numbers.iter(), METHODS_MAX, true)],
        ..Page::default()
    }
}

fn lead(app: &App) -> String {
    let moment = app.moment();
    match &moment.status {
        Some(status) => {
            let well = if status.well { "All is well." } else { "Not all is well." };
            format!("{well} Up for {}. Rates and times are those of the last ten seconds.", age(status.uptime_s))
        }
        None => "The engine is starting.".to_owned(),
    }
}

fn facts(app: &App) -> Vec<Fact> {
    let moment = app.moment();
    let (mut calls, mut errors, mut rate) = (0, 0, 0.0);
    for service in moment.numbers.keys() {
        let recent = app.recent(&Series::service(service));
        calls += recent.sum.counts.calls;
        errors += recent.sum.counts.errors;
        rate += recent.rate(recent.sum.counts.calls);
    }
    let usages: Vec<_> = moment.services().iter().map(|service| moment.usage(service)).collect();
    let cpu: f64 = usages.iter().map(|usage| usage.cpu).sum();
    let memory: u64 = usages.iter().map(|usage| usage.pss.unwrap_or(usage.total.rss)).sum();
    let ready: usize = moment.services().iter().map(ready_of).sum();
    let wanted: u64 = moment.services().iter().map(|service| u64::from(service.target)).sum();
    let deaths: u64 = moment.services().iter().map(|service| service.deaths).sum();
    let lost = moment.status.as_ref().map_or(0, |status| status.log_lines_lost);
    let workers = Cell::number(format!("{ready} of {wanted}"), as_float(ready as u64));
    let mut facts = vec![
        Fact::new("calls/s", "Calls answered by all services, a second.", rate_cell(rate)),
        Fact::new("errors", "The share of calls that ended with an error.", errors_cell(errors, calls)),
        Fact::new("workers", "Ready, of those that there should be.", workers),
        Fact::new("restarts", RESTARTS, count_cell(deaths)),
        Fact::new("cpu", "Processors that workers use: 100 % is one.", cpu_cell(cpu)),
        Fact::new(
            "workers\u{2019} memory",
            "Resident; shared pages are shared out.",
            Cell::number(bytes(as_float(memory)), as_float(memory)),
        ),
    ];
    facts.extend(host_facts(&moment));
    if lost > 0 {
        facts.push(Fact::new(
            "log lines lost",
            "They came too fast, or could not be written.",
            count_cell(lost).tone(Tone::Warn),
        ));
    }
    facts
}

fn services_table(rows: Vec<Row>) -> Table {
    let columns = vec![
        Column::text("service", "Its name. Leads to its page."),
        Column::text("state", "What the supervisor says of it."),
        Column::number("workers", "Ready, of those that there should be."),
        Column::number("calls/s", "Calls answered, a second."),
        Column::number("errors", "The share of calls that ended with an error."),
        Column::number("p50", "Half of the calls took no longer, queue wait and handler together."),
        Column::number("p99", "99 of 100 calls took no longer."),
        Column::number("p99.9", "999 of 1000 calls took no longer.").minor(),
        Column::number("queue p99", "99 of 100 calls waited no longer before they were begun.").minor(),
        Column::number("cpu", "Processors that its workers use: 100 % is one."),
        Column::number("memory", "Resident; shared pages are shared out.").minor(),
        Column::number("disk", "Bytes from and to disks, a second.").minor(),
        Column::number("clients", "Attached over shared memory.").minor(),
        Column::number("restarts", RESTARTS).minor(),
    ];
    Table { id: "services", caption: "Services".to_owned(), columns, rows, empty: "The supervisor has not said yet." }
}

fn row(app: &App, service: &ServiceStatus) -> Row {
    let (moment, recent) = (app.moment(), app.recent(&Series::service(&service.name)));
    let (sum, counts, usage) = (&recent.sum, &recent.sum.counts, moment.usage(service));
    let ready = ready_of(service);
    let workers_tone = if ready < usize::from(service.target) { Tone::Warn } else { Tone::Plain };
    let workers = Cell::number(format!("{ready} / {}", service.target), as_float(ready as u64)).tone(workers_tone);
    let disk = sum.usage.map_or(0.0, |usage| recent.rate(usage.read + usage.written));
    let [p50, p99, p999] = percentiles(&sum.times(Timing::Total));
    let cells = vec![
        service_cell(&service.name),
        state_cell(&service.state, &service.why),
        workers.more(service.scaling.clone().unwrap_or_default()),
        rate_cell(recent.rate(counts.calls)),
        errors_cell(counts.errors, counts.calls),
        p50,
        p99,
        p999,
        Cell::time(sum.times(Timing::Queue).percentile(0.99)),
        cpu_cell(usage.cpu),
        memory_cell(&usage),
        Cell::number(bytes(disk), disk),
        count_cell(service.clients as u64),
        deaths_cell(service),
    ];
    Row { id: service.name.clone(), cells, actions: actions_of(service) }
}
