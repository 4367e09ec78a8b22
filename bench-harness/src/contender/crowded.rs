//! Sockets with more connections than are called on: those that are quiet beside those that are active.

use std::convert::Infallible;
use std::net::{TcpListener, TcpStream};

use anyhow::Result;

use super::engine::{self, Engine};
use super::floors::own_version;
use super::ours::FILE;
use super::prebuilt::{Prebuilt, framed_shape, greet};
use super::{Client, Contender, Does, Group, Shape, frames};
use crate::floors::uring::{self, Turn};
use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;

/// So many connections are open, of which the scenario's are called on.
pub(super) struct Crowded {
    name: &'static str,
    what: &'static str,
    open: usize,
    is_ours: bool,
}

pub(super) const FLOOR_64: Crowded = Crowded {
    name: "conns-64-floor",
    what: "floor-uring-framed with the connections that are called on, and no others",
    open: 64,
    is_ours: false,
};
pub(super) const FLOOR_4000: Crowded =
    Crowded { name: "conns-4000-floor", what: "the same among 4,000 connections", open: 4_000, is_ours: false };
pub(super) const OURS_64: Crowded = Crowded {
    name: "conns-64",
    what: "speedysvc-tcp-framed with the connections that are called on, and no others",
    open: 64,
    is_ours: true,
};
pub(super) const OURS_4000: Crowded =
    Crowded { name: "conns-4000", what: "the same among 4,000 connections", open: 4_000, is_ours: true };

impl Crowded {
    fn connect(&self, address: &str, shape: Shape) -> Result<Prebuilt<TcpStream>> {
        let mut stream = frames::connect(address)?;
        let method = if self.is_ours { Some(greet(&mut stream)?) } else { None };
        Ok(Prebuilt::new(stream, shape, method))
    }
}

impl Contender for Crowded {
    fn name(&self) -> &'static str {
        self.name
    }

    fn group(&self) -> Group {
        if self.is_ours { Group::Ours } else { Group::Floor }
    }

    fn what(&self) -> &'static str {
        self.what
    }

    fn version(&self) -> String {
        if self.is_ours { engine::version().unwrap_or_else(|_| "not built".into()) } else { own_version() }
    }

    fn takes(&self, shape: Shape) -> bool {
        shape.depth == 1 && shape.connections <= self.open
    }

    fn does(&self, what: Does) -> bool {
        what == Does::Links
    }

    fn missing(&self) -> Option<String> {
        engine::program().err().filter(|_| self.is_ours).map(|error| format!("{error:#}"))
    }

    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible> {
        if self.is_ours {
            let engine = Engine::start(FILE)?;
            let address = engine.tcp_address("echo")?.replace("tcp://", "");
            parent.ready(&address, &engine.processes()?)?;
            parent.wait_for_its_end();
            engine.stop();
            std::process::exit(0)
        }
        let listener = TcpListener::bind("127.0.0.1:0")?;
        parent.end_with_it()?;
        parent.ready(&listener.local_addr()?.to_string(), &[std::process::id()])?;
        Ok(uring::serve(&listener, framed_shape(shape), Turn::Sleeping)?)
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        let mut quiet = vec![];
        for number in job.shape.connections..self.open {
            match self.connect(address, job.shape) {
                Ok(client) => quiet.push(client),
                Err(error) => return Ok(Outcome::skipped(format!("stopped at {number} connections: {error:#}"))),
            }
        }
        // Each had a call once.
        let (request, mut reply) = (vec![7; job.shape.size], vec![0; job.shape.size]);
        for client in &mut quiet {
            client.send(&request)?;
            client.receive(&mut reply)?;
            anyhow::ensure!(reply == request, "the reply is not what was sent");
        }
        let outcome = job.run(|| self.connect(address, job.shape));
        drop(quiet);
        outcome
    }
}
