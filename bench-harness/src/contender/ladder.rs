//! The flag ladder: floor-uring once for each set of setup flags.

use std::convert::Infallible;
use std::net::TcpListener;

use anyhow::Result;

use super::floors::own_version;
use super::frames::{self, Frames, fits};
use super::{Contender, Does, Group, Shape};
use crate::floors::uring::{self, Rung, Turn};
use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;

/// One rung; how it waits, and its client, too.
pub(super) struct Flags {
    name: &'static str,
    what: &'static str,
    rung: Rung,
    turn: Turn,
}

const fn rung(name: &'static str, what: &'static str, rung: Rung, turn: Turn) -> Flags {
    Flags { name, what, rung, turn }
}

pub(super) const RUNGS: [Flags; 12] = [
    rung("flags-none", "floor-uring without setup flags", Rung::Plain, Turn::Sleeping),
    rung("flags-coop", "with COOP_TASKRUN and TASKRUN_FLAG", Rung::Coop, Turn::Sleeping),
    rung("flags-single", "and SINGLE_ISSUER", Rung::Single, Turn::Sleeping),
    rung("flags-defer", "with DEFER_TASKRUN in place of COOP_TASKRUN", Rung::Defer, Turn::Sleeping),
    rung("flags-no-sqarray", "and NO_SQARRAY: floor-uring itself", Rung::NoSqArray, Turn::Sleeping),
    rung("flags-registered", "and a registered ring descriptor", Rung::Registered, Turn::Sleeping),
    rung("flags-none-spin", "floor-uring-spin without setup flags", Rung::Plain, Turn::Spinning),
    rung("flags-coop-spin", "with COOP_TASKRUN and TASKRUN_FLAG", Rung::Coop, Turn::Spinning),
    rung("flags-single-spin", "and SINGLE_ISSUER", Rung::Single, Turn::Spinning),
    rung("flags-defer-spin", "with DEFER_TASKRUN in place of COOP_TASKRUN", Rung::Defer, Turn::Spinning),
    rung("flags-no-sqarray-spin", "and NO_SQARRAY: floor-uring-spin itself", Rung::NoSqArray, Turn::Spinning),
    rung("flags-registered-spin", "and a registered ring descriptor", Rung::Registered, Turn::Spinning),
];

impl Contender for Flags {
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
        what == Does::Ladder
    }

    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        parent.end_with_it()?;
        parent.ready(&listener.local_addr()?.to_string(), &[std::process::id()])?;
        Ok(uring::serve_with(&listener, shape, self.turn, self.rung)?)
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        match self.turn {
            Turn::Spinning => job.run(|| Ok(Frames::new(frames::connect_polled(address)?, job.shape))),
            Turn::Sleeping => job.run(|| Ok(Frames::new(frames::connect(address)?, job.shape))),
        }
    }
}
