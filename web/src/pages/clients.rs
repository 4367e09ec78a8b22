//! Who is connected, and what has passed.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use speedysvc_protocol::context::Peer;
use speedysvc_protocol::control::operator::{ClientStatus, Reply, Request};
use speedysvc_protocol::ids::LinkId;
use speedysvc_protocol::shm::peer_rows::{Passed, PeerNow, Who};
use speedysvc_protocol::stats::Counter;

use super::draw;
use super::figures::{bytes_cell, count_cell, service_cell};
use crate::app::App;
use crate::page::{Cell, Column, Page, Row, Table, Tone};
use crate::processes::program;
use crate::sockets::queues;
use crate::words::plural;

/// Most lines of each list; how many there are is said.
const LINES_MAX: usize = 500;
const PATIENCE: Duration = Duration::from_secs(3);

/// Somebody with a link of shared memory.
pub(crate) struct OverShm {
    pub(crate) status: ClientStatus,
    pub(crate) passed: Passed,
}

/// A connection.
pub(crate) struct OverSocket {
    pub(crate) service: String,
    pub(crate) worker: u32,
    pub(crate) peer: PeerNow,
    /// Bytes that came and were not read yet, and that were sent and not taken yet; where the kernel says so.
    pub(crate) queues: Option<(u64, u64)>,
}

impl OverSocket {
    /// From where, or whose.
    pub(crate) fn name(&self) -> String {
        match (self.address(), self.peer.who) {
            (Some(address), _) => address.to_string(),
            (None, Who::Socket(Peer::User(uid))) => format!("user {uid}"),
            _ => "unknown".to_owned(),
        }
    }

    pub(crate) fn is_tcp(&self) -> bool {
        self.address().is_some()
    }

    fn address(&self) -> Option<SocketAddr> {
        address(&self.peer)
    }

    fn transport(&self) -> String {
        let socket = if self.is_tcp() { "tcp" } else { "unix" };
        if self.peer.over_http { format!("{socket}, http") } else { socket.to_owned() }
    }
}

fn address(peer: &PeerNow) -> Option<SocketAddr> {
    let Who::Socket(Peer::Address { ip, port }) = peer.who else { return None };
    Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(ip)).to_canonical(), port))
}

