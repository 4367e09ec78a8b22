//! Who is compared: each contender is a server in a process of its own, and a client step.
//!
//! Servers and clients are hidden verbs of this same program, started anew for every row of every round, so that none
//! of them inherits the heap, the page tables or the luck of another.

mod axum;
mod crowded;
mod engine;
mod floors;
mod frames;
mod http;
mod ladder;
mod links;
mod ours;
mod peers;
mod plain;
mod prebuilt;
mod raw;
mod tokio;
mod work;

pub(crate) use engine::Engine;
pub(crate) use ours::OneByOne;
pub(crate) use work::work;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;

/// What one call looks like.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

/// A kind of scenario, as far as contenders differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Does {
    /// Answers what it was sent, in shapes that it [takes](Contender::takes).
    Echo,
    /// The same, on any number of connections that are hardly used.
    Idle,
    /// The same with links beside the connections that nobody calls on.
    Links,
    /// The same once for each set of io_uring's setup flags.
    Ladder,
    /// The same from several threads.
    Threads,
    /// Works as long as it is told.
    Work,
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
    /// One call while no other is in flight.
    ///
    /// # Errors
    /// When it fails.
    #[inline]
    fn call(&mut self, request: &[u8], reply: &mut Vec<u8>) -> io::Result<()> {
        self.send(request)?;
        self.receive(reply)
    }
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
    /// Which scenarios it is made for.
    fn does(&self, what: Does) -> bool {
        what == Does::Echo
    }
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
    &raw::URING,
    &raw::URING_SPIN,
    &raw::EPOLL,
    &prebuilt::URING,
    &prebuilt::URING_SPIN,
    &prebuilt::EPOLL,
    &plain::Tcp,
    &plain::TcpPoll,
    &plain::Unix,
    &tokio::Tokio,
    &axum::RAW,
    &axum::JSON,
    &peers::TOKIO_URING,
    &peers::TONIC,
    &peers::TARPC,
    &peers::CAPNP,
    &peers::ICEORYX2,
    &peers::VOLO,
    &ours::SHM,
    &ours::SHM_ASLEEP,
    &ours::TCP,
    &ours::TCP_EPOLL,
    &ours::TCP_LZ4,
    &ours::UNIX,
    &http::Http,
    &links::LINKS_64,
    &links::LINKS_100,
    &links::LINKS_1000,
    &links::LINKS_4000,
    &links::OWN,
    &links::SHARED,
    &prebuilt::OURS,
    &prebuilt::OURS_POLLED,
    &prebuilt::OURS_EPOLL,
    &prebuilt::OURS_EPOLL_POLLED,
    &crowded::FLOOR_64,
    &crowded::FLOOR_4000,
    &crowded::OURS_64,
    &crowded::OURS_4000,
    &ladder::RUNGS[0],
    &ladder::RUNGS[1],
    &ladder::RUNGS[2],
    &ladder::RUNGS[3],
    &ladder::RUNGS[4],
    &ladder::RUNGS[5],
    &ladder::RUNGS[6],
    &ladder::RUNGS[7],
    &ladder::RUNGS[8],
    &ladder::RUNGS[9],
    &ladder::RUNGS[10],
    &ladder::RUNGS[11],
    &work::SHM,
    &work::SPLIT,
    &work::HOME,
    &work::TCP,
];

/// Those that will: name, and what it will be.
pub(crate) const NOT_YET: &[(&str, &str)] = &[
    ("work-axum", "axum with a handler that works as long as it is told"),
    ("work-tonic", "tonic with the same handler"),
    ("speedysvc-raw", "ours with raw bodies instead of rkyv"),
];

/// The locked version of a library that is a contender in this program.
fn version_of(library: &str) -> String {
    const LOCK: &str = include_str!("../../../Cargo.lock");
    let entry = LOCK.split_once(&format!("name = \"{library}\"\nversion = \""));
    let version = entry.and_then(|(_, rest)| rest.split('"').next());
    format!("{library} {}", version.unwrap_or("of an unknown version"))
}

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
    fn libraries_have_versions() {
        for library in ["axum", "hyper", "tokio"] {
            assert!(version_of(library).split_once(' ').unwrap().1.starts_with(|first: char| first.is_ascii_digit()));
        }
    }

    #[test]
    fn a_wrong_name_says_what_there_is() {
        let said = |name| find(name).err().unwrap().to_string();
        assert!(said("speedysvc-raw").contains("not here yet"));
        assert!(said("spin").contains("floor-spin"));
    }
}
