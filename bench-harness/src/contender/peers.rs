//! Peers with many dependencies. They live in a workspace of their own, as a program that the harness starts for them.

use std::convert::Infallible;
use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use super::frames::fits;
use super::{Contender, Group, Shape};
use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;

const PROGRAM: &str = "bench-peers";
/// Where it is named when it is in none of the usual places.
const VARIABLE: &str = "BENCH_PEERS";
const BUILD: &str = "cargo build --release --manifest-path bench-harness/peers/Cargo.toml";

/// Calls in flight on one connection of those that take several.
const DEPTH_MAX: usize = 64;
/// Connections of those that take several.
const CONNECTIONS_MAX: usize = 1024;

/// One peer, as this program knows it.
pub(super) struct Peer {
    name: &'static str,
    what: &'static str,
    takes: fn(Shape) -> bool,
}

pub(super) const TOKIO_URING: Peer = Peer {
    name: "tokio-uring",
    what: "tokio-uring over TCP on both sides, default ring, a task per connection, TCP_NODELAY; unmaintained",
    takes: |shape| multiplexes(shape) && fits(shape),
};
pub(super) const TONIC: Peer = Peer {
    name: "tonic",
    what: "gRPC with tonic and prost over TCP, unary calls with a bytes field (Bytes), N in flight on one HTTP/2 \
           connection, windows of 4 MiB, current-thread runtimes, TCP_NODELAY",
    takes: multiplexes,
};
pub(super) const TARPC: Peer = Peer {
    name: "tarpc",
    what: "tarpc over TCP with bincode, bodies by serde_bytes, a task per call, current-thread runtimes, TCP_NODELAY",
    takes: multiplexes,
};
pub(super) const CAPNP: Peer = Peer {
    name: "capnp",
    what: "Cap'n Proto RPC over TCP, Data in and out of buffered streams, current-thread runtimes, TCP_NODELAY",
    takes: multiplexes,
};
pub(super) const ICEORYX2: Peer = Peer {
    name: "iceoryx2",
    what: "iceoryx2 request-response over shared memory, slices of u8 in loaned uninitialised samples, both sides spin",
    takes: |shape| shape.depth <= DEPTH_MAX && shape.connections == 1,
};
pub(super) const VOLO: Peer = Peer {
    name: "volo",
    what: "Volo's Thrift over shared memory (shmipc, eventfd wakeups, otherwise its defaults), a stream per call in \
           flight, current-thread runtimes",
    takes: |shape| shape.depth <= DEPTH_MAX && shape.connections == 1 && shape.size * shape.depth <= VOLO_MEMORY,
};
/// Bytes in flight that, as requests and as replies, fill half of its default memory.
const VOLO_MEMORY: usize = 8 * 1024 * 1024;

fn multiplexes(shape: Shape) -> bool {
    shape.depth <= DEPTH_MAX && shape.connections <= CONNECTIONS_MAX
}

/// The program: beside this one, or in its own workspace below the folder that one stands in.
fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE) {
        return Some(named.into());
    }
    let own = env::current_exe().ok()?;
    let beside = own.with_file_name(PROGRAM);
    let in_workspace = |folder: PathBuf| folder.join("bench-harness/peers/target/release").join(PROGRAM);
    // target/release/bench-harness: the workspace is three up.
    let up = own.ancestors().nth(3).map(|folder| in_workspace(folder.into()));
    let here = env::current_dir().ok().map(in_workspace);
    [Some(beside), up, here].into_iter().flatten().find(|path| path.is_file())
}

impl Contender for Peer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn group(&self) -> Group {
        Group::Peer
    }

    fn what(&self) -> &'static str {
        self.what
    }

    fn version(&self) -> String {
        let asked = program().map(|program| Command::new(program).args(["version", self.name]).output());
        match asked {
            Some(Ok(output)) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            _ => "not built".into(),
        }
    }

    fn takes(&self, shape: Shape) -> bool {
        (self.takes)(shape)
    }

    fn missing(&self) -> Option<String> {
        match self.version().as_str() {
            "not built" => Some(format!("not built: run `{BUILD}`")),
            _ => None,
        }
    }

    fn program(&self) -> Option<PathBuf> {
        program()
    }

    fn serve(&self, _: Shape, _: &Parent) -> Result<Infallible> {
        bail!("{} is in the program {PROGRAM}, not in this one", self.name)
    }

    fn drive(&self, _: &str, _: &Job) -> Result<Outcome> {
        bail!("{} is in the program {PROGRAM}, not in this one", self.name)
    }
}
