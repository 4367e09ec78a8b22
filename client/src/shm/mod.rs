//! Calls through shared memory: a link that a service's broker made, and that all of its workers answer.
//!
//! [`attach`] meets the broker; [`lease`] hands out slots and buffers; [`wait`] spins, sleeps and gives up; this file
//! makes a call of them. The rules are those of `docs/protocol.md`.

mod attach;
mod heap;
mod lease;
mod room;
#[cfg(test)]
mod tests;
mod wait;

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::shm::doorbell;
use speedysvc_protocol::shm::layout::{INLINE, RequestHead};
use speedysvc_protocol::shm::link::{Board, ClientLink};
use speedysvc_protocol::shm::slot::{Post, ReplyHead};
use speedysvc_protocol::status::{Code, Failure, Outcome, Status};

use crate::call::{Agreed, Answer, Ask, Stop};
use crate::error::Error;
use lease::Lease;
use room::Room;

pub(crate) use attach::attach;

/// An attachment to a service. Dropping it closes the socket, by which the broker knows that the client is gone.
pub(crate) struct ShmConnection {
    pub(crate) agreed: Agreed,
    link: ClientLink,
    board: Board,
    bell: OwnedFd,
    socket: OwnedFd,
    room: Mutex<Room>,
    /// Something was given back to the room.
    freed: Condvar,
    /// The largest reply of late, by method: what to grant at first.
    learned: Vec<AtomicU32>,
    rescues: Arc<AtomicU64>,
    /// The link is of no use any more: the broker hung up, or a slot has no numbers left.
    broken: AtomicBool,
    /// Whether waiting may begin by looking: not when the only processor is then taken from whom we wait for.
    spins: bool,
}

impl ShmConnection {
    pub(crate) fn is_usable(&self) -> bool {
        !self.broken.load(Ordering::Relaxed)
    }

    /// Makes one call; the reply's body goes into `reply`.
    pub(crate) fn call(&self, ask: &Ask<'_>, reply: &mut Buffer) -> Result<Answer, Stop> {
        let given = self.agreed.given(ask.method)?;
        self.agreed.check_size(ask.body.len())?;
        let len = u32::try_from(ask.body.len()).expect("the limit fits 32 bits");
        let learned = &self.learned[usize::from(ask.method.0)];
        let wanted = u64::from(learned.load(Ordering::Relaxed)).max(u64::from(len));
        let mut lease = Lease::take(self, wanted, ask)?;
        let head = RequestHead { method: given.index.0, codec: ask.codec as u8, fetch: false, len };
        let inline = if ask.body.len() <= INLINE {
            ask.body
        } else {
            self.link.copy_in(lease.grant(), ask.body);
            &[]
        };
        self.post(&mut lease, ask, head, inline)?;
        if self.link.poller().needs_bell(|loop_number| self.board.line(loop_number)) {
            self.ring();
        }
        let answer = self.wait(&mut lease, ask.deadline)?;
        self.learn(learned, &answer);
        if answer.status != Status::Need {
            return self.read(&lease, answer, reply);
        }
        // The call ran. Whatever goes wrong from here on, its reply is what is lost.
        let fetched = self.fetch(&mut lease, ask, answer).and_then(|answer| self.read(&lease, answer, reply));
        fetched.map_err(|stop| stop.error.with_outcome(Outcome::Done).within("the reply was lost").into())
    }

    /// Remembers what the method's replies need: the largest of late, forgotten by halves.
    fn learn(&self, learned: &AtomicU32, reply: &ReplyHead) {
        let old = learned.load(Ordering::Relaxed);
        let new = reply.len.min(u32::try_from(self.agreed.message_max).unwrap_or(u32::MAX)).max(old / 2);
        // Seldom a change: then the line stays in every caller's cache.
        if new != old {
            learned.store(new, Ordering::Relaxed);
        }
    }

    fn post(&self, lease: &mut Lease<'_>, ask: &Ask<'_>, head: RequestHead, inline: &[u8]) -> Result<(), Stop> {
        let grant = lease.grant();
        let seq = lease.next_seq()?;
        let post = Post { head, deadline_ns: ask.deadline.ns(), grant, inline };
        self.link.slot(lease.slot()).post(seq, &post);
        Ok(())
    }

    fn ring(&self) {
        let rung = doorbell::ring(&self.bell);
        debug_assert!(rung.is_ok(), "the bell is no bell: {rung:?}");
    }

    /// Grants a buffer in which the reply fits and asks the loop that holds it (rule 27).
    fn fetch(&self, lease: &mut Lease<'_>, ask: &Ask<'_>, need: ReplyHead) -> Result<ReplyHead, Stop> {
        if need.len as usize > self.agreed.message_max {
            let limit = self.agreed.message_max;
            let message = format!("the service announced {} bytes, over its own limit of {limit}", need.len);
            return Err(Error::done(Code::DataLoss, message).into());
        }
        lease.regrant(need.len.into(), ask.deadline)?;
        let head = RequestHead { method: need.owner, codec: 0, fetch: true, len: 0 };
        self.post(lease, ask, head, &[])?;
        // Only one loop can answer, and it may not be the one that polls this link: always ring.
        self.ring();
        let answer = self.wait(lease, ask.deadline)?;
        if answer.status == Status::Need {
            return Err(Error::done(Code::DataLoss, "it was larger than the service had announced").into());
        }
        Ok(answer)
    }

    /// Takes a reply out of its line or buffer. What the line says is an allegation.
    fn read(&self, lease: &Lease<'_>, head: ReplyHead, reply: &mut Buffer) -> Result<Answer, Stop> {
        let len = head.len as usize;
        if len > INLINE && u64::from(head.len) > lease.grant().capacity {
            let message = format!("a reply of {len} bytes in a buffer of {} bytes", lease.grant().capacity);
            return Err(Error::done(Code::DataLoss, message).into());
        }
        reply.set_limit(len);
        let body = reply.room(len).map_err(Error::from)?;
        if len <= INLINE {
            self.link.slot(lease.slot()).read_inline(body);
        } else {
            self.link.copy_out(lease.grant(), body);
        }
        match head.status {
            Status::Ok => Ok(Answer::Result),
            Status::Application => Ok(Answer::Application),
            Status::Failed(code, outcome) => Err(Stop::told(failure(code, outcome, body))),
            Status::Need => Err(Error::done(Code::DataLoss, "a reply without a body").into()),
        }
    }
}

fn failure(code: Code, outcome: Outcome, text: &[u8]) -> Error {
    // The supervisor's verdict on a call whose worker died carries no text (rule 15).
    let text = match (text, code, outcome) {
        ([], Code::Unavailable, Outcome::Unknown) => b"the worker that had taken the call died",
        ([], _, _) => &b"the service gave no reason"[..],
        (text, _, _) => text,
    };
    Failure::from_wire(code, outcome, text).into()
}
