//! Processes: what this program starts, and how it makes sure that all of it ends.

pub(crate) mod campaign;
pub(crate) mod helper;
pub(crate) mod interrupt;
pub(crate) mod parent;
pub(crate) mod process;
pub(crate) mod real;
pub(crate) mod server;
