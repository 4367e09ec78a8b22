//! The dashboard: what an engine does, seen from a browser, from Prometheus and from programs.
//!
//! A thread of its own with a runtime of its own beside the supervisor. It reads numbers from shared memory and asks
//! the rest over the control socket, as any operator does.
//!
//! | module      | idea |
//! |-------------|------|
//! | `server`    | the door: connections within limits |
//! | `guard`     | who may look, and who may change |
//! | `moment`    | one look at everything, once a second |
//! | `history`   | what happened: seconds for an hour, minutes for a day |
//! | `page`      | what a page shows, as values |
//! | `pages`     | from what was seen to pages |
//! | `hub`, `events` | live updates: one drawing for all who watch |
//! | `api`       | the same in JSON, described by OpenAPI |
//! | `metrics`   | the same for Prometheus |
//! | `export`    | histograms as files of HdrHistogram's tools |
//! | `control`   | the supervisor's socket |
//! | `processes`, `sockets` | what the kernel says |
//! | `assets`    | files that are part of the program |
//! | `words`     | numbers as people read them |
//!
//! Invariants:
//!
//! * It never holds up supervision or a call: the supervisor waits for nothing here, and loops know nothing of it.
//! * GET changes nothing. Text from outside is escaped by the template, or set as text by the script.
//! * Whatever it keeps has a limit: connections, watchers, pages that are watched, the history, sessions, bodies.

#![forbid(unsafe_code)]

mod api;
mod app;
mod assets;
mod control;
mod events;
mod export;
mod guard;
mod history;
mod hub;
mod keep;
mod machine;
mod metrics;
mod moment;
mod open;
mod page;
mod pages;
mod processes;
mod routes;
mod server;
mod sockets;
mod words;

use std::sync::Arc;

use speedysvc_config::Config;
use speedysvc_protocol::shm::peer_rows::Traffic;
use speedysvc_protocol::stats::Snapshot;

pub use guard::TokenError;
pub use open::{Open, OpenError, open};

/// What an engine shows of itself, without being asked for anything: read from any thread, at any time.
pub trait Sight: Send + Sync + 'static {
    /// All numbers since the engine began, by service.
    fn numbers(&self) -> Vec<(String, Snapshot)>;
    /// The numbers of each living loop: service, worker, and its methods together.
    fn loops(&self) -> Vec<(String, u32, Snapshot)>;
    /// Who is connected, by service.
    fn traffic(&self) -> Vec<(String, Traffic)>;
    /// The settings in force; `None` before the start.
    fn config(&self) -> Option<Arc<Config>>;
}
