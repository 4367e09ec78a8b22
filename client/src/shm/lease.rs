//! A slot and its buffer for the time of one call, however that ends.

use std::mem;
use std::ops::Deref;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use speedysvc_protocol::shm::layout::{Grant, SLOT_BUFFER};
use speedysvc_protocol::shm::seq::Seq;
use speedysvc_protocol::shm::slot::GivenUp;
use speedysvc_protocol::status::Code;

use super::queue::{self, Ticket};
use super::room::{Lack, Place, Room};
use super::{ShmConnection, own};
use crate::call::{Ask, Stop};
use crate::clock::Deadline;
use crate::error::Error;

/// How long a waiter sleeps before it looks for itself whether the link still lives.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// The same while there are zombies: nobody tells us of their replies.
pub(super) const LOOK_FOR_ZOMBIES: Duration = Duration::from_millis(5);
/// A slot that was not used for this long: its link may have lost its broker meanwhile. Worth a system call to know.
const STALE_NS: u64 = 100_000_000;

/// How far the call in the slot has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing is published, or all that was is settled: the slot may be used again.
    Settled,
    /// A request is out.
    Posted,
}

/// A slot and a buffer. When dropped they are given back, or kept out of use while a late reply may still come.
pub(super) struct Lease<H: Deref<Target = ShmConnection>> {
    home: H,
    place: Place,
    stage: Stage,
}

impl<'a> Lease<&'a ShmConnection> {
    /// Waits for a slot and a buffer of at least `len` bytes.
    #[inline]
    pub(super) fn take(home: &'a Arc<ShmConnection>, len: u64, ask: &Ask<'_>) -> Result<Self, Stop> {
        let slot = match own::take(home).or_else(|| home.slots.take()) {
            Some(slot) => slot,
            None => home.wait_for_slot(ask.deadline)?,
        };
        let mut lease = Self::of(home, slot);
        lease.check_link(ask.begun_ns)?;
        lease.regrant(len, ask.deadline)?;
        Ok(lease)
    }

    /// Leaves a call that is out to who [makes a lease of it](Lease::posted) again. Its number.
    #[inline]
    pub(super) fn leave_posted(self) -> Seq {
        let seq = self.place.seq;
        mem::forget(self);
        seq
    }

    /// The slot that this thread keeps, if it has one here.
    #[inline]
    pub(super) fn take_kept(home: &'a ShmConnection, now_ns: u64) -> Option<Self> {
        own::take_kept(home).and_then(|slot| Self::of_fresh(home, slot, now_ns))
    }

    /// For who has taken this slot, unless it was not in use lately: then it is free again. A lease that was made first
    /// and dropped then would go by way of memory, as in [`super::short`].
    #[inline(always)]
    pub(super) fn of_fresh(home: &'a ShmConnection, slot: usize, now_ns: u64) -> Option<Self> {
        if !home.is_fresh(slot, now_ns) {
            home.give_back_unused(slot);
            return None;
        }
        Some(Self::of(home, slot))
    }

    /// Gives a slot back that was [kept](Self::take_kept) and whose call is settled: as dropping it does, without the
    /// questions that have no other answer then.
    #[inline(always)]
    pub(super) fn give_back_kept(self) {
        debug_assert!(self.stage == Stage::Settled && self.place.grant.capacity <= SLOT_BUFFER);
        let (home, Place { slot, seq, .. }) = (self.home, self.place);
        mem::forget(self);
        home.give_back_own(slot, seq);
    }
}

/// What a lease has of its home.
pub(super) struct Parts(Place, Stage);

impl Lease<&ShmConnection> {
    /// The slot and the buffer without who holds the link, for [`Lease::from_parts`].
    #[inline]
    pub(super) fn into_parts(self) -> Parts {
        let parts = Parts(self.place, self.stage);
        mem::forget(self);
        parts
    }
}

impl<H: Deref<Target = ShmConnection>> Lease<H> {
    /// A lease of the same link, held in another way.
    #[inline]
    pub(super) fn from_parts(home: H, Parts(place, stage): Parts) -> Self {
        Self { home, place, stage }
    }

    /// For who has taken this slot: with the slot's own buffer.
    #[inline]
    pub(super) fn of(home: H, slot: usize) -> Self {
        let place = Place { slot, seq: home.slots.seq(slot), grant: home.link.geometry().slot_grant(slot) };
        Self { home, place, stage: Stage::Settled }
    }

    /// Of a call that is out, in a slot with its own buffer.
    pub(super) fn posted(home: H, slot: usize, seq: Seq) -> Self {
        let place = Place { slot, seq, grant: home.link.geometry().slot_grant(slot) };
        Self { home, place, stage: Stage::Posted }
    }

