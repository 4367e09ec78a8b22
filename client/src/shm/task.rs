//! A started call that a task waits for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use speedysvc_protocol::shm::slot::{GivenUp, ReplyHead};
use speedysvc_protocol::status::Code;

use super::flight::{Flight, Owned, Step};
use super::home::Home;
use super::queued::Queued;
use super::room::Lack;
use super::{ShmConnection, reply_lost, wait};
use crate::call::{Answer, Stop};
use crate::clock::Deadline;
use crate::error::Error;
use crate::reply::Reply;

impl Flight {
    /// The reply, if it has come; else the task is woken when it may have.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, reply: &mut Reply) -> Poll<Result<Answer, Stop>> {
        let Some(home) = self.step.home().cloned() else { unreachable!("a call that ended is not polled") };
        home.look_if_owed();
        loop {
            match std::mem::replace(&mut self.step, Step::Over) {
                Step::Queued(queued) => match queued.take(context.waker()) {
                    Some(ready) => {
                        self.unpark(&home);
                        self.step = Step::Out(ready?);
                    }
                    None => return self.stay_in_line(&home, queued, context.waker()).map(Err),
                },
                Step::Out(lease) => match self.look(&home, lease, context.waker()) {
                    Look::Arrived(lease, head) => {
                        if let Some(answer) = self.arrived(lease, head, reply) {
                            return Poll::Ready(answer);
                        }
                    }
                    Look::Parked => return Poll::Pending,
                    Look::Stop(stop) => return Poll::Ready(Err(self.told(stop))),
                },
                Step::Granting(mut lease, need, mut ticket) => {
                    match home.block(need.len.into(), &mut ticket, context.waker()) {
                        Some(grant) => {
                            self.unpark(&home);
                            lease.set_grant(grant);
                            self.fetch(lease, need)?;
                        }
                        None if self.deadline.left().is_none() => {
                            self.unpark(&home);
                            home.leave_line(Lack::Memory, &mut ticket);
                            return Poll::Ready(Err(reply_lost(home.lacks(Lack::Memory).into())));
                        }
                        None => {
                            self.step = Step::Granting(lease, need, ticket);
                            return self.park_in_line(&home, context.waker()).map(|stop| Err(reply_lost(stop)));
                        }
                    }
                }
                Step::Over => unreachable!("a call that ended is not polled"),
            }
        }
    }

    fn stay_in_line(&mut self, home: &Home, queued: Arc<Queued>, waker: &Waker) -> Poll<Stop> {
        if self.deadline.left().is_none() {
            self.unpark(home);
            return Poll::Ready(home.lacks(queued.cancel()).into());
        }
        if !home.is_usable() {
            self.unpark(home);
            queued.cancel();
            return Poll::Ready(home.gone());
        }
        self.step = Step::Queued(queued);
        self.park_in_line(home, waker)
    }

    fn park_in_line(&mut self, home: &Home, waker: &Waker) -> Poll<Stop> {
        let was_usable = home.is_usable();
        let stop = if !home.link().park_other(&mut self.parked, self.deadline, waker) {
            no_thread(GivenUp::NotStarted)
        } else if was_usable && !home.is_usable() {
            // The tasks may have been told before this one was parked.
            home.gone()
        } else {
            return Poll::Pending;
        };
        self.give_up();
        Poll::Ready(stop)
    }

    /// Looks for the reply, and parks when there is none.
    fn look(&mut self, home: &Home, mut lease: Owned, waker: &Waker) -> Look {
        let (slot, seq) = (lease.slot(), lease.seq());
        let caller = home.link.slot(slot);
        if let Some(head) = caller.poll(seq) {
            lease.settle();
            self.unpark_reply(home, slot);
            return Look::Arrived(lease, head);
        }
        if self.deadline.left().is_none() {
            self.unpark_reply(home, slot);
            return Look::Stop(wait::too_late(lease.give_up()).into());
        }
        if !home.is_usable() {
            let stop = match lease.give_up() {
                GivenUp::NotStarted => Some(home.gone()),
                GivenUp::Claimed => home.has_finished(self.deadline).then(wait::stopped),
            };
            if let Some(stop) = stop {
                self.unpark_reply(home, slot);
                return Look::Stop(stop);
            }
        }
        let was_usable = home.is_usable();
        self.sleeps = true;
        if !home.link().park(slot, seq, home.finishing(self.deadline), waker) {
            self.unpark_reply(home, slot);
            return Look::Stop(no_thread(lease.give_up()));
        }
        if caller.announce_sleep(seq).is_some() {
            if was_usable && !home.is_usable() {
                // The tasks may have been told before this one was parked.
                return self.look(home, lease, waker);
            }
            self.step = Step::Out(lease);
            return Look::Parked;
        }
        lease.settle();
        let head = caller.poll(seq);
        self.unpark_reply(home, slot);
        Look::Arrived(lease, head.expect("a reply that was there stays"))
    }
}

enum Look {
    Arrived(Owned, ReplyHead),
    Parked,
    Stop(Stop),
}

fn no_thread(verdict: GivenUp) -> Stop {
    let message = "no thread can be started that waits for this call: wait for it with `wait`";
    match verdict {
        GivenUp::NotStarted => Error::not_started(Code::ResourceExhausted, message).into(),
        GivenUp::Claimed => Error::unknown(Code::ResourceExhausted, message).into(),
    }
}

impl ShmConnection {
    fn finishing(&self, deadline: Deadline) -> Deadline {
        match self.broken_ns.load(Ordering::Relaxed) {
            0 => deadline,
            since => deadline.min(Deadline::after_ns(since, wait::FINISHING)),
        }
    }

    fn has_finished(&self, deadline: Deadline) -> bool {
        self.finishing(deadline).left().is_none()
    }
}
