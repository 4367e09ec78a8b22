//! Frames out: small ones are gathered and go out together, large ones go straight from where they lie.

use std::io;
use std::sync::{MutexGuard, PoisonError};

use speedysvc_protocol::frame::{self, Kind, Sent};
use speedysvc_protocol::ids::CallId;
use speedysvc_protocol::limits::FRAME_HEADER;
use speedysvc_protocol::status::Code;
use speedysvc_protocol::trace::TraceContext;

use super::calls::{Broken, Calls, IN_FLIGHT_MAX};
use super::{LOOK_AGAIN, TcpConnection, locked, socket, unavailable};
use crate::call::{Ask, Stop};
use crate::clock::Deadline;
use crate::error::Error;
use crate::tcp::socket::Wait;

/// Bodies from this size on are not gathered: copying would cost more than a system call of their own.
const LARGE: usize = 32 * 1024;
/// What may be gathered before somebody has to wait until the kernel takes it.
const OUTBOX_MAX: usize = 256 * 1024;

/// So many calls that were started and not waited for go out by themselves: the service answers them while others are
/// started. Half of what fits a link of shared memory; fewer cost more than they gain (decision 0060).
const GATHERED: usize = 32;

/// The deadline of who sends only what there is room for.
pub(super) const AT_ONCE: Deadline = Deadline::PAST;

/// A call as it goes out: its frame, and before it that of its trace.
#[derive(Clone, Copy)]
struct Out<'a> {
    trace: Option<&'a TraceContext>,
    body: Sent<'a>,
    deadline: Deadline,
}

impl Out<'_> {
    /// Bytes in the stream.
    fn len(&self) -> usize {
        let frames = if self.trace.is_some() { 2 } else { 1 };
        frames * FRAME_HEADER + self.body.bytes.len()
    }
}

impl TcpConnection {
    /// Queues a call's frame to go out with the next [`flush`](Self::flush), or sends it when it is large.
    pub(super) fn post(&self, kind: impl Fn(CallId) -> Kind, ask: &Ask<'_>) -> Result<CallId, Stop> {
        let packed = self.rooms.pack(self.agreed.wire.compression, ask.body);
        let trace = ask.trace.filter(|_| self.agreed.wire.trace);
        let call = Out { trace, body: packed.sent(), deadline: ask.deadline };
        let mut calls = self.look_for_news(locked(&self.calls));
        check(&calls)?;
        if call.body.bytes.len() >= LARGE {
            return self.send_large(calls, kind, call);
        }
        let id = calls.next_id();
        let begins = calls.outbox.push_call(trace, kind(id), call.body);
        calls.begin(id, begins, call.len());
        if calls.outbox.len() >= OUTBOX_MAX {
            drop(self.flush_within(calls, ask.deadline));
        } else if calls.outbox.frames() >= GATHERED {
            drop(self.flush_within(calls, AT_ONCE));
        }
        Ok(id)
    }

