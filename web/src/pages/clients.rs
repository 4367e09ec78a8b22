//! Who is connected.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use speedysvc_protocol::control::operator::{ClientStatus, Reply, Request};
use speedysvc_protocol::stats::Counter;

use super::draw;
use super::figures::{bytes_cell, count_cell, service_cell};
use crate::app::App;
use crate::page::{Cell, Column, Page, Row, Table};
use crate::processes::program;
use crate::sockets::{Connection, connections};
use crate::words::plural;

/// Most lines of each list; how many there are is said.
const LINES_MAX: usize = 500;
const PATIENCE: Duration = Duration::from_secs(3);

/// Those over TCP: the service, the worker, the connection.
pub(crate) type OverTcp = (String, u32, Connection);

/// Everybody who is connected.
pub(crate) async fn all(app: &App) -> Result<(Vec<ClientStatus>, Vec<OverTcp>), String> {
    let over_shm = match app.control.ask(&Request::Clients, PATIENCE).await {
        Ok(Reply::Clients { clients }) => clients,
        Ok(_) => return Err("the supervisor answers in an unknown way".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let moment = app.moment();
    let mut over_tcp = Vec::new();
    for service in moment.services() {
        for worker in service.workers.iter().filter(|worker| worker.pid > 0) {
            let found = connections(worker.pid).into_iter();
            over_tcp.extend(found.map(|connection| (service.name.clone(), worker.worker, connection)));
        }
    }
    Ok((over_shm, over_tcp))
}

pub(crate) async fn page(State(app): State<Arc<App>>) -> Response {
    let moment = app.moment();
    let mut page = Page {
        title: "Clients".to_owned(),
        place: "clients",
        lead: "As of now: reload for a newer list. Over shared memory these are processes, over TCP connections; \
               HTTP is among them."
            .to_owned(),
        troubles: super::troubles(&moment),
        ..Page::default()
    };
    match all(&app).await {
        Ok((over_shm, over_tcp)) => {
            page.tables = vec![totals(&app, &over_shm, &over_tcp), shm(&over_shm), tcp(&over_tcp)]
        }
        Err(why) => page.troubles.push(why),
    }
    draw(&app, &page, "")
}

fn totals(app: &App, over_shm: &[ClientStatus], over_tcp: &[OverTcp]) -> Table {
    let moment = app.moment();
    let columns = vec![
        Column::text("service", "Its name. Leads to its page."),
        Column::number("attached", "Over shared memory, now."),
        Column::number("connections", "Over TCP, now."),
        Column::number("accepted", Counter::ConnectionsAccepted.sentence()),
        Column::number("expelled", Counter::ClientsExpelled.sentence()),
        Column::number("broken", Counter::ClosedBroken.sentence()),
        Column::number("in", Counter::TcpBytesIn.sentence()),
        Column::number("out", Counter::TcpBytesOut.sentence()),
    ];
    let rows = moment.numbers.iter().map(|(name, numbers)| {
        let of = |counter| count_cell(numbers.counter(counter));
        let attached = over_shm.iter().filter(|client| client.service == *name).count();
        let connected = over_tcp.iter().filter(|(service, ..)| service == name).count();
        let cells = vec![
            service_cell(name),
            count_cell(attached as u64),
            count_cell(connected as u64),
            of(Counter::ConnectionsAccepted),
            of(Counter::ClientsExpelled),
            of(Counter::ClosedBroken),
            bytes_cell(numbers.counter(Counter::TcpBytesIn)),
            bytes_cell(numbers.counter(Counter::TcpBytesOut)),
        ];
        Row { id: name.clone(), cells, actions: Vec::new() }
    });
    Table { id: "totals", caption: "By service".to_owned(), columns, rows: rows.collect(), empty: "No service." }
}

fn caption(what: &str, count: usize) -> String {
    let shown = if count > LINES_MAX { format!(", the first {LINES_MAX}") } else { String::new() };
    format!("{what}: {}{shown}", plural(count as u64, "client"))
}

fn shm(clients: &[ClientStatus]) -> Table {
    let columns = vec![
        Column::text("service", "To which it is attached."),
        Column::number("link", "Its memory\u{2019}s number."),
        Column::number("pid", "Its process."),
        Column::text("program", "What that calls itself."),
        Column::number("user", "Whose process it is."),
        Column::number("slots", "How many calls it may have in flight."),
    ];
    let rows = clients.iter().take(LINES_MAX).map(|client| {
        let cells = vec![
            service_cell(&client.service),
            Cell::number(client.link.to_string(), crate::words::as_float(client.link)),
            Cell::number(client.pid.to_string(), f64::from(client.pid)),
            Cell::text(program(client.pid).unwrap_or_default()),
            Cell::number(client.uid.to_string(), f64::from(client.uid)).tone(crate::page::Tone::Plain),
            Cell::number(client.slots.to_string(), f64::from(client.slots)),
        ];
        Row { id: format!("{}.{}", client.service, client.link), cells, actions: Vec::new() }
    });
    Table {
        id: "shm",
        caption: caption("Over shared memory", clients.len()),
        columns,
        rows: rows.collect(),
        empty: "Nobody is attached.",
    }
}

fn tcp(all: &[OverTcp]) -> Table {
    let columns = vec![
        Column::text("service", "To which it is connected."),
        Column::number("worker", "Which worker has it."),
        Column::text("peer", "From where."),
        Column::number("unread", "Bytes that came and that the worker has not read yet."),
        Column::number("unsent", "Bytes that the peer has not taken yet."),
    ];
    // By peer, so that a list that is reloaded stays in order.
    let mut sorted: BTreeMap<String, &OverTcp> = BTreeMap::new();
    for one in all {
        sorted.insert(format!("{}.{}.{}", one.0, one.1, one.2.peer), one);
    }
    let rows = sorted.into_iter().take(LINES_MAX).map(|(id, (service, worker, connection))| {
        let cells = vec![
            service_cell(service),
            Cell::number(worker.to_string(), f64::from(*worker)).tone(crate::page::Tone::Plain),
            Cell::text(connection.peer.to_string()),
            bytes_cell(connection.queues.0),
            bytes_cell(connection.queues.1),
        ];
        Row { id, cells, actions: Vec::new() }
    });
    Table {
        id: "tcp",
        caption: caption("Over TCP", all.len()),
        columns,
        rows: rows.collect(),
        empty: "Nobody is connected.",
    }
}
