//! Call a function in another process at memory speed; call it over TCP with the same line of code.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod address;
mod call;
mod channel;
mod clock;
mod codecs;
mod connection;
mod context;
mod error;
mod in_process;
mod line;
mod pending;
mod reply;
mod retry;
mod routes;
mod scratch;
#[cfg(feature = "server")]
mod server;
mod shm;
mod tcp;
#[cfg(test)]
mod test_calls;
pub mod untyped;

pub use channel::{CallError, Error};
pub use context::{CallName, Context, Peer, context};
pub use in_process::{Fault, Faults};
pub use pending::Pending;
pub use routes::Addresses;
#[cfg(feature = "server")]
pub use server::{Running, Server, ServerError, serve, starting};
pub use speedysvc_macros::{data, service};
pub use speedysvc_protocol::archive::Archived;
#[cfg(feature = "server")]
pub use speedysvc_protocol::shm::in_place::Trust;
pub use speedysvc_protocol::status::{Code, Outcome};
pub use speedysvc_protocol::trace::{BadTraceparent, TraceContext};
#[cfg(feature = "server")]
pub use speedysvc_protocol::wire::Compression;

#[cfg(feature = "server")]
pub mod stats {
    //! What a service that runs in this process has done, as [`Running::stats`](crate::Running::stats) tells it.
    pub use speedysvc_protocol::stats::{Counter, Histogram, MethodCounter, MethodStats, Snapshot, Timing, Unit};
}

/// The guide, whose pieces run as tests.
#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../../docs/guide.md")]
mod guide {}

#[doc(hidden)]
pub mod __private {
    //! What the output of the macros names. Not an interface for people.
    pub use crate::channel::{CallError, Channel, Error};
    pub use crate::codecs::{AsBytes, AsValue};
    pub use crate::in_process::Faults;
    pub use crate::pending::{Pending, Starter};
    pub use crate::routes::Addresses;
    pub use schemars;
    pub use serde;
    pub use serde_json;
    pub use speedysvc_protocol::archive::rkyv;
    pub use speedysvc_protocol::service::Service;
    pub use speedysvc_protocol::{archive, by_name, byte_string, contract, ids, json, service, status};
}
