//! One call of an `async fn`, wherever it is polled: with its context, a panic as a failure, and an end when its caller
//! gives it up.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Polling, Poll, Waker};

use speedysvc_protocol::context::Context;
use speedysvc_protocol::ids::MethodIndex;
use speedysvc_protocol::service::{Begun, OwnedCall};
use speedysvc_protocol::status::{Code, Failure};

use super::{Done, Names};
use crate::clock::now_ns;
use crate::dispatch::panicked;

/// Threads of the pool have the first numbers on the board; the runtime's thread has this.
const RUNTIME_NAME: usize = speedysvc_protocol::shm::board::BESIDE - 1;

/// By this a call that waits is woken to hear that its caller has given up.
#[derive(Default)]
pub(super) struct Cancel(Mutex<Option<Waker>>);

impl Cancel {
    fn register(&self, waker: &Waker) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *known {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// The flag was set before.
    pub(super) fn wake(&self) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = known {
            waker.wake();
        }
    }
}

pub(super) struct Task {
    ticket: usize,
    /// Until it has ended.
    future: Option<Begun>,
    context: Context,
    cancel: Arc<Cancel>,
    names: Option<(Names, MethodIndex)>,
    begun_ns: u64,
}

impl Task {
    pub(super) fn new(ticket: usize, future: Begun, context: Context, cancel: Arc<Cancel>) -> Self {
        Self { ticket, future: Some(future), context, cancel, names: None, begun_ns: now_ns() }
    }

    /// For a thread that is not the loop's: the board names the method while it is polled there.
    pub(super) fn named(self, names: Names, method: MethodIndex) -> Self {
        Self { names: Some((names, method)), ..self }
    }

    fn say(&self, runs: bool) {
        if let Some((names, method)) = &self.names {
            names.say(RUNTIME_NAME, runs.then_some(*method));
        }
    }

    fn is_over(&self) -> bool {
        let deadline_ns = self.context.served().deadline_ns;
        self.context.is_given_up() || (deadline_ns != 0 && deadline_ns <= now_ns())
    }

    fn end(&mut self, call: OwnedCall, panicked: bool) -> Poll<Done> {
        let (ticket, started_ns) = (self.ticket, Some(self.begun_ns));
        Poll::Ready(Done { ticket, call, panicked, started_ns, ended_ns: now_ns() })
    }
}

impl Future for Task {
    type Output = Done;

    fn poll(self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Done> {
        let this = self.get_mut();
        // First register, then look: whoever gives up in between finds the waker.
        this.cancel.register(polling.waker());
        let _in = this.context.clone().enter();
        this.say(true);
        let is_over = this.is_over();
        // A handler that panicked may leave its own state in the middle of a change: that is between it and its author.
        let polled = catch_unwind(AssertUnwindSafe(|| match &mut this.future {
            Some(future) if !is_over => future.as_mut().poll(polling).map(Some),
            _ => {
                this.future = None;
                Poll::Ready(None)
            }
        }));
        this.say(false);
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Some(call))) => this.end(call, false),
            Ok(Poll::Ready(None)) => {
                let text = "nobody waits for it any more: it was stopped where it awaited something";
                this.end(with_failure(&Failure::unknown(Code::Cancelled, text)), false)
            }
            Err(panic) => {
                let failure = panicked(panic.as_ref());
                // Its own end may panic as well, as it was left in the middle.
                let future = this.future.take();
                let _twice = catch_unwind(AssertUnwindSafe(|| drop(future)));
                this.end(with_failure(&failure), true)
            }
        }
    }
}

fn with_failure(failure: &Failure) -> OwnedCall {
    let mut call = OwnedCall::default();
    call.reply.prepare(speedysvc_protocol::limits::MESSAGE_TEXT_MAX, 0, None);
    call.reply.fail(failure);
    call
}

/// A call that has not begun.
pub(super) fn failed(ticket: usize, failure: &Failure) -> Done {
    Done { ticket, call: with_failure(failure), panicked: false, started_ns: None, ended_ns: now_ns() }
}
