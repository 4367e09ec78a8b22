//! The floors by name.

use std::convert::Infallible;
use std::marker::PhantomData;

use anyhow::Result;

use super::{Contender, Group, Shape};
use crate::floors::area::Line;
use crate::floors::ping_pong::{self, Payload, PingPong, Sleeping, Spinning, Wait};
use crate::floors::ring;
use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;

/// What floors have for a version: they are this program.
pub(super) fn own_version() -> String {
    format!("bench-harness {}", env!("CARGO_PKG_VERSION"))
}

fn fits_a_line(shape: Shape) -> bool {
    shape.size <= Line::ROOM && shape.size.is_multiple_of(8)
}

/// Two flags, one each way.
pub(super) struct Flags<W> {
    name: &'static str,
    what: &'static str,
    /// Beyond what rides in the flag's line.
    large: Option<Payload>,
    small: Option<Payload>,
    wait: PhantomData<W>,
}

pub(super) const SPIN: Flags<Spinning> = Flags {
    name: "floor-spin",
    what: "two cache lines of a memfd, both sides spin; the payload rides in the flag's line (up to 56 B)",
    small: Some(Payload::Inline),
    large: None,
    wait: PhantomData,
};
pub(super) const TWO_AREAS: Flags<Spinning> = Flags {
    name: "floor-two-areas",
    what: "the same flags; memcpy into a request area, from there to a reply area, and out",
    small: Some(Payload::TwoAreas),
    large: Some(Payload::TwoAreas),
    wait: PhantomData,
};
pub(super) const ONE_AREA: Flags<Spinning> = Flags {
    name: "floor-one-area",
    what: "the same flags; memcpy in, the server copies out and writes the reply over the request, memcpy out",
    small: Some(Payload::OneArea),
    large: Some(Payload::OneArea),
    wait: PhantomData,
};
pub(super) const FUTEX: Flags<Sleeping> = Flags {
    name: "floor-futex",
    what: "as floor-spin, then floor-two-areas, but both sides sleep on a futex at once and always wake",
    small: Some(Payload::Inline),
    large: Some(Payload::TwoAreas),
    wait: PhantomData,
};

impl<W> Flags<W> {
    fn payload(&self, shape: Shape) -> Option<Payload> {
        if fits_a_line(shape) { self.small } else { self.large }
    }

    fn payload_of_row(&self, shape: Shape) -> Result<Payload> {
        self.payload(shape).ok_or_else(|| anyhow::anyhow!("{} cannot carry {} bytes", self.name, shape.size))
    }
}

impl<W: Wait + Sync> Contender for Flags<W> {
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
        shape.connections == 1 && shape.depth == 1 && self.payload(shape).is_some()
    }

    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible> {
        let payload = self.payload_of_row(shape)?;
        let area = payload.area(shape.size)?;
        parent.end_with_it()?;
        parent.ready(&area.address(), &[std::process::id()])?;
        Ok(ping_pong::serve::<W>(&area, payload, shape.size)?)
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        let payload = self.payload_of_row(job.shape)?;
        job.run(|| Ok(PingPong::<W>::connect(address, payload)?))
    }
}

/// Two rings of slots.
pub(super) struct Ring;

impl Contender for Ring {
    fn name(&self) -> &'static str {
        "floor-ring"
    }

    fn group(&self) -> Group {
        Group::Floor
    }

    fn what(&self) -> &'static str {
        "two single-writer rings of 64 one-line slots, both sides spin (up to 56 B, up to 64 in flight)"
    }

    fn version(&self) -> String {
        own_version()
    }

    fn takes(&self, shape: Shape) -> bool {
        shape.connections == 1 && fits_a_line(shape) && shape.depth <= ring::DEPTH
    }

    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible> {
        let area = ring::area()?;
        parent.end_with_it()?;
        parent.ready(&area.address(), &[std::process::id()])?;
        Ok(ring::serve(&area, shape.size)?)
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        job.run(|| Ok(ring::Ring::connect(address)?))
    }
}
