//! The words that both sides of speedysvc agree on.
//!
//! A client and a worker that never met must read the same bytes the same way: that is all this crate is about. It
//! opens no socket, looks at no clock and starts no thread; it only says what bytes mean.
//!
//! * [`frame`]: what travels over TCP. [`hello`]: how a connection or a link begins. [`control`]: what the supervisor's
//!   broker and its workers say to each other.
//! * [`wire`]: what the ends of a socket agree on beside the calls. [`packing`]: compressed bodies.
//! * [`shm`]: what lies in shared memory: links, slots, claims, boards. The only room of this crate with `unsafe`.
//! * [`archive`]: bytes to values and back, the only file that calls rkyv. [`byte_string`]: of the archives that are
//!   mostly bytes, only these. [`json`], [`msgpack`]: values in those.
//! * [`contract`]: what a service offers, and [`standard`] what every service does. [`service`]: the trait that the
//!   service macro implements. [`context`]: which call a thread serves, which engine and client must both see, and
//!   [`trace`] the trace that it belongs to.
//! * [`status`]: what a caller may be told, and whether its call ran. [`ids`], [`limits`]: names and numbers.
//! * [`stats`]: what is counted and timed. [`crowd`]: when neither side may wait by looking.
//!
//! Trust: whatever a peer wrote is an allegation. Every parser here checks lengths before it allocates, and every
//! shared word is loaded once into a local before it is judged.
#![deny(unsafe_code)]

pub mod archive;
pub mod by_name;
pub mod byte_string;
#[cfg(not(loom))] // as it names what is made of mapped memory, which loom has not
pub mod context;
pub mod contract;
#[cfg(not(loom))] // the same
pub mod control;
pub mod crowd;
pub mod frame;
pub mod hello;
pub mod ids;
pub mod json;
pub mod limits;
pub mod msgpack;
pub mod openapi;
pub mod packing;
#[cfg(not(loom))] // the same
pub mod service;
#[expect(unsafe_code, reason = "room 1: memory that another process maps too")]
pub mod shm;
pub mod standard;
pub mod stats;
pub mod status;
pub mod trace;
pub mod wire;
