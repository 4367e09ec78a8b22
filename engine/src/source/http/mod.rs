//! HTTP/1.1: `POST /SERVICE/METHOD` with JSON, so that curl is a client.
//!
//! `reader` makes requests of bytes and `reply` makes bytes of answers; neither knows a socket or a service. `session`
//! is what stands between them and the dispatch.

mod chunks;
pub mod head;
mod pages;
pub mod reader;
pub mod refusal;
mod reply;
mod routes;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use session::{Arrived, Session, Step};