    /// Looks whether the broker still lives when the slot has not been used for long.
    #[inline]
    pub(super) fn check_link(&self, now_ns: u64) -> Result<(), Stop> {
        if self.home.is_fresh(self.place.slot, now_ns) { Ok(()) } else { self.check_stale_link() }
    }

    /// The call is out, and its worker rung for: what is noted of it may take its time now.
    #[inline]
    pub(super) fn note_use(&self, now_ns: u64) {
        self.home.slots.use_at(self.place.slot, now_ns);
        self.home.looking.note_call(now_ns);
    }

    #[cold]
    fn check_stale_link(&self) -> Result<(), Stop> {
        if self.home.is_hung_up() { Err(self.home.gone()) } else { Ok(()) }
    }

    #[inline]
    pub(super) fn home(&self) -> &H {
        &self.home
    }

    #[inline]
    pub(super) fn slot(&self) -> usize {
        self.place.slot
    }

    #[inline]
    pub(super) fn grant(&self) -> Grant {
        self.place.grant
    }

    /// The number of the call in the slot.
    #[inline]
    pub(super) fn seq(&self) -> Seq {
        self.place.seq
    }

    /// The number for a request that is posted next. When there are none left the link must be made anew.
    #[inline]
    pub(super) fn next_seq(&mut self) -> Result<Seq, Stop> {
        let Some(seq) = self.place.seq.next() else { return Err(self.home.numbers_used_up()) };
        self.place.seq = seq;
        self.stage = Stage::Posted;
        Ok(seq)
    }

    /// The reply is there: slot and buffer are the client's again.
    #[inline]
    pub(super) fn settle(&mut self) {
        self.stage = Stage::Settled;
    }

    /// Gives the call up (rule 12). After [`GivenUp::NotStarted`] slot and buffer are free at once.
    pub(super) fn give_up(&mut self) -> GivenUp {
        let verdict = self.home.link.slot(self.place.slot).give_up(self.place.seq);
        match verdict {
            GivenUp::NotStarted => self.settle(),
            // Whoever runs it beside a loop may want to stop it, and nothing else tells it to look.
            GivenUp::Claimed => self.home.ring(),
        }
        verdict
    }

    /// Exchanges the buffer of a settled call for one of at least `len` bytes. The old one goes first: nothing in it is
    /// needed, and callers that held one while waiting for another could wait for each other.
    #[inline]
    pub(super) fn regrant(&mut self, len: u64, deadline: Deadline) -> Result<(), Stop> {
        if len <= self.place.grant.capacity { Ok(()) } else { self.regrant_larger(len, deadline) }
    }

    #[cold]
    fn regrant_larger(&mut self, len: u64, deadline: Deadline) -> Result<(), Stop> {
        self.drop_grant(len)?;
        let home = &*self.home;
        self.place.grant = home.wait(Lack::Memory, deadline, |ticket, waker| home.block(len, ticket, waker))?;
        Ok(())
    }

    /// This buffer in place of the slot's own.
    pub(super) fn set_grant(&mut self, grant: Grant) {
        self.place.grant = grant;
    }

    /// Gives the buffer back, for one of `len` bytes that the link's memory could hold.
    pub(super) fn drop_grant(&mut self, len: u64) -> Result<(), Stop> {
        let own = self.home.link.geometry().slot_grant(self.place.slot);
        let old = mem::replace(&mut self.place.grant, own);
        self.home.give_back_grant(old);
        if self.home.room().could_hold(len) {
            return Ok(());
        }
        let message = format!("a buffer of {len} bytes is larger than this link's memory");
        Err(Error::not_started(Code::ResourceExhausted, message).into())
    }

    /// Keeps slot and buffer out of use, if the call can still be answered.
    #[cold]
    fn leave_open(&mut self) {
        let is_open = self.home.link.slot(self.place.slot).poll(self.place.seq).is_none();
        if is_open && self.give_up() == GivenUp::Claimed {
            self.home.room().bury(self.place);
        } else {
            self.home.give_back(self.place);
        }
    }
}

impl<H: Deref<Target = ShmConnection>> Drop for Lease<H> {
    #[inline]
    fn drop(&mut self) {
        match self.stage {
            Stage::Settled => self.home.give_back(self.place),
            Stage::Posted => self.leave_open(),
        }
    }
}

impl ShmConnection {
    #[cold]
    fn numbers_used_up(&self) -> Stop {
        self.set_broken();
        Stop::again("a slot of this link has used up its numbers")
    }

    pub(super) fn room(&self) -> MutexGuard<'_, Room> {
        // Nothing that holds this lock can panic half-way through a change.
        self.room.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a slot was in use lately, so that nobody need look for the broker.
    #[inline]
    fn is_fresh(&self, slot: usize, now_ns: u64) -> bool {
        self.slots.unused_ns(slot, now_ns) <= STALE_NS
    }

