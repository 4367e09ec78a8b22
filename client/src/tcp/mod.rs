//! Calls over TCP: many threads share one connection, and replies come in any order.
//!
//! Calls are gathered and go out together: one who waits sends for all ([`send`]). Of those who wait, one reads for all
//! (the role `reading` in [`calls`]): it gives the others their replies and, when its own has come, wakes another to
//! read on. Tasks cannot: a thread takes the role for them ([`reader`]), from the first one on. Roles are flags under a
//! lock that is never held across a system call, but that of waking a sleeper.

mod calls;
mod connect;
mod flight;
mod frames;
mod outbox;
mod packing;
mod patience;
mod reader;
mod send;
mod socket;
#[cfg(test)]
mod tests;

use std::mem;
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::frame::Kind;
use speedysvc_protocol::ids::CallId;
use speedysvc_protocol::status::{Code, Failure, Outcome, Status};

use crate::call::{Agreed, Answer, Ask, Stop};
use crate::clock::Deadline;
use crate::error::Error;
use crate::reply::Reply;
use calls::{Broken, Calls};
use packing::Rooms;
use socket::{Input, NoInput, Wait};

pub(crate) use connect::{connect, connect_unix};
pub(crate) use flight::Flight;

/// How long a sender without room, or the thread that reads for tasks, waits before it looks what has changed.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long somebody who reads may not notice that something waits to be sent which its sender has given up on.
const RECHECK: Duration = Duration::from_secs(1);

/// A connection to one worker.
pub(crate) struct TcpConnection {
    pub(crate) agreed: Agreed,
    stream: TcpStream,
    calls: Mutex<Calls>,
    /// The writing role is free.
    may_write: Condvar,
    /// Locked by who has the reading role only.
    input: Mutex<Input>,
    /// Where callers compress.
    rooms: Rooms,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds these locks can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable(why: String) -> Broken {
    Broken { code: Code::Unavailable, why }
}

impl TcpConnection {
    fn new(stream: TcpStream, agreed: Agreed, input: Input) -> Self {
        let (mut calls, rooms) = (Calls::default(), Rooms::default());
        calls.outbox.checked = agreed.wire.checksum;
        let (calls, may_write, input) = (Mutex::new(calls), Condvar::new(), Mutex::new(input));
        Self { agreed, stream, calls, may_write, input, rooms }
    }

    pub(crate) fn is_usable(&self) -> bool {
        let calls = locked(&self.calls);
        calls.broken.is_none() && !calls.goodbye
    }

    /// How many calls have been made here.
    #[cold]
    pub(crate) fn calls(&self) -> u64 {
        locked(&self.calls).made()
    }

    /// Makes one call; the reply's body goes into `reply`.
    pub(crate) fn call(&self, ask: &Ask<'_>, reply: &mut Reply) -> Result<Answer, Stop> {
        let id = self.begin_call(ask)?;
        let status = self.wait(id, ask.deadline, &mut reply.body)?;
        judge(status, &reply.body)
    }

    /// Queues a call to be sent.
    fn begin_call(&self, ask: &Ask<'_>) -> Result<CallId, Stop> {
        let given = self.agreed.given(ask.method)?;
        self.agreed.check_size(ask.body.len())?;
        let (codec, left_us) = (ask.codec, ask.deadline.left_us());
        self.post(|id| Kind::Call { id, method: given.id, codec, left_us }, ask)
    }

    /// On a quiet connection nobody reads: a goodbye, or the end, may have come meanwhile. Knowing it before sending
    /// makes the difference between "did not start" and "unknown".
    fn look_for_news<'a>(&'a self, mut calls: MutexGuard<'a, Calls>) -> MutexGuard<'a, Calls> {
        if calls.reading || !calls.is_idle() || calls.broken.is_some() {
            return calls;
        }
        calls.reading = true;
        drop(calls);
        let mut calls = self.read(Wait::Not);
        calls.pass_on();
        calls
    }

