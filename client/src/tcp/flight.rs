//! A started call: sent, and somebody waits for it now or later.

use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll};

use speedysvc_protocol::ids::CallId;
use speedysvc_protocol::status::Code;

use super::calls::Calls;
use super::send::AT_ONCE;
use super::{TcpConnection, judge, locked, lost, too_late};
use crate::call::{Answer, Request, Stop};
use crate::clock::Deadline;
use crate::error::Error;
use crate::reply::Reply;

/// Dropping it gives the call up.
pub(crate) struct Flight {
    home: Arc<TcpConnection>,
    deadline: Deadline,
    id: CallId,
    is_open: bool,
}

impl Flight {
    /// Queues a call. While the service takes no more bytes and many wait to be sent, this waits as a blocking call
    /// does.
    pub(crate) fn start(home: &Arc<TcpConnection>, request: &Request) -> Result<Self, Stop> {
        let id = home.begin_call(&request.ask())?;
        Ok(Self { home: Arc::clone(home), deadline: request.deadline, id, is_open: true })
    }

    /// Waits for the reply; its body goes into `reply`.
    pub(crate) fn wait(&mut self, reply: &mut Reply) -> Result<Answer, Stop> {
        self.is_open = false;
        let status = self.home.wait(self.id, self.deadline, &mut reply.body)?;
        judge(status, &reply.body)
    }

    /// The reply, if it has come; else the task is woken when it may have.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, reply: &mut Reply) -> Poll<Result<Answer, Stop>> {
        let home = Arc::clone(&self.home);
        let mut calls = locked(&home.calls);
        if let Some(status) = calls.take(self.id, &mut reply.body) {
            self.is_open = false;
            calls.pass_on();
            drop(calls);
            return Poll::Ready(judge(status, &reply.body));
        }
        if let Some(broken) = calls.broken.clone() {
            self.is_open = false;
            return Poll::Ready(Err(lost(&mut calls, self.id, broken)));
        }
        self.poll_open(context, calls)
    }

    /// For a call whose reply may still come.
    fn poll_open(&mut self, context: &mut Context<'_>, mut calls: MutexGuard<'_, Calls>) -> Poll<Result<Answer, Stop>> {
        if self.deadline.left().is_none() {
            self.is_open = false;
            return Poll::Ready(Err(too_late(self.home.give_up(calls, self.id))));
        }
        calls.set_task(self.id, context.waker(), self.deadline.ns());
        if self.home.read_for_tasks(&mut calls) {
            drop(self.home.flush_within(calls, AT_ONCE));
            return Poll::Pending;
        }
        self.is_open = false;
        self.home.give_up(calls, self.id);
        let message = "no thread can be started that waits for this call: wait for it with `wait`";
        Poll::Ready(Err(Error::unknown(Code::ResourceExhausted, message).into()))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.is_open {
            self.home.give_up(locked(&self.home.calls), self.id);
        }
    }
}
