//! A started call: sent, and somebody waits for it now or later.

use std::sync::{Arc, Condvar};
use std::task::{Context, Poll};

use speedysvc_protocol::ids::CallId;
use speedysvc_protocol::status::Code;

use super::calls::Broken;
use super::{TcpConnection, judge, locked};
use crate::call::{Answer, Request, Stop};
use crate::clock::Deadline;
use crate::error::Error;
use crate::reply::Reply;

/// Dropping it gives the call up.
pub(crate) struct Flight {
    home: Arc<TcpConnection>,
    deadline: Deadline,
    id: CallId,
    wake: Arc<Condvar>,
    is_open: bool,
}

impl Flight {
    /// Sends a call. While the service does not read, this waits as a blocking call does.
    pub(crate) fn start(home: &Arc<TcpConnection>, request: &Request) -> Result<Self, Stop> {
        let (id, wake) = home.begin_call(&request.ask())?;
        Ok(Self { home: Arc::clone(home), deadline: request.deadline, id, wake, is_open: true })
    }

    /// Waits for the reply; its body goes into `reply`.
    pub(crate) fn wait(&mut self, reply: &mut Reply) -> Result<Answer, Stop> {
        self.is_open = false;
        let (status, body) = self.home.wait(self.id, &self.wake, self.deadline)?;
        judge(status, body, reply)
    }

    /// The reply, if it has come; else the task is woken when it may have.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, reply: &mut Reply) -> Poll<Result<Answer, Stop>> {
        let mut calls = locked(&self.home.calls);
        if let Some((status, body)) = calls.take(self.id) {
            self.is_open = false;
            calls.pass_on_reading();
            drop(calls);
            return Poll::Ready(judge(status, body, reply));
        }
        let stop = match &calls.broken {
            Some(Broken { code, why }) => Error::unknown(*code, why.clone()),
            None if self.deadline.left().is_none() => {
                Error::unknown(Code::DeadlineExceeded, "the service has not answered in time")
            }
            None => {
                calls.set_task(self.id, context.waker(), self.deadline.ns());
                if self.home.read_for_tasks(&mut calls) {
                    return Poll::Pending;
                }
                let message = "no thread can be started that waits for this call: wait for it with `wait`";
                Error::unknown(Code::ResourceExhausted, message)
            }
        };
        drop(calls);
        self.give_up();
        Poll::Ready(Err(stop.into()))
    }

    fn give_up(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.home.forget(self.id);
            self.home.cancel(self.id);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.give_up();
    }
}