    /// Sends what started calls have left to be sent.
    pub(crate) fn flush(&self) {
        let calls = locked(&self.calls);
        if !calls.outbox.is_empty() {
            drop(self.flush_within(calls, Deadline::after(self.agreed.deadline)));
        }
    }

    /// Waits for a call's reply: sends what is to be sent, and reads for all while nobody else does.
    fn wait(&self, id: CallId, deadline: Deadline, reply: &mut Buffer) -> Result<Status, Stop> {
        let mut calls = locked(&self.calls);
        loop {
            if let Some(status) = calls.take(id, reply) {
                calls.pass_on();
                return Ok(status);
            }
            if let Some(broken) = calls.broken.clone() {
                return Err(lost(&mut calls, id, broken));
            }
            let Some(left) = deadline.left() else { break };
            if !calls.outbox.is_empty() && !calls.writing {
                calls = self.flush_within(calls, deadline);
            } else if calls.reading {
                calls.set_sleeper(id, Some(thread::current()));
                drop(calls);
                thread::park_timeout(left);
                calls = locked(&self.calls);
                calls.set_sleeper(id, None);
            } else {
                calls.reading = true;
                drop(calls);
                calls = self.read(Wait::AtMost(left.min(RECHECK)));
            }
        }
        Err(too_late(self.give_up(calls, id)))
    }

    /// Reads once with the reading role, and gives it back.
    fn read(&self, wait: Wait) -> MutexGuard<'_, Calls> {
        let mut input = locked(&self.input);
        let read = input.read(&self.stream, wait);
        let mut calls = locked(&self.calls);
        calls.reading = false;
        let mut accepted = input.whole.drain(..).try_for_each(|frame| calls.accept(frame));
        if input.frames.spares.are_few() {
            mem::swap(&mut input.frames.spares, &mut calls.spares);
        }
        drop(input);
        accepted = accepted.and_then(|()| match read {
            Ok(()) => Ok(()),
            Err(NoInput::Lost(why)) => Err(unavailable(why)),
            Err(NoInput::Bad(bad)) => {
                let why = format!("the service sent what cannot be read: {bad}");
                Err(Broken { code: Code::DataLoss, why })
            }
        });
        if let Err(broken) = accepted {
            self.break_off(&mut calls, broken);
        }
        self.wake_due(calls)
    }

    fn break_off(&self, calls: &mut Calls, broken: Broken) {
        calls.break_off(broken);
        if calls.want_to_write > 0 {
            self.may_write.notify_all();
        }
        // Whoever still reads or writes comes back at once. A socket that is gone already is as good.
        drop(self.stream.shutdown(Shutdown::Both));
    }
}

/// What to tell the caller of a call whose connection broke.
fn lost(calls: &mut Calls, id: CallId, Broken { code, why }: Broken) -> Stop {
    let unsent = calls.is_unsent(id);
    calls.end(id);
    if unsent { Stop::again(why) } else { Error::unknown(code, why).into() }
}

/// What to tell the caller of a call that was given up when its time was up.
fn too_late(was_sent: bool) -> Stop {
    if was_sent {
        Error::unknown(Code::DeadlineExceeded, "the service has not answered in time").into()
    } else {
        Error::not_started(Code::DeadlineExceeded, "the service did not take the call in time").into()
    }
}

/// What a reply says.
fn judge(status: Status, reply: &Buffer) -> Result<Answer, Stop> {
    match status {
        Status::Ok => Ok(Answer::Result),
        Status::Application => Ok(Answer::Application),
        Status::Failed(code, outcome) => Err(Stop::told(Failure::from_wire(code, outcome, reply.as_slice()).into())),
        Status::Later(code, after) => {
            let failure = Failure::from_wire(code, Outcome::NotStarted, reply.as_slice());
            Err(Stop::told(failure.later(after).into()))
        }
        Status::Need => Err(Error::done(Code::DataLoss, "the service sent a size in place of a reply").into()),
    }
}
