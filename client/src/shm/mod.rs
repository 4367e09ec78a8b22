//! Calls through shared memory: a link that a service's broker made, and that all of its workers answer.
//!
//! [`attach`] meets the broker; [`slots`] and [`room`] know what is free, [`lease`] hands it out, and [`ebb`] gives the
//! memory of bursts back, when [`tide`] says so; [`wait`] spins, sleeps and gives up; this file makes a call of them,
//! [`large`] one with fewer copies, and [`short`] one with fewer steps. A call that is started and waited for later is
//! a [`flight`], which keeps its [`home`]: [`queued`] while it has no slot; when a [`task`] waits for it, [`parks`]
//! wakes that. The rules are those of `docs/protocol.md`.

mod attach;
mod ebb;
mod flight;
mod heap;
mod home;
mod large;
mod learned;
mod lease;
mod looking;
mod own;
mod parks;
mod queue;
mod queued;
mod rescues;
mod room;
mod short;
mod slots;
mod task;
#[cfg(test)]
mod tests;
mod tide;
mod upcoming;
mod wait;

use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use speedysvc_protocol::ids::MethodIndex;
use speedysvc_protocol::shm::doorbell;
use speedysvc_protocol::shm::layout::{Grant, INLINE, RequestHead};
use speedysvc_protocol::shm::link::{Board, ClientLink};
use speedysvc_protocol::shm::slot::{Caller, Post, ReplyHead};
use speedysvc_protocol::status::{Code, Failure, Outcome, Status};

use crate::call::{Again, Agreed, Answer, Ask, Stop, no_method};
use crate::clock::Deadline;
use crate::error::Error;
use crate::reply::Reply;
use learned::Sizes;
use lease::Lease;
use looking::Looking;
use parks::Parks;
use queued::WaitingBytes;
use room::Room;
use slots::Slots;

pub(crate) use attach::attach;
pub(crate) use flight::Flight;
pub(crate) use home::Home;
pub(crate) use large::Write;
pub(crate) use rescues::Rescues;
pub(crate) use short::{Posted, Short, ShortFlight, Times};

/// What some callers write, away from the lines that all of them read.
#[repr(align(128))]
struct Apart<T>(T);

/// An attachment to a service. Dropping it closes the socket, by which the broker knows that the client is gone.
pub(crate) struct ShmConnection {
    pub(crate) agreed: Agreed,
    link: ClientLink,
    board: Board,
    bell: OwnedFd,
    socket: OwnedFd,
    slots: Slots,
    room: Apart<Mutex<Room>>,
    /// By method.
    sizes: Vec<Sizes>,
    /// The service's limit, in bytes.
    largest_reply: u32,
    rescues: Arc<Rescues>,
    /// Since when the link is of no use any more: the broker hung up, or a slot has no numbers left. 0 while it is.
    broken_ns: AtomicU64,
    /// Calls were published, and nobody has looked since whether their worker must be rung for (rule 13).
    owes_look: Apart<AtomicBool>,
    /// Tasks that wait.
    parks: Apart<Parks>,
    waiting_bytes: WaitingBytes,
    looking: Looking,
    /// For a thread that must not keep the link.
    me: Weak<Self>,
}

impl ShmConnection {
    pub(crate) fn is_usable(&self) -> bool {
        self.broken_ns.load(Ordering::Relaxed) == 0
    }

    /// Makes one call; the reply's body goes into `reply`.
    #[inline]
    pub(crate) fn call(self: &Arc<Self>, ask: &Ask<'_>, reply: &mut Reply) -> Result<Answer, Stop> {
        let sizes = self.sizes_of(ask)?;
        let mut lease = Lease::take(self, sizes.buffer(ask.body.len()), ask)?;
        let caller = self.link.slot(lease.slot());
        self.post(&mut lease, caller, ask)?;
        self.look_at_poller();
        lease.note_use(ask.begun_ns);
        self.await_reply(lease, caller, ask, sizes, reply)
    }

