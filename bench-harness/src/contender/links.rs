//! Ours over shared memory, with more to look at than one client: links that are attached and quiet beside those that
//! are called on, and threads that share a client.

use std::convert::Infallible;

use anyhow::Result;

use super::engine;
use super::ours::{Calls, EchoClient, SHM, Started};
use super::{Contender, Does, Group, Shape};
use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;

/// So many links are attached, of which the scenario's are called on.
pub(super) struct Links {
    name: &'static str,
    what: &'static str,
    attached: usize,
}

pub(super) const LINKS_64: Links =
    Links { name: "links-64", what: "speedysvc-shm with the links that are called on, and no others", attached: 64 };
pub(super) const LINKS_100: Links = Links { name: "links-100", what: "the same among 100 links", attached: 100 };
pub(super) const LINKS_1000: Links = Links { name: "links-1000", what: "the same among 1,000 links", attached: 1_000 };
pub(super) const LINKS_4000: Links = Links { name: "links-4000", what: "the same among 4,000 links", attached: 4_000 };

/// Threads that make blocking calls.
pub(super) struct Threads {
    name: &'static str,
    what: &'static str,
    share: bool,
}

pub(super) const OWN: Threads =
    Threads { name: "threads-own", what: "speedysvc-shm with a client, and so a link, for each thread", share: false };
pub(super) const SHARED: Threads =
    Threads { name: "threads-shared", what: "speedysvc-shm with one client that all threads share", share: true };

impl Contender for Links {
    fn name(&self) -> &'static str {
        self.name
    }

    fn group(&self) -> Group {
        Group::Ours
    }

    fn what(&self) -> &'static str {
        self.what
    }

    fn version(&self) -> String {
        SHM.version()
    }

    fn takes(&self, shape: Shape) -> bool {
        shape.connections <= self.attached
    }

    fn does(&self, what: Does) -> bool {
        what == Does::Links
    }

    fn missing(&self) -> Option<String> {
        SHM.missing()
    }

    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible> {
        SHM.serve(shape, parent)
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        let (mut quiet, active) = (vec![], job.shape.connections);
        for number in active..self.attached {
            match EchoClient::connect(address) {
                Ok(client) => quiet.push(client),
                Err(error) => return Ok(Outcome::skipped(format!("stopped at {number} links: {error}"))),
            }
        }
        // Each was hot once: a link that was never called on has not even been polled.
        for client in &quiet {
            client.echo_bytes(b"once")?;
        }
        let clients = (0..active).map(|_| EchoClient::connect(address));
        let clients = clients.collect::<Result<Vec<EchoClient>, speedysvc::Error>>()?;
        let mut next = clients.iter();
        let outcome = job.run(|| Started::next_of(&mut next, job.shape));
        drop(quiet);
        outcome
    }
}

impl Contender for Threads {
    fn name(&self) -> &'static str {
        self.name
    }

    fn group(&self) -> Group {
        Group::Ours
    }

    fn what(&self) -> &'static str {
        self.what
    }

    fn version(&self) -> String {
        engine::version().unwrap_or_else(|_| "not built".into())
    }

    fn takes(&self, shape: Shape) -> bool {
        shape.depth == 1
    }

    fn does(&self, what: Does) -> bool {
        what == Does::Threads
    }

    fn missing(&self) -> Option<String> {
        SHM.missing()
    }

    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible> {
        SHM.serve(shape, parent)
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        let first = EchoClient::connect(address)?;
        let of_thread = |_| if self.share { Ok(first.clone()) } else { EchoClient::connect(address) };
        let clients = (0..job.shape.connections).map(of_thread).map(|client| client.map(Calls::of));
        job.run_threads(clients.collect::<Result<_, speedysvc::Error>>()?)
    }
}
