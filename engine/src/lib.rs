//! The machine: one worker loop over sockets (by io_uring or epoll) and shared-memory slots.
//!
//! A call's way through it: a slot is claimed in `source::shm`, or a frame or an HTTP request is read in `source::tcp`
//! and `source::http`; `dispatch` runs the handler; the reply is published in the slot, or queued on the connection.
//! What would hold up the loop runs in `beside`, and is answered when it is back.
//! `worker` is the loop, one screen of phases; everything else is a phase with its own fields.
//!
//! Invariant: the loop knows no tokio, and sleeps in one place, `driver::Driver::wait`.
//! Invariant: the loop never waits for a client, and no client waits for another client's link.
#![deny(unsafe_code)]

mod bells;
#[doc(hidden)]
pub mod bench;
mod beside;
mod boot;
mod budget;
mod clock;
mod control;
mod dispatch;
mod drain;
mod driver;
mod error;
mod held;
mod idle;
pub mod log;
mod meter;
mod orphan;
mod predict;
mod share;
pub mod signals;
mod source;
mod standard;
mod timing;
#[expect(unsafe_code, reason = "room 2: memory that the kernel reads and writes for us")]
mod uring;
mod watcher;
mod worker;

pub use beside::{Begin, Runtime};
pub use driver::probe as probe_driver;
pub use error::StartError;
#[doc(hidden)] // for `tests/fuzz`: the parsers of what anybody may send
pub use source::{first_bytes, http};
pub use worker::serve;
