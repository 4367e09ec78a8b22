//! One service.

use speedysvc_protocol::control::operator::ServiceStatus;

use super::figures::{
    RESTARTS, actions_of, age_cell, cpu_cell, deaths_cell, memory_cell, methods_table, ready_of, state_cell,
    traffic_facts,
};
use crate::app::App;
use crate::history::Series;
use crate::moment::Moment;
use crate::page::{Cell, Chart, Column, Fact, Page, Row, Table, Tone};
use crate::words::{as_float, encoded};

pub(super) fn page(app: &App, name: &str) -> Option<Page> {
    let moment = app.moment();
    let service = moment.service(name)?;
    let usage = moment.usage(service);
    let ready = ready_of(service);
    let mut facts = vec![
        Fact::new("state", "What the supervisor says of it.", state_cell(&service.state, &service.why)),
        Fact::new(
            "workers",
            "Ready, of those that there should be.",
            Cell::number(format!("{ready} of {}", service.target), as_float(ready as u64)),
        ),
    ];
    facts.extend(traffic_facts(&app.recent(&Series::service(name))));
    facts.push(Fact::new("cpu", "Processors that its workers use: 100 % is one.", cpu_cell(usage.cpu)));
    facts.push(Fact::new("memory", "Resident; shared pages are shared out.", memory_cell(&usage)));
    facts.push(Fact::new("restarts", RESTARTS, deaths_cell(service)));
    let source = |seconds: u32| format!("/api/v1/history?service={}&seconds={seconds}", encoded(name));
    let methods = moment.numbers.iter().filter(|(service, _)| *service == name);
    Some(Page {
        title: name.to_owned(),
        place: "overview",
        lead: lead(service),
        actions: actions_of(service),
        facts,
        charts: vec![
            Chart { kind: "rate", title: "Calls and errors", source: source(600) },
            Chart { kind: "percentiles", title: "Latency", source: source(600) },
            Chart { kind: "heat", title: "Latency heat map", source: source(600) },
            Chart { kind: "usage", title: "Processors and memory", source: source(600) },
        ],
        tables: vec![methods_table(app, methods, usize::MAX, false), workers_table(service, &moment)],
        ..Page::default()
    })
}

fn lead(service: &ServiceStatus) -> String {
    let mut parts = vec![service.addresses.join("  ·  ")];
    parts.extend(service.drivers.iter().map(|driver| format!("driver {driver}")));
    parts.extend(service.scaling.clone());
    parts.extend(Some(service.why.clone()).filter(|why| !why.is_empty()));
    parts.join("  ·  ")
}

fn workers_table(service: &ServiceStatus, moment: &Moment) -> Table {
    let columns = vec![
        Column::number("worker", "Its number, which no other gets."),
        Column::number("pid", "Its process."),
        Column::text("state", "What the supervisor says of it."),
        Column::text("loop", "What its loop does now."),
        Column::text("method", "What it runs now.").minor(),
        Column::number("ready for", "Since it said that it is ready."),
        Column::number("cpu", "Processors that it uses: 100 % is one."),
        Column::number("memory", "Resident; shared pages are shared out."),
        Column::number("version", "How many restarts came before its own.").minor(),
    ];
    let rows = service.workers.iter().map(|worker| {
        let usage = moment.processes.get(&worker.pid).copied().unwrap_or_default();
        let tone = if worker.state == "ready" { Tone::Good } else { Tone::Warn };
        let cells = vec![
            Cell::number(worker.worker.to_string(), f64::from(worker.worker)).tone(Tone::Plain),
            Cell::number(worker.pid.to_string(), f64::from(worker.pid)),
            Cell::text(&worker.state).tone(tone),
            Cell::text(&worker.loop_state),
            Cell::text(worker.method.clone().unwrap_or_default()),
            age_cell(worker.ready_s),
            cpu_cell(usage.cpu),
            memory_cell(&usage),
            Cell::number(worker.version.to_string(), f64::from(worker.version)),
        ];
        Row { id: worker.worker.to_string(), cells, actions: Vec::new() }
    });
    Table { id: "workers", caption: "Workers".to_owned(), columns, rows: rows.collect(), empty: "No worker runs." }
}
