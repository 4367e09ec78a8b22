//! One row: what a client process does, and what it reads of the machine meanwhile.

pub(crate) mod accounts;
pub(crate) mod clock;
mod closed;
pub(crate) mod cpus;
pub(crate) mod descriptors;
pub(crate) mod found;
mod idle;
pub(crate) mod job;
pub(crate) mod memory;
mod others;
mod paced;
mod payload;
pub(crate) mod probe;
mod recorder;
pub(crate) mod sharing;
pub(crate) mod task;
mod threads;
pub(crate) mod words;
pub(crate) mod work;
