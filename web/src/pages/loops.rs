//! What each loop does.

use speedysvc_protocol::stats::Counter;

use super::figures::{count_cell, rate_cell, service_cell, state_cell};
use crate::app::App;
use crate::moment::LoopNow;
use crate::page::{Cell, Column, Page, Row, Table, Tone};
use crate::words::{as_float, digits, percent};

pub(super) fn page(app: &App) -> Page {
    let moment = app.moment();
    let rows = moment.loops.iter().map(row).collect();
    let columns = vec![
        Column::text("service", "Whose loop it is."),
        Column::number("worker", "In which worker."),
        Column::number("busy", "The share of the last second in handlers."),
        Column::number("looking", "The share in which it looked for work, awake."),
        Column::number("asleep", "The share in which it slept."),
        Column::number("calls/s", "Calls answered, a second."),
        Column::number("turns/s", "Passes over all its phases, a second.").minor(),
        Column::number("sleeps/s", "How often it went to sleep, a second."),
        Column::number("completions/s", "Events that its driver gave it, a second.").minor(),
        Column::number("batch", "Calls of a pass, on the average.").minor(),
        Column::number("handlers overdue", Counter::Overdue.sentence()).minor(),
        Column::number("panics", Counter::Panics.sentence()),
        Column::number("ring overflows", Counter::CqOverflows.sentence()).minor(),
    ];
    let loops = Table { id: "loops", caption: "Loops".to_owned(), columns, rows, empty: "No loop runs." };
    Page {
        title: "Loops".to_owned(),
        place: "loops",
        lead: "A loop runs handlers, looks for work, or sleeps. One that looks costs a processor, and answers faster."
            .to_owned(),
        tables: vec![loops, drivers(app)],
        ..Page::default()
    }
}

fn row(one: &LoopNow) -> Row {
    let share = |share: f64| Cell::number(percent(share), if share < 0.000_05 { 0.0 } else { share });
    let batch = if one.turns > 0.0 { one.calls / one.turns } else { 0.0 };
    let alarming = |counter| {
        let value = one.counters.counter(counter);
        let cell = count_cell(value);
        if value > 0 { cell.tone(Tone::Warn) } else { cell }
    };
    let busy = share(one.busy);
    let cells = vec![
        service_cell(&one.service),
        Cell::number(one.worker.to_string(), f64::from(one.worker)).tone(Tone::Plain),
        if one.busy > 0.9 { busy.tone(Tone::Warn) } else { busy },
        share(one.looking()),
        share(one.asleep),
        rate_cell(one.calls),
        rate_cell(one.turns),
        rate_cell(one.sleeps),
        rate_cell(one.completions),
        Cell::number(digits(batch), batch),
        count_cell(one.counters.counter(Counter::Overdue)),
        alarming(Counter::Panics),
        alarming(Counter::CqOverflows),
    ];
    Row { id: format!("{}.{}", one.service, one.worker), cells, actions: Vec::new() }
}

/// Which driver, and why; and all counters of each service.
fn drivers(app: &App) -> Table {
    let moment = app.moment();
    let columns = vec![
        Column::text("service", "Its name."),
        Column::text("state", "What the supervisor says of it."),
        Column::text("driver", "How its loops wait for sockets, and why so."),
        Column::number("over shared memory", Counter::ShmCalls.sentence()),
        Column::number("over TCP", Counter::TcpCalls.sentence()),
        Column::number("over HTTP", Counter::HttpCalls.sentence()),
        Column::number("clients woken", Counter::ClientsWoken.sentence()).minor(),
        Column::number("expired", Counter::Expired.sentence()).minor(),
        Column::number("refused", Counter::Refused.sentence()).minor(),
        Column::number("unknown", Counter::CallsUnknown.sentence()).minor(),
    ];
    let rows = moment.services().iter().map(|service| {
        let numbers = moment.numbers.get(&service.name);
        let of = |counter| Cell {
            sort: numbers.map(|numbers| as_float(numbers.counter(counter))),
            ..count_cell(numbers.map_or(0, |numbers| numbers.counter(counter)))
        };
        let mut cells = vec![
            service_cell(&service.name),
            state_cell(&service.state, &service.why),
            Cell::text(service.drivers.join("; ")),
        ];
        cells.extend([Counter::ShmCalls, Counter::TcpCalls, Counter::HttpCalls, Counter::ClientsWoken].map(of));
        cells.extend([Counter::Expired, Counter::Refused, Counter::CallsUnknown].map(of));
        Row { id: service.name.clone(), cells, actions: Vec::new() }
    });
    Table { id: "drivers", caption: "Drivers and ways".to_owned(), columns, rows: rows.collect(), empty: "No service." }
}
