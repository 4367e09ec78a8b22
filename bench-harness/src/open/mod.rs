//! The open loop: calls are made when they are due, whether or not the ones before were answered.
//!
//! A closed loop sends nothing while a server stalls, so that a stall is one slow call among many fast ones
//! (coordinated omission). Here each call has a moment at which it should be sent, decided beforehand; its latency
//! counts from that moment, and what waited behind a stall shows how long it did.

mod driver;
pub(crate) mod log;
pub(crate) mod pool;
pub(crate) mod schedule;
pub(crate) mod started;
#[cfg(test)]
mod tests;
pub(crate) mod time;
pub(crate) mod verdict;

pub(crate) use driver::{Caller, Failed, Run, drive};
