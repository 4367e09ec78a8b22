//! Who is compared: each contender is a server in a process of its own, and a client step.
//!
//! Servers and clients are hidden verbs of this same program, started anew for every row of every round, so that none
//! of them inherits the heap, the page tables or the luck of another.

mod engine;
mod floors;
mod ours;
mod peers;
mod plain;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;

/// What one call looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Bytes of the request, and of the reply.
    pub size: usize,
    /// Calls in flight on each connection.
    pub depth: usize,
    /// Connections of the one client process.
    pub connections: usize,
}

impl Shape {
    /// Calls on one connection.
    #[must_use]
    pub const fn new(size: usize, depth: usize) -> Self {
        Self { size, depth, connections: 1 }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, depth, connections } = self;
        match (depth, connections) {
            (1, 1) => write!(f, "{size}"),
            (_, 1) => write!(f, "{depth}x{size}"),
            _ => write!(f, "{connections}x{depth}x{size}"),
        }
    }
}

/// A kind of contender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// As small as it can be written.
    Floor,
    /// Sockets without any library.
    Plain,
    /// What others have made.
    Peer,
    /// speedysvc.
    Ours,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Floor => "floor",
            Self::Plain => "plain",
            Self::Peer => "peer",
            Self::Ours => "ours",
        })
    }
}

/// The client's step on one connection. Replies come in the order of their requests.
pub trait Client {
    /// Begins a call.
    ///
    /// # Errors
    /// When it cannot be begun, or another has failed.
    fn send(&mut self, request: &[u8]) -> io::Result<()>;
    /// Ends the oldest call that was begun: waits for its reply, and puts it into `reply`, which comes with the size of
    /// a reply and may be replaced by another buffer.
    ///
    /// # Errors
    /// When the call fails.
    fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()>;
}

/// One of those who are compared.
pub trait Contender: Sync {
    /// As in tables and on the command line.
    fn name(&self) -> &'static str;
    /// Its kind.
    fn group(&self) -> Group;
    /// What it is, in a sentence, with the settings it gets.
    fn what(&self) -> &'static str;
    /// Which version of it this is.
    fn version(&self) -> String;
    /// Whether it can do calls of this shape at all.
    fn takes(&self, shape: Shape) -> bool;
    /// What to do before it can run, when there is something.
    fn missing(&self) -> Option<String> {
        None
    }
    /// The program that holds it; none when it is this one.
    fn program(&self) -> Option<PathBuf> {
        None
    }
    /// In the server's process: tells `parent` where it is, and answers until the parent goes.
    ///
    /// # Errors
    /// Why it cannot serve.
    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible>;
    /// In the client's process: hands a way to connect to the job.
    ///
    /// # Errors
    /// When there is no connection, a call fails, or a reply is wrong.
    fn drive(&self, address: &str, job: &Job) -> Result<Outcome>;
}

/// Those that exist.
pub(crate) const ALL: &[&dyn Contender] = &[
    &floors::SPIN,
    &floors::TWO_AREAS,
    &floors::ONE_AREA,
    &floors::FUTEX,
    &floors::Ring,
    &plain::Tcp,
    &plain::TcpPoll,
    &plain::Unix,
    &peers::TOKIO_URING,
    &peers::TONIC,
    &peers::TARPC,
    &peers::CAPNP,
    &peers::ICEORYX2,
    &peers::VOLO,
    &ours::SHM,
    &ours::TCP,
];

/// Those that will: name, and what it will be.
pub(crate) const NOT_YET: &[(&str, &str)] = &[
    ("floor-uring", "raw io_uring echo with our flags, blocking"),
    ("floor-uring-spin", "the same, spinning"),
    ("floor-epoll", "raw epoll echo"),
    ("tokio-tcp", "tokio, current-thread runtimes"),
    ("axum-json", "axum over HTTP/1.1 with keep-alive, JSON bodies"),
    ("axum-raw", "the same with raw bodies"),
    ("speedysvc-unix", "ours over a Unix socket"),
    ("speedysvc-http", "ours over HTTP with JSON"),
    ("speedysvc-raw", "ours with raw bodies instead of rkyv"),
];

/// The contender of this name.
pub(crate) fn find(name: &str) -> Result<&'static dyn Contender> {
    if let Some(found) = ALL.iter().find(|contender| contender.name() == name) {
        return Ok(*found);
    }
    if NOT_YET.iter().any(|(planned, _)| *planned == name) {
        bail!("`{name}` is planned and not here yet; `bench-harness list` shows what is");
    }
    let names: Vec<&str> = ALL.iter().map(|contender| contender.name()).collect();
    bail!("there is no contender `{name}`; there are: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let mut names: Vec<&str> = ALL.iter().map(|contender| contender.name()).collect();
        assert!(names.iter().all(|name| find(name).is_ok()));
        names.extend(NOT_YET.iter().map(|(name, _)| name));
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn a_wrong_name_says_what_there_is() {
        let said = |name| find(name).err().unwrap().to_string();
        assert!(said("axum-raw").contains("not here yet"));
        assert!(said("spin").contains("floor-spin"));
    }
}