    #[inline]
    fn give_back(&self, place: Place) {
        self.give_back_grant(place.grant);
        self.give_back_own(place.slot, place.seq);
    }

    /// Gives a slot back that has its own buffer, and what is the last number that was used in it.
    #[inline(always)]
    pub(super) fn give_back_own(&self, slot: usize, seq: Seq) {
        self.slots.note_seq(slot, seq);
        if !own::keep(self, slot) {
            self.give_back_slot(slot);
        }
    }

    #[cold]
    fn give_back_unused(&self, slot: usize) {
        self.give_back_own(slot, self.slots.seq(slot));
    }

    #[inline]
    pub(super) fn give_back_slot(&self, slot: usize) {
        if self.slots.give_back(slot) {
            self.tell_first(Lack::Slots);
        }
    }

    /// A slot's own buffer needs no care.
    #[inline]
    fn give_back_grant(&self, grant: Grant) {
        if grant.capacity > SLOT_BUFFER {
            self.free(grant);
        }
    }

    #[cold]
    pub(super) fn tell_first(&self, lack: Lack) {
        let first = self.room().line(lack).first();
        // Not under the lock: a waker may do anything.
        first.into_iter().for_each(Waker::wake);
    }

    #[cold]
    fn wait_for_slot(&self, deadline: Deadline) -> Result<usize, Stop> {
        self.wait(Lack::Slots, deadline, |ticket, waker| self.slot_in_turn(ticket, waker))
    }

    /// Waits until `look` finds what it wants; `look` stands in line when it does not.
    fn wait<T>(
        &self,
        lack: Lack,
        deadline: Deadline,
        mut look: impl FnMut(&mut Option<Ticket>, &Waker) -> Option<T>,
    ) -> Result<T, Stop> {
        let (mut ticket, waker) = (None, queue::this_thread());
        let stop = loop {
            if let Some(found) = look(&mut ticket, &waker) {
                return Ok(found);
            }
            let Some(left) = deadline.left() else { break self.lacks(lack).into() };
            if !self.is_usable() || self.is_hung_up() {
                break self.gone();
            }
            let longest = if self.room().has_zombies() { LOOK_FOR_ZOMBIES } else { LOOK_AGAIN };
            thread::park_timeout(left.min(longest));
        };
        self.leave_line(lack, &mut ticket);
        Err(stop)
    }

    /// A slot, when this caller is the first in line and there is one; else a place in the line.
    pub(super) fn slot_in_turn(&self, ticket: &mut Option<Ticket>, waker: &Waker) -> Option<usize> {
        self.revive();
        let mut room = self.room();
        let line = room.line(Lack::Slots);
        let _dropped_later = line.stand(ticket, waker);
        self.slots.set_waiting(line.len());
        let slot = if line.is_first(*ticket) { self.slots.find() } else { None };
        drop(room);
        if slot.is_some() {
            self.leave_line(Lack::Slots, ticket);
        }
        slot
    }

    /// A block of at least `len` bytes, when this caller is the first in line and there is one; else a place in it.
    pub(super) fn block(&self, len: u64, ticket: &mut Option<Ticket>, waker: &Waker) -> Option<Grant> {
        self.revive();
        let mut room = self.room();
        let _dropped_later = room.line(Lack::Memory).stand(ticket, waker);
        let block = if room.line(Lack::Memory).is_first(*ticket) { room.allocate(len) } else { None };
        drop(room);
        if block.is_some() {
            self.leave_line(Lack::Memory, ticket);
        }
        block
    }

    pub(super) fn leave_line(&self, lack: Lack, ticket: &mut Option<Ticket>) {
        let mut room = self.room();
        let left = room.line(lack).leave(ticket);
        self.slots.set_waiting(room.line(Lack::Slots).len());
        drop(room);
        left.next.into_iter().for_each(Waker::wake);
    }

    /// Takes back what late replies have set free.
    pub(super) fn revive(&self) {
        let revived = self.room().revived(|place| self.link.slot(place.slot).poll(place.seq).is_some());
        revived.into_iter().for_each(|place| self.give_back(place));
    }

    pub(super) fn lacks(&self, lack: Lack) -> Error {
        let message = match lack {
            Lack::Slots => format!(
                "all {} slots of this link are in use; a started call keeps its slot until it is waited for",
                self.slots.count()
            ),
            Lack::Memory => format!("all {} bytes of this link's memory are in use", self.link.geometry().heap()),
        };
        Error::not_started(Code::ResourceExhausted, message)
    }
}