/// Everybody who is connected.
pub(crate) async fn all(app: &App) -> Result<(Vec<OverShm>, Vec<OverSocket>), String> {
    let attached = match app.control.ask(&Request::Clients, PATIENCE).await {
        Ok(Reply::Clients { clients }) => clients,
        Ok(_) => return Err("the supervisor answers in an unknown way".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let traffic: HashMap<String, _> = app.sight.traffic().into_iter().collect();
    let over_shm = attached.into_iter().map(|status| {
        let passed = traffic.get(&status.service).and_then(|traffic| traffic.links.get(&LinkId(status.link)));
        OverShm { passed: passed.copied().unwrap_or_default(), status }
    });
    let moment = app.moment();
    let mut over_sockets = Vec::new();
    for (service, traffic) in &traffic {
        let workers = moment.service(service).map_or(&[][..], |service| &service.workers);
        let waiting: HashMap<u32, _> = workers.iter().map(|one| (one.worker, queues(one.pid))).collect();
        over_sockets.extend(traffic.sockets.iter().map(|(worker, peer)| {
            let of_worker = waiting.get(&worker.0);
            let queues = address(peer).and_then(|address| of_worker?.get(&address).copied());
            OverSocket { service: service.clone(), worker: worker.0, peer: *peer, queues }
        }));
    }
    Ok((over_shm.collect(), over_sockets))
}

pub(crate) async fn page(State(app): State<Arc<App>>) -> Response {
    let moment = app.moment();
    let mut page = Page {
        title: "Clients".to_owned(),
        place: "clients",
        lead: "As of now: reload for a newer list. Over shared memory these are processes, over sockets connections. \
               A loop counts up to 1024 of them apart; more are in the sums of their service."
            .to_owned(),
        troubles: super::troubles(&moment),
        ..Page::default()
    };
    match all(&app).await {
        Ok((over_shm, over_sockets)) => {
            page.tables = vec![totals(&app, &over_shm, &over_sockets), shm(&over_shm), sockets(&over_sockets)]
        }
        Err(why) => page.troubles.push(why),
    }
    draw(&app, &page, "")
}

fn totals(app: &App, over_shm: &[OverShm], over_sockets: &[OverSocket]) -> Table {
    let moment = app.moment();
    let columns = vec![
        Column::text("service", "Its name. Leads to its page."),
        Column::number("attached", "Over shared memory, now."),
        Column::number("connections", "Over sockets, now."),
        Column::number("accepted", Counter::ConnectionsAccepted.sentence()),
        Column::number("held back", Counter::ClientsHeldBack.sentence()).minor(),
        Column::number("expelled", Counter::ClientsExpelled.sentence()),
        Column::number("broken", Counter::ClosedBroken.sentence()),
        Column::number("in", Counter::TcpBytesIn.sentence()),
        Column::number("out", Counter::TcpBytesOut.sentence()),
    ];
    let rows = moment.numbers.iter().map(|(name, numbers)| {
        let of = |counter| count_cell(numbers.counter(counter));
        let attached = over_shm.iter().filter(|client| client.status.service == *name).count();
        let connected = over_sockets.iter().filter(|one| one.service == *name).count();
        let cells = vec![
            service_cell(name),
            count_cell(attached as u64),
            count_cell(connected as u64),
            of(Counter::ConnectionsAccepted),
            of(Counter::ClientsHeldBack),
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

/// What has passed, as all lists show it.
fn passed_columns(of: &'static str) -> [Column; 3] {
    [
        Column::number("calls", "Calls answered since it came, refused ones among them."),
        Column::number("in", of),
        Column::number("out", "Bytes that went to it since it came."),
    ]
}

fn passed_cells(passed: &Passed) -> [Cell; 3] {
    [count_cell(passed.calls), bytes_cell(passed.bytes_in), bytes_cell(passed.bytes_out)]
}

fn shm(clients: &[OverShm]) -> Table {
    let mut columns = vec![
        Column::text("service", "To which it is attached."),
        Column::number("link", "Its memory\u{2019}s number."),
        Column::number("pid", "Its process."),
        Column::text("program", "What that calls itself."),
        Column::number("user", "Whose process it is.").minor(),
        Column::number("in flight", "Calls that it has asked and that are not answered yet."),
        Column::number("of", "How many it may have in flight.").minor(),
    ];
    columns.extend(passed_columns("Bytes of arguments since it came."));
    let rows = clients.iter().take(LINES_MAX).map(|OverShm { status, passed }| {
        let number = |number: u64| Cell::number(number.to_string(), crate::words::as_float(number)).tone(Tone::Plain);
        let mut cells = vec![
            service_cell(&status.service),
            number(status.link),
            Cell::number(status.pid.to_string(), f64::from(status.pid)),
            Cell::text(program(status.pid).unwrap_or_default()),
            number(status.uid.into()),
            status.in_flight.map_or_else(|| Cell::text("–").tone(Tone::Quiet), |calls| count_cell(calls.into())),
            number(status.slots.into()),
        ];
        cells.extend(passed_cells(passed));
        Row { id: format!("{}.{}", status.service, status.link), cells, actions: Vec::new() }
    });
    Table {
        id: "shm",
        caption: caption("Over shared memory", clients.len()),
        columns,
        rows: rows.collect(),
        empty: "Nobody is attached.",
    }
}

fn sockets(all: &[OverSocket]) -> Table {
    let mut columns = vec![
        Column::text("service", "To which it is connected."),
        Column::number("worker", "Which worker has it."),
        Column::text("peer", "From where; or whose, over a Unix socket."),
        Column::text("transport", "What carries its calls, and HTTP where it speaks that."),
        Column::number("in flight", "Calls of it that have begun and are not answered yet."),
    ];
    columns.extend(passed_columns("Bytes that came from it."));
    columns.push(Column::number("unread", "Bytes that came and that the worker has not read yet.").minor());
    columns.push(Column::number("unsent", "Bytes that the peer has not taken yet.").minor());
    // By peer, so that a list that is reloaded stays in order. Over Unix sockets several have one name.
    let mut sorted: BTreeMap<String, &OverSocket> = BTreeMap::new();
    for (place, one) in all.iter().enumerate() {
        sorted.insert(format!("{}.{}.{}.{place}", one.service, one.worker, one.name()), one);
    }
    let rows = sorted.into_iter().take(LINES_MAX).map(|(id, one)| {
        let waiting = |bytes: Option<u64>| bytes.map_or_else(|| Cell::text("–").tone(Tone::Quiet), bytes_cell);
        let mut cells = vec![
            service_cell(&one.service),
            Cell::number(one.worker.to_string(), f64::from(one.worker)).tone(Tone::Plain),
            Cell::text(one.name()),
            Cell::text(one.transport()),
            count_cell(one.peer.passed.in_flight),
        ];
        cells.extend(passed_cells(&one.peer.passed));
        cells.push(waiting(one.queues.map(|(unread, _)| unread)));
        cells.push(waiting(one.queues.map(|(_, unsent)| unsent)));
        Row { id, cells, actions: Vec::new() }
    });
    Table {
        id: "sockets",
        caption: caption("Over sockets", all.len()),
        columns,
        rows: rows.collect(),
        empty: "Nobody is connected.",
    }
}
