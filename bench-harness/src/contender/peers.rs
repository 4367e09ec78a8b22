//! Peers with many dependencies. They live in a workspace of their own, as a program that the harness starts for them.

use std::convert::Infallible;
use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use super::{Contender, Group, Shape};
use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;

const PROGRAM: &str = "bench-peers";
/// Where it is named when it is in none of the usual places.
const VARIABLE: &str = "BENCH_PEERS";
const BUILD: &str = "cargo build --release --manifest-path bench-harness/peers/Cargo.toml";

/// One peer, as this program knows it.
pub(super) struct Peer {
    name: &'static str,
    what: &'static str,
    depth_max: usize,
    connections_max: usize,
}

pub(super) const TOKIO_URING: Peer = Peer {
    name: "tokio-uring",
    what: "tokio-uring over TCP on loopback, TCP_NODELAY, one frame a write",
    depth_max: 64,
    connections_max: 1024,
};
pub(super) const TONIC: Peer = Peer {
    name: "tonic",
    what: "gRPC with tonic and prost, unary calls with a bytes field, current-thread runtimes",
    depth_max: 64,
    connections_max: 256,
};
pub(super) const TARPC: Peer = Peer {
    name: "tarpc",
    what: "tarpc over TCP with bincode, current-thread runtimes",
    depth_max: 64,
    connections_max: 256,
};
pub(super) const CAPNP: Peer = Peer {
    name: "capnp",
    what: "Cap'n Proto RPC over TCP, current-thread runtimes",
    depth_max: 64,
    connections_max: 256,
};
pub(super) const ICEORYX2: Peer = Peer {
    name: "iceoryx2",
    what: "iceoryx2 request-response over shared memory, both sides spin, loaned samples",
    depth_max: 64,
    connections_max: 1,
};
pub(super) const VOLO: Peer = Peer { name: "volo", what: "Volo over shared memory", depth_max: 1, connections_max: 1 };

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
        shape.depth <= self.depth_max && shape.connections <= self.connections_max
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
