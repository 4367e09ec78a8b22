//! A slot and its buffer for the time of one call, however that ends.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use speedysvc_protocol::shm::layout::Grant;
use speedysvc_protocol::shm::seq::Seq;
use speedysvc_protocol::shm::slot::GivenUp;
use speedysvc_protocol::status::Code;

use super::ShmConnection;
use super::room::{Lack, Place, Room};
use crate::call::{Ask, Stop};
use crate::clock::Deadline;
use crate::error::Error;

/// How long a waiter sleeps before it looks for itself whether the link still lives.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// The same while there are zombies: nobody tells us of their replies.
const LOOK_FOR_ZOMBIES: Duration = Duration::from_millis(5);
/// A link that was not used for this long may have lost its broker meanwhile: worth a system call to know.
const STALE_NS: u64 = 100_000_000;
/// Blocks from this size on give their pages back when freed...
const RELEASE_FROM: u64 = 1 << 20;
/// ...except the first of the heap, which are given out first: one caller's large calls find their pages warm.
const KEEP_WARM: u64 = 8 << 20;

/// How far the call in the slot has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing is published, or all that was is settled: the slot may be used again.
    Settled,
    /// A request is out.
    Posted,
}

/// A slot and a buffer. When dropped they are given back, or kept out of use while a late reply may still come.
pub(super) struct Lease<'a> {
    home: &'a ShmConnection,
    place: Place,
    stage: Stage,
}

impl<'a> Lease<'a> {
    /// Waits for a slot and a buffer of at least `len` bytes.
    pub(super) fn take(home: &'a ShmConnection, len: u64, ask: &Ask<'_>) -> Result<Self, Stop> {
        let mut room = home.room();
        if ask.begun_ns.saturating_sub(room.used_ns) > STALE_NS && home.is_hung_up() {
            return Err(home.gone());
        }
        room.used_ns = room.used_ns.max(ask.begun_ns);
        if !room.could_hold(len) {
            let message = format!("a buffer of {len} bytes is larger than this link's memory");
            return Err(Error::not_started(Code::ResourceExhausted, message).into());
        }
        let place = home.when_there_is(room, ask.deadline, |room| room.take(len))?;
        Ok(Self { home, place, stage: Stage::Settled })
    }

    pub(super) fn slot(&self) -> usize {
        self.place.slot
    }

    pub(super) fn grant(&self) -> Grant {
        self.place.grant
    }

    /// The number of the call in the slot.
    pub(super) fn seq(&self) -> Seq {
        self.place.seq
    }

    /// The number for a request that is posted next. When there are none left the link must be made anew.
    pub(super) fn next_seq(&mut self) -> Result<Seq, Stop> {
        let Some(seq) = self.place.seq.next() else {
            self.home.set_broken();
            return Err(Stop::again("a slot of this link has used up its numbers"));
        };
        self.place.seq = seq;
        self.stage = Stage::Posted;
        Ok(seq)
    }

    /// The reply is there: slot and buffer are the client's again.
    pub(super) fn settle(&mut self) {
        self.stage = Stage::Settled;
    }

    /// Gives the call up (rule 12). After [`GivenUp::NotStarted`] slot and buffer are free at once.
    pub(super) fn give_up(&mut self) -> GivenUp {
        let verdict = self.home.link.slot(self.place.slot).give_up(self.place.seq);
        if verdict == GivenUp::NotStarted {
            self.settle();
        }
        verdict
    }

    /// Exchanges the buffer of a settled call for one of at least `len` bytes. The old one goes first: nothing in it is
    /// needed, and callers that held one while waiting for another could wait for each other.
    pub(super) fn regrant(&mut self, len: u64, deadline: Deadline) -> Result<(), Stop> {
        if len <= self.place.grant.capacity {
            return Ok(());
        }
        let (slot, old) = (self.place.slot, self.place.grant);
        self.place.grant = self.home.link.geometry().slot_grant(slot);
        self.home.let_go(old);
        let mut room = self.home.room();
        room.give_back_grant(old);
        self.home.tell_waiting(&room);
        if !room.could_hold(len) {
            let message = format!("{len} bytes are more than this link's memory");
            return Err(Error::done(Code::ResourceExhausted, message).into());
        }
        self.place.grant = self.home.when_there_is(room, deadline, |room| room.grant(slot, len).ok_or(Lack::Memory))?;
        Ok(())
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let caller = self.home.link.slot(self.place.slot);
        let open = self.stage == Stage::Posted && caller.poll(self.place.seq).is_none();
        let zombie = open && self.give_up() == GivenUp::Claimed;
        if !zombie {
            self.home.let_go(self.place.grant);
        }
        let mut room = self.home.room();
        if zombie {
            room.bury(self.place);
        } else {
            room.give_back(self.place);
            self.home.tell_waiting(&room);
        }
    }
}

impl ShmConnection {
    pub(super) fn room(&self) -> MutexGuard<'_, Room> {
        // Nothing that holds this lock can panic half-way through a change.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_waiting(&self, room: &Room) {
        // Different waiters want different things, so all of them look.
        if room.waiting > 0 {
            self.freed.notify_all();
        }
    }

    /// Waits until `find` finds what it wants in the room.
    fn when_there_is<T>(
        &self,
        mut room: MutexGuard<'_, Room>,
        deadline: Deadline,
        mut find: impl FnMut(&mut Room) -> Result<T, Lack>,
    ) -> Result<T, Stop> {
        loop {
            if room.has_zombies() {
                room.revive(|place| self.link.slot(place.slot).poll(place.seq).is_some());
            }
            let lack = match find(&mut room) {
                Ok(found) => return Ok(found),
                Err(lack) => lack,
            };
            let Some(left) = deadline.left() else { return Err(self.lacks(lack).into()) };
            if !self.is_usable() || self.is_hung_up() {
                return Err(self.gone());
            }
            let longest = if room.has_zombies() { LOOK_FOR_ZOMBIES } else { LOOK_AGAIN };
            room.waiting += 1;
            room = self.freed.wait_timeout(room, left.min(longest)).unwrap_or_else(PoisonError::into_inner).0;
            room.waiting -= 1;
        }
    }

    fn lacks(&self, lack: Lack) -> Error {
        let message = match lack {
            Lack::Slots => format!("all {} slots of this link are in use", self.link.geometry().slots()),
            Lack::Memory => format!("all {} bytes of this link's memory are in use", self.link.geometry().heap()),
        };
        Error::not_started(Code::ResourceExhausted, message)
    }

    /// Before a block is freed: gives the pages of bursts back to the system.
    fn let_go(&self, grant: Grant) {
        let warm_end = self.link.geometry().heap_offset() + KEEP_WARM;
        let end = grant.offset + grant.capacity;
        if grant.capacity < RELEASE_FROM || end <= warm_end {
            return;
        }
        let offset = grant.offset.max(warm_end);
        let released = self.link.release(Grant { offset, capacity: end - offset });
        // Failing costs nothing but memory that stays in use until the link goes.
        debug_assert!(released.is_ok(), "{released:?}");
    }
}
