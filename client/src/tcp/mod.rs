//! Calls over TCP: many threads share one connection, and replies come in any order.
//!
//! Of those who wait, one reads for all (the role `reading` in [`calls`]): it gives the others their replies and, when
//! its own has come, wakes another to read on. Tasks cannot: a thread takes the role for them ([`reader`]), from the
//! first one on. Roles are flags under a lock that is
//! never held across a system call.

mod calls;
mod connect;
mod flight;
mod frames;
mod reader;
mod socket;
#[cfg(test)]
mod tests;

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::frame::{Header, Kind};
use speedysvc_protocol::ids::CallId;
use speedysvc_protocol::status::{Code, Failure, Status};

use crate::call::{Agreed, Answer, Ask, Stop};
use crate::clock::Deadline;
use crate::error::Error;
use crate::reply::Reply;
use calls::{Broken, Calls, IN_FLIGHT_MAX};
use socket::{Input, NoInput, Unsent, Wait};

pub(crate) use connect::{connect, connect_unix};
pub(crate) use flight::Flight;

/// How long a sender without room, or the thread that reads for tasks, waits before it looks what has changed.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A connection to one worker.
pub(crate) struct TcpConnection {
    pub(crate) agreed: Agreed,
    stream: TcpStream,
    calls: Mutex<Calls>,
    /// The writing role is free.
    may_write: Condvar,
    /// Locked by who has the reading role only.
    input: Mutex<Input>,
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
        Self { agreed, stream, calls: Mutex::default(), may_write: Condvar::new(), input: Mutex::new(input) }
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
        let (id, wake) = self.begin_call(ask)?;
        let (status, body) = self.wait(id, &wake, ask.deadline)?;
        judge(status, body, reply)
    }

    /// Sends a call.
    fn begin_call(&self, ask: &Ask<'_>) -> Result<(CallId, Arc<Condvar>), Stop> {
        let given = self.agreed.given(ask.method)?;
        self.agreed.check_size(ask.body.len())?;
        self.look_for_news();
        let (id, wake) = self.begin()?;
        let kind = Kind::Call { id, method: given.id, codec: ask.codec, left_us: ask.deadline.left_us() };
        self.send(kind, ask, id)?;
        Ok((id, wake))
    }

    /// On a quiet connection nobody reads: a goodbye, or the end, may have come meanwhile. Knowing it before sending
    /// makes the difference between "did not start" and "unknown".
    fn look_for_news(&self) {
        let mut calls = locked(&self.calls);
        if calls.reading || !calls.is_idle() || calls.broken.is_some() {
            return;
        }
        calls.reading = true;
        drop(calls);
        self.read(Wait::Not).pass_on_reading();
    }

    fn begin(&self) -> Result<(CallId, Arc<Condvar>), Stop> {
        let mut calls = locked(&self.calls);
        if let Some(broken) = &calls.broken {
            return Err(Stop::again(broken.why.clone()));
        }
        if calls.goodbye {
            return Err(Stop::again("the worker takes no new calls"));
        }
        if calls.is_full() {
            let message =
                format!("{IN_FLIGHT_MAX} calls are in flight on this connection: wait for some of them first");
            return Err(Error::not_started(Code::ResourceExhausted, message).into());
        }
        Ok(calls.begin())
    }

    /// Sends the call, or forgets it and says whether it can have started.
    fn send(&self, kind: Kind, ask: &Ask<'_>, id: CallId) -> Result<(), Stop> {
        let body_len = u32::try_from(ask.body.len()).expect("the limit fits 32 bits");
        let head = Header { kind, body_len }.to_bytes();
        let sent = match self.take_writing(ask.deadline) {
            Ok(()) => self.send_frame([&head, ask.body], ask.deadline),
            Err(stop) => {
                self.forget(id);
                return Err(stop);
            }
        };
        let mut calls = self.give_writing();
        let Err(unsent) = sent else { return Ok(()) };
        calls.end(id);
        let stop = self.explain(&mut calls, unsent);
        calls.pass_on_reading();
        Err(stop)
    }

    /// Sends with the writing role. While there is no room it reads, unless somebody else does: a service stops taking
    /// calls of who does not take its replies, and whose they are may be the one who sends here.
    fn send_frame(&self, parts: [&[u8]; 2], deadline: Deadline) -> Result<(), Unsent> {
        let (total, mut sent) = (parts[0].len() + parts[1].len(), 0);
        loop {
            sent += socket::send_part(&self.stream, parts, sent)?;
            if sent == total {
                return Ok(());
            }
            let left = deadline.left().ok_or(Unsent { in_part: sent > 0, error: None })?;
            let reads = !std::mem::replace(&mut locked(&self.calls).reading, true);
            // Others may stop reading meanwhile, and then it is our turn.
            socket::wait_for_room(&self.stream, reads, left.min(LOOK_AGAIN));
            if reads {
                self.read(Wait::Not).pass_on_reading();
            }
        }
    }

    fn explain(&self, calls: &mut Calls, unsent: Unsent) -> Stop {
        let late = "the service did not take the call in time";
        match unsent {
            Unsent { in_part: false, error: None } => Error::not_started(Code::DeadlineExceeded, late).into(),
            Unsent { in_part: true, error: None } => {
                // Half a frame cannot be taken back.
                self.break_off(calls, unavailable("a call could not be sent whole in time".to_owned()));
                Error::unknown(Code::DeadlineExceeded, late).into()
            }
            Unsent { in_part, error: Some(error) } => {
                self.break_off(calls, unavailable(format!("the connection broke: {error}")));
                let message = format!("the connection broke while the call was being sent: {error}");
                if in_part { Error::unknown(Code::Unavailable, message).into() } else { Stop::again(message) }
            }
        }
    }

    fn take_writing(&self, deadline: Deadline) -> Result<(), Stop> {
        let mut calls = locked(&self.calls);
        loop {
            if let Some(broken) = &calls.broken {
                return Err(Stop::again(broken.why.clone()));
            }
            if !calls.writing {
                calls.writing = true;
                return Ok(());
            }
            let Some(left) = deadline.left() else {
                let message = "other calls kept the connection busy for too long";
                return Err(Error::not_started(Code::DeadlineExceeded, message).into());
            };
            calls = self.may_write.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn give_writing(&self) -> MutexGuard<'_, Calls> {
        let mut calls = locked(&self.calls);
        calls.writing = false;
        self.may_write.notify_one();
        calls
    }

    /// Waits for a call's reply, and reads for all while nobody else does.
    fn wait(&self, id: CallId, wake: &Condvar, deadline: Deadline) -> Result<(Status, Buffer), Stop> {
        let mut calls = locked(&self.calls);
        let stop = loop {
            if let Some(reply) = calls.take(id) {
                calls.pass_on_reading();
                return Ok(reply);
            }
            if let Some(Broken { code, why }) = calls.broken.clone() {
                calls.end(id);
                return Err(Error::unknown(code, why).into());
            }
            let Some(left) = deadline.left() else {
                calls.end(id);
                break Error::unknown(Code::DeadlineExceeded, "the service has not answered in time").into();
            };
            if calls.reading {
                calls.set_sleeps(id, true);
                calls = wake.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner).0;
                calls.set_sleeps(id, false);
            } else {
                calls.reading = true;
                drop(calls);
                calls = self.read(Wait::AtMost(left));
            }
        };
        calls.pass_on_reading();
        drop(calls);
        self.cancel(id);
        Err(stop)
    }

    /// Reads once with the reading role, and gives it back.
    fn read(&self, wait: Wait) -> MutexGuard<'_, Calls> {
        let read = locked(&self.input).read(&self.stream, wait);
        let mut calls = locked(&self.calls);
        calls.reading = false;
        let accepted = match read {
            Ok(frames) => frames.into_iter().try_for_each(|frame| calls.accept(frame)),
            Err(NoInput::Lost(why)) => Err(unavailable(why)),
            Err(NoInput::Bad(bad)) => {
                let why = format!("the service sent what cannot be read: {bad}");
                Err(Broken { code: Code::DataLoss, why })
            }
        };
        if let Err(broken) = accepted {
            self.break_off(&mut calls, broken);
        }
        self.wake_due(calls)
    }

    fn forget(&self, id: CallId) {
        let mut calls = locked(&self.calls);
        calls.end(id);
        calls.pass_on_reading();
    }

    /// Tells the service that nobody waits for this call any more, if that can be told at once.
    fn cancel(&self, id: CallId) {
        let mut calls = locked(&self.calls);
        if calls.writing || calls.broken.is_some() {
            return;
        }
        calls.writing = true;
        drop(calls);
        let sent = socket::send_now(&self.stream, &Header { kind: Kind::Cancel { id }, body_len: 0 }.to_bytes());
        let mut calls = self.give_writing();
        if sent.is_err() {
            self.break_off(&mut calls, unavailable("the connection broke".to_owned()));
        }
    }

    fn break_off(&self, calls: &mut Calls, broken: Broken) {
        calls.break_off(broken);
        self.may_write.notify_all();
        // Whoever still reads or writes comes back at once. A socket that is gone already is as good.
        drop(self.stream.shutdown(Shutdown::Both));
    }
}

/// What a reply says; its body goes into `reply`.
fn judge(status: Status, body: Buffer, reply: &mut Reply) -> Result<Answer, Stop> {
    reply.body = body;
    match status {
        Status::Ok => Ok(Answer::Result),
        Status::Application => Ok(Answer::Application),
        Status::Failed(code, outcome) => {
            Err(Stop::told(Failure::from_wire(code, outcome, reply.body.as_slice()).into()))
        }
        Status::Need => Err(Error::done(Code::DataLoss, "the service sent a size in place of a reply").into()),
    }
}
