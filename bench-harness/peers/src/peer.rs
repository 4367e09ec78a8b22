//! What every peer here is to the harness.

use std::convert::Infallible;
use std::net::TcpListener;

use anyhow::Result;
use bench_harness::{Contender, Group, Job, Outcome, Parent, Shape};

/// More than any message of a row has: room for those whose default is less.
pub const MESSAGE_MAX: usize = 64 * 1024 * 1024;

/// A peer: its name in the harness's catalogue, its version by our lock file, and its two sides.
pub struct Peer {
    pub name: &'static str,
    pub version: &'static str,
    pub serve: fn(Shape, &Parent) -> Result<Infallible>,
    pub drive: fn(&str, &Job) -> Result<Outcome>,
}

impl Contender for Peer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn group(&self) -> Group {
        Group::Peer
    }

    fn what(&self) -> &'static str {
        "the harness's catalogue says it"
    }

    fn version(&self) -> String {
        self.version.into()
    }

    /// The harness starts this program only for shapes that its catalogue lets pass.
    fn takes(&self, _: Shape) -> bool {
        true
    }

    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible> {
        (self.serve)(shape, parent)
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        (self.drive)(address, job)
    }
}

/// Listens on loopback and says where. Clients that come before the first `accept` wait in the kernel.
pub fn listen(parent: &Parent) -> Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    parent.end_with_it()?;
    parent.ready(&listener.local_addr()?.to_string(), &[std::process::id()])?;
    Ok(listener)
}
