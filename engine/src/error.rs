//! Why a worker cannot begin or go on: text for an operator, with what to do next.

use std::io;

use speedysvc_protocol::control::{VERSION, VERSION_OLDEST};
use speedysvc_protocol::hello::LIBRARY;
use thiserror::Error;

use crate::uring::setup::remedy;

/// Why a worker cannot serve.
#[derive(Debug, Error)]
pub enum StartError {
    /// No io_uring here.
    #[error("no io_uring: {error}. {}", remedy(.error))]
    Driver {
        /// What the kernel said.
        error: io::Error,
    },
    /// The environment asks for what there is not.
    #[error("{name} is \"{0}\": there are io_uring, epoll and auto", name = crate::driver::DRIVER_ENV)]
    WrongDriver(String),
    /// The supervisor did not say what it should, or is gone.
    #[error("the control socket on standard input: {0}. Was this program started by a speedysvc supervisor?")]
    Control(String),
    /// The supervisor is of another version.
    #[error(
        "the engine speaks version {0} of the control socket, and this program's {LIBRARY} understands \
         {VERSION_OLDEST} to {VERSION}: build it with the engine's version of the library"
    )]
    Version(u32),
    /// As above, most likely.
    #[error(
        "what the engine says first cannot be read: {0}. It is of another version than this program's {LIBRARY}, \
         which understands {VERSION_OLDEST} to {VERSION} of the control socket: build it with the engine's version"
    )]
    Foreign(String),
    /// A method needs what this program was built without.
    #[error(
        "the method `{0}` is declared with runtime = \"tokio\", and this program was built without it: turn the \
         feature `tokio` of speedysvc on, beside `server`"
    )]
    NoRuntime(&'static str),
    /// Memory or descriptors that the supervisor sent cannot be used.
    #[error("cannot use {what}: {error}")]
    Resource {
        /// What.
        what: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
    /// The loop cannot go on.
    #[error("the loop's {what} failed: {error}")]
    Loop {
        /// Which phase.
        what: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}

impl StartError {
    pub(crate) fn resource(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Resource { what, error }
    }

    pub(crate) fn in_loop(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Loop { what, error }
    }
}
