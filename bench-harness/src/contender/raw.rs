//! The floors of sockets: echo servers that use the kernel directly, and clients of the standard library.

use std::convert::Infallible;
use std::net::TcpListener;

use anyhow::Result;

use super::floors::own_version;
use super::frames::{self, Frames, fits};
use super::{Contender, Does, Group, Shape};
use crate::floors::epoll;
use crate::floors::uring::{self, Turn};
use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;

/// A server, and how its client waits.
pub(super) struct Raw {
    name: &'static str,
    what: &'static str,
    server: Server,
}

enum Server {
    Epoll,
    Uring(Turn),
}

pub(super) const URING: Raw = Raw {
    name: "floor-uring",
    what: "raw io_uring TCP echo with our flags: multishot accept and recv, provided buffers, submit_and_wait(1); \
           the client is that of std-tcp",
    server: Server::Uring(Turn::Sleeping),
};
pub(super) const URING_SPIN: Raw = Raw {
    name: "floor-uring-spin",
    what: "the same, but the server looks at the queues in memory and enters only to send and to receive; \
           the client is that of std-tcp-poll",
    server: Server::Uring(Turn::Spinning),
};
pub(super) const EPOLL: Raw = Raw {
    name: "floor-epoll",
    what: "raw epoll TCP echo, edge-triggered, one thread; the client is that of std-tcp",
    server: Server::Epoll,
};

impl Contender for Raw {
    fn name(&self) -> &'static str {
        self.name
    }

    fn group(&self) -> Group {
        Group::Floor
    }

    fn what(&self) -> &'static str {
        self.what
    }

    fn version(&self) -> String {
        own_version()
    }

    fn takes(&self, shape: Shape) -> bool {
        fits(shape)
    }

    fn does(&self, what: Does) -> bool {
        match what {
            Does::Echo => true,
            // Who spins is never idle.
            Does::Idle => !matches!(self.server, Server::Uring(Turn::Spinning)),
            Does::Work | Does::Links | Does::Threads | Does::Ladder => false,
        }
    }

    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        parent.end_with_it()?;
        parent.ready(&listener.local_addr()?.to_string(), &[std::process::id()])?;
        match self.server {
            Server::Epoll => Ok(epoll::serve(&listener, shape)?),
            Server::Uring(turn) => Ok(uring::serve(&listener, shape, turn)?),
        }
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        match self.server {
            Server::Uring(Turn::Spinning) => job.run(|| Ok(Frames::new(frames::connect_polled(address)?, job.shape))),
            Server::Epoll | Server::Uring(Turn::Sleeping) => {
                job.run(|| Ok(Frames::new(frames::connect(address)?, job.shape)))
            }
        }
    }
}