    /// Waits for the reply to a request whose worker was looked for, and reads it.
    #[inline]
    fn await_reply(
        &self,
        mut lease: Lease<&Self>,
        caller: Caller<'_>,
        ask: &Ask<'_>,
        sizes: &Sizes,
        reply: &mut Reply,
    ) -> Result<Answer, Stop> {
        let answer = self.wait_for_reply(&mut lease, caller, ask.deadline)?;
        sizes.replies.note(answer.len.min(self.largest_reply));
        if matches!(answer.status, Status::Need) {
            return self.fetch(&mut lease, ask, answer, reply);
        }
        self.read(&lease, caller, answer, reply)
    }

    /// Judges a call that begins; what is known of its method's others.
    #[inline]
    fn sizes_of(&self, ask: &Ask<'_>) -> Result<&Sizes, Error> {
        self.agreed.check_size(ask.body.len())?;
        self.sizes.get(usize::from(ask.method.0)).ok_or_else(|| no_method(ask.method))
    }

    /// Copies a request to where it is read and publishes it.
    #[inline]
    fn post<H>(&self, lease: &mut Lease<H>, caller: Caller<'_>, ask: &Ask<'_>) -> Result<(), Stop>
    where
        H: Deref<Target = Self>,
    {
        let inline = if ask.body.len() <= INLINE {
            ask.body
        } else {
            self.link.copy_in(lease.grant(), ask.body);
            &[]
        };
        self.publish(lease, caller, ask, wire_len(ask.body.len()), inline)
    }

    /// Publishes a request of so many bytes, which lie in the buffer unless they are `inline`.
    #[inline]
    fn publish<H>(
        &self,
        lease: &mut Lease<H>,
        caller: Caller<'_>,
        ask: &Ask<'_>,
        len: u32,
        inline: &[u8],
    ) -> Result<(), Stop>
    where
        H: Deref<Target = Self>,
    {
        let method = self.agreed.given(ask.method)?.index.0;
        if let Some(trace) = ask.trace {
            caller.trace(trace);
        }
        let head = RequestHead { method, codec: ask.codec as u8, fetch: false, traced: ask.trace.is_some(), len };
        let (grant, seq) = (lease.grant(), lease.next_seq()?);
        caller.post(seq, &Post { head, deadline_ns: ask.deadline.ns(), grant, inline });
        if let Some(sizes) = self.sizes.get(usize::from(ask.method.0)) {
            sizes.requests.note(len);
        }
        Ok(())
    }

    /// After publishing: rings for a worker unless one is looking (rule 18).
    #[inline]
    fn look_at_poller(&self) {
        if self.link.poller().needs_bell(|loop_number| self.board.line(loop_number)) {
            self.ring();
        }
    }

    #[inline]
    fn note_reply(&self, method: MethodIndex, reply: ReplyHead) {
        if let Some(sizes) = self.sizes.get(usize::from(method.0)) {
            sizes.replies.note(reply.len.min(self.largest_reply));
        }
    }

    /// How many calls have been made here, about: fetched replies count too.
    #[cold]
    pub(crate) fn calls(&self) -> u64 {
        self.slots.calls()
    }

    /// Nobody begins a call here any more: ends the thread that sleeps for tasks.
    pub(crate) fn close(&self) {
        self.parks.0.close();
    }

    #[cold]
    pub(super) fn ring(&self) {
        let rung = doorbell::ring(&self.bell);
        debug_assert!(rung.is_ok(), "the bell is no bell: {rung:?}");
    }

    /// Gets a reply that did not fit. The call ran: whatever goes wrong from here on, its reply is what is lost.
    #[cold]
    fn fetch(
        &self,
        lease: &mut Lease<&Self>,
        ask: &Ask<'_>,
        need: ReplyHead,
        reply: &mut Reply,
    ) -> Result<Answer, Stop> {
        let caller = self.link.slot(lease.slot());
        let fetched = self.fetch_head(lease, ask.deadline, need).and_then(|head| self.read(lease, caller, head, reply));
        fetched.map_err(reply_lost)
    }