    /// Sends what is gathered, unless somebody else does: that one goes on until nothing is left.
    pub(super) fn flush_within<'a>(
        &'a self,
        mut calls: MutexGuard<'a, Calls>,
        deadline: Deadline,
    ) -> MutexGuard<'a, Calls> {
        while !calls.outbox.is_empty() && !calls.writing && calls.broken.is_none() {
            calls.writing = true;
            let batch = calls.outbox.take();
            drop(calls);
            let mut sent = 0;
            let result = self.send_all([&batch, &[]], &mut sent, deadline);
            calls = self.give_writing();
            calls.outbox.sent(batch, sent);
            match result {
                Ok(true) => {}
                // No time is left: who else waits goes on with what remains.
                Ok(false) => {
                    calls.pass_on();
                    return calls;
                }
                Err(error) => {
                    self.break_off(&mut calls, unavailable(format!("the connection broke: {error}")));
                    calls = self.wake_due(calls);
                }
            }
        }
        calls
    }

    fn send_large<'a>(
        &'a self,
        mut calls: MutexGuard<'a, Calls>,
        kind: impl Fn(CallId) -> Kind,
        call: Out<'_>,
    ) -> Result<CallId, Stop> {
        let Out { trace, body, deadline } = call;
        // What was gathered goes first: the stream has one order.
        loop {
            calls = self.flush_within(calls, deadline);
            check(&calls)?;
            if calls.outbox.is_empty() && !calls.writing {
                break;
            }
            let Some(left) = deadline.left() else {
                let message = "other calls kept the connection busy for too long";
                return Err(Error::not_started(Code::DeadlineExceeded, message).into());
            };
            if calls.writing {
                calls.want_to_write += 1;
                calls = self.may_write.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner).0;
                calls.want_to_write -= 1;
            }
        }
        let id = calls.next_id();
        let begins = calls.outbox.pass(call.len());
        calls.begin(id, begins, call.len());
        calls.writing = true;
        drop(calls);
        let checked = self.agreed.wire.checksum;
        let mut heads = Vec::with_capacity(2 * FRAME_HEADER);
        if let Some(trace) = trace {
            frame::append_sent(&mut heads, Kind::Trace(*trace), Sent::plain(&[]), checked);
        }
        heads.extend_from_slice(&frame::head(kind(id), body, checked));
        let mut sent = 0;
        let result = self.send_all([&heads, body.bytes], &mut sent, deadline);
        let mut calls = self.give_writing();
        if matches!(result, Ok(true)) {
            return Ok(id);
        }
        calls.end(id);
        let stop = self.explain(&mut calls, result.err(), sent > 0);
        calls.pass_on();
        drop(self.wake_due(calls));
        Err(stop)
    }

    /// Why a large call was not sent whole. The stream cannot go on behind half a frame.
    fn explain(&self, calls: &mut Calls, error: Option<io::Error>, in_part: bool) -> Stop {
        let late = "the service did not take the call in time";
        match error {
            None if in_part => {
                self.break_off(calls, unavailable("a call could not be sent whole in time".to_owned()));
                Error::unknown(Code::DeadlineExceeded, late).into()
            }
            None => Error::not_started(Code::DeadlineExceeded, late).into(),
            Some(error) => {
                self.break_off(calls, unavailable(format!("the connection broke: {error}")));
                let message = format!("the connection broke while the call was being sent: {error}");
                if in_part { Error::unknown(Code::Unavailable, message).into() } else { Stop::again(message) }
            }
        }
    }

    /// Sends with the writing role; `sent` says how far it came. `Ok(false)` when time was up. While there is no room
    /// it reads, unless somebody else does: a service stops taking calls of who does not take its replies, and whose
    /// they are may be the one who sends here.
    fn send_all(&self, parts: [&[u8]; 2], sent: &mut usize, deadline: Deadline) -> Result<bool, io::Error> {
        let total = parts[0].len() + parts[1].len();
        loop {
            *sent += socket::send_part(&self.stream, parts, *sent)?;
            if *sent == total {
                return Ok(true);
            }
            let Some(left) = deadline.left() else { return Ok(false) };
            let reads = !std::mem::replace(&mut locked(&self.calls).reading, true);
            // Others may stop reading meanwhile, and then it is our turn.
            socket::wait_for_room(&self.stream, reads, left.min(LOOK_AGAIN));
            if reads {
                self.read(Wait::Not).pass_on();
            }
        }
    }

    fn give_writing(&self) -> MutexGuard<'_, Calls> {
        let mut calls = locked(&self.calls);
        calls.writing = false;
        // Telling nobody would be a system call, too.
        if calls.want_to_write > 0 {
            self.may_write.notify_all();
        }
        calls
    }

    /// Nobody waits for this call any more: takes it back, or tells the service with what is sent next. Whether any of
    /// it may have been sent.
    pub(super) fn give_up<'a>(&'a self, mut calls: MutexGuard<'a, Calls>, id: CallId) -> bool {
        let was_sent = !calls.withdraw(id);
        calls.end(id);
        if was_sent && calls.broken.is_none() {
            calls.outbox.push(Kind::Cancel { id }, Sent::plain(&[]));
            calls = self.flush_within(calls, AT_ONCE);
        }
        calls.pass_on();
        drop(self.wake_due(calls));
        was_sent
    }
}

/// Whether a new call may begin.
fn check(calls: &Calls) -> Result<(), Stop> {
    if let Some(Broken { why, .. }) = &calls.broken {
        return Err(Stop::again(why.clone()));
    }
    if calls.goodbye {
        return Err(Stop::again("the worker takes no new calls"));
    }
    if calls.is_full() {
        let message = format!("{IN_FLIGHT_MAX} calls are in flight on this connection: wait for some of them first");
        return Err(Error::not_started(Code::ResourceExhausted, message).into());
    }
    Ok(())
}
