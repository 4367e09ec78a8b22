//! Who is compared: each contender is a server in a process of its own, and a client step.
//!
//! Servers and clients are hidden verbs of this same program, started anew for every row of every round, so that none
//! of them inherits the heap, the page tables or the luck of another.

mod engine;
mod floors;
mod ours;
mod plain;

use std::convert::Infallible;
use std::fmt;
use std::io;

use anyhow::{Result, bail};

use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;

/// What one call looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    /// Bytes of the request, and of the reply.
    pub(crate) size: usize,
    /// Calls in flight on the one connection.
    pub(crate) depth: usize,
}

/// A kind of contender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Group {
    /// As small as it can be written.
    Floor,
    /// Sockets without any library.
    Plain,
    /// speedysvc.
    Ours,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Floor => "floor",
            Self::Plain => "plain",
            Self::Ours => "ours",
        })
    }
}

/// The client's step, connected. Replies come in the order of their requests.
pub(crate) trait Client {
    /// Begins a call.
    fn send(&mut self, request: &[u8]) -> io::Result<()>;
    /// Ends the oldest call that was begun: waits for its reply, and puts it into `reply`, which comes with the size of
    /// a reply and may be replaced by another buffer.
    fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()>;
}

/// One of those who are compared.
pub(crate) trait Contender: Sync {
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
    /// In the server's process: tells `parent` where it is, and answers until the parent goes.
    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible>;
    /// In the client's process: connects, and hands the connected client to the job.
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
    &ours::SHM,
    &ours::TCP,
];

/// Those that will: name, and what it will be.
pub(crate) const NOT_YET: &[(&str, &str)] = &[
    ("floor-uring", "raw io_uring echo with our flags, blocking"),
    ("floor-uring-spin", "the same, spinning"),
    ("floor-epoll", "raw epoll echo"),
    ("tokio-tcp", "tokio, current-thread runtimes"),
    ("tokio-uring", "tokio-uring over TCP"),
    ("axum-json", "axum over HTTP/1.1 with keep-alive, JSON bodies"),
    ("axum-raw", "the same with raw bodies"),
    ("tonic", "gRPC"),
    ("tarpc", "tarpc over TCP"),
    ("capnp", "Cap'n Proto RPC"),
    ("iceoryx2", "iceoryx2 request-response"),
    ("volo", "Volo over shared memory"),
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
        assert!(said("tonic").contains("not here yet"));
        assert!(said("spin").contains("floor-spin"));
    }
}