    /// Grants a buffer in which the reply fits and asks the loop that holds it (rule 27).
    fn fetch_head(&self, lease: &mut Lease<&Self>, deadline: Deadline, need: ReplyHead) -> Result<ReplyHead, Stop> {
        self.check_need(need)?;
        lease.regrant(need.len.into(), deadline)?;
        self.post_fetch(lease, deadline, need)?;
        let answer = self.wait_for_reply(lease, self.link.slot(lease.slot()), deadline)?;
        if answer.status == Status::Need {
            return Err(still_larger());
        }
        Ok(answer)
    }

    fn check_need(&self, need: ReplyHead) -> Result<(), Stop> {
        let limit = self.agreed.message_max;
        if need.len as usize <= limit {
            return Ok(());
        }
        let message = format!("the service announced {} bytes, over its own limit of {limit}", need.len);
        Err(Error::done(Code::DataLoss, message).into())
    }

    fn post_fetch<H>(&self, lease: &mut Lease<H>, deadline: Deadline, need: ReplyHead) -> Result<(), Stop>
    where
        H: Deref<Target = Self>,
    {
        let head = RequestHead { method: need.owner, codec: 0, fetch: true, traced: false, len: 0 };
        let (grant, seq) = (lease.grant(), lease.next_seq()?);
        self.link.slot(lease.slot()).post(seq, &Post { head, deadline_ns: deadline.ns(), grant, inline: &[] });
        // Only one loop can answer, and it may not be the one that polls this link: always ring.
        self.ring();
        Ok(())
    }

    /// Takes a reply out of its line or buffer. What the line says is an allegation.
    #[inline]
    fn read<H>(&self, lease: &Lease<H>, caller: Caller<'_>, head: ReplyHead, reply: &mut Reply) -> Result<Answer, Stop>
    where
        H: Deref<Target = Self>,
    {
        let len = head.len as usize;
        if len > INLINE && u64::from(head.len) > lease.grant().capacity {
            return Err(too_long(head.len, lease.grant()));
        }
        if reply.wants_bytes && head.status == Status::Ok {
            reply.bytes = match len {
                ..=INLINE => caller.inline_byte_string(len),
                _ => self.link.byte_string(lease.grant(), len),
            };
            if reply.bytes.is_some() {
                return Ok(Answer::Result);
            }
        }
        reply.body.set_limit(len);
        let body = reply.body.room(len).map_err(Error::from)?;
        if len <= INLINE {
            caller.read_inline(body);
        } else {
            self.link.copy_out(lease.grant(), body);
        }
        match head.status {
            Status::Ok => Ok(Answer::Result),
            Status::Application => Ok(Answer::Application),
            Status::Failed(code, outcome) => Err(Stop::told(failure(code, outcome, body).into())),
            Status::Later(code, after) => Err(Stop::told(failure(code, Outcome::NotStarted, body).later(after).into())),
            Status::Need => Err(Error::done(Code::DataLoss, "a reply without a body").into()),
        }
    }
}

#[inline]
fn wire_len(len: usize) -> u32 {
    u32::try_from(len).expect("the limit fits 32 bits")
}

#[cold]
fn too_long(len: u32, grant: Grant) -> Stop {
    let message = format!("a reply of {len} bytes in a buffer of {} bytes", grant.capacity);
    Error::done(Code::DataLoss, message).into()
}

fn still_larger() -> Stop {
    Error::done(Code::DataLoss, "it was larger than the service had announced").into()
}

fn reply_lost(stop: Stop) -> Stop {
    let again = if stop.again == Again::Never { Again::Never } else { Again::IfIdempotent };
    Stop { error: stop.error.with_outcome(Outcome::Done).within("the reply was lost"), again }
}

#[cold]
fn failure(code: Code, outcome: Outcome, text: &[u8]) -> Failure {
    // The supervisor's verdict on a call whose worker died carries no text (rule 15).
    let text = match (text, code, outcome) {
        ([], Code::Unavailable, Outcome::Unknown) => b"the worker that had taken the call died",
        ([], _, _) => &b"the service gave no reason"[..],
        (text, _, _) => text,
    };
    Failure::from_wire(code, outcome, text)
}
