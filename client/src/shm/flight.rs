//! A started call: published, or in line to be, and somebody waits for it now or later.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::thread;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::shm::doorbell::LOOK_AGAIN;
use speedysvc_protocol::shm::layout::SLOT_BUFFER;
use speedysvc_protocol::shm::slot::{GivenUp, ReplyHead};
use speedysvc_protocol::status::{Code, Status};

use super::lease::{LOOK_FOR_ZOMBIES, Lease};
use super::queue::{self, Ticket};
use super::queued::Queued;
use super::room::Lack;
use super::{ShmConnection, reply_lost, still_larger};
use crate::call::{Answer, Request, Stop};
use crate::clock::Deadline;
use crate::error::Error;

/// A lease that may be kept as long as one likes.
pub(super) type Owned = Lease<Arc<ShmConnection>>;

/// Dropping it gives the call up.
pub(crate) struct Flight {
    home: Arc<ShmConnection>,
    request: Arc<Request>,
    step: Step,
    /// Whether this is about a reply that did not fit at first.
    fetching: bool,
    /// The key of a task that is parked while it stands in line.
    parked: Option<u64>,
    /// Whether a task is parked for the reply.
    sleeps: bool,
}

enum Step {
    Queued(Arc<Queued>),
    Out(Owned),
    /// A buffer for a reply is wanted.
    Granting(Owned, ReplyHead, Option<Ticket>),
    Over,
}

impl Flight {
    /// Publishes a call, or stands in line. The caller sees to it that [`ShmConnection::look_if_owed`] is called.
    pub(crate) fn start(home: &Arc<ShmConnection>, request: &Arc<Request>) -> Result<Self, Stop> {
        let ask = request.ask();
        let len = u64::from(home.learned_of(&ask)?.largest()).max(ask.body.len() as u64);
        let slot = if len <= SLOT_BUFFER { home.slots.take() } else { None };
        let step = match slot {
            Some(slot) => {
                let mut lease = Lease::of(Arc::clone(home), slot);
                lease.check_link(ask.begun_ns)?;
                home.post(&mut lease, home.link.slot(slot), &ask)?;
                // PAIR posted-or-looked: the request is out before the look is owed.
                home.owes_look.0.store(true, Ordering::Release);
                Step::Out(lease)
            }
            None => Step::Queued(Queued::stand(home, request, len)?),
        };
        Ok(Self {
            home: Arc::clone(home),
            request: Arc::clone(request),
            step,
            fetching: false,
            parked: None,
            sleeps: false,
        })
    }

    /// Waits for the reply; its body goes into `reply`.
    pub(crate) fn wait(&mut self, reply: &mut Buffer) -> Result<Answer, Stop> {
        self.unpark();
        if !self.is_answered() {
            self.home.look_if_owed();
        }
        let deadline = self.request.deadline;
        loop {
            match std::mem::replace(&mut self.step, Step::Over) {
                Step::Queued(queued) => self.step = Step::Out(self.wait_in_line(&queued)?),
                Step::Out(mut lease) => {
                    let caller = self.home.link.slot(lease.slot());
                    let head =
                        self.home.wait_for_reply(&mut lease, caller, deadline).map_err(|stop| self.told(stop))?;
                    if let Some(answer) = self.arrived(lease, head, reply) {
                        return answer;
                    }
                }
                Step::Granting(mut lease, need, mut ticket) => {
                    self.home.leave_line(Lack::Memory, &mut ticket);
                    lease.regrant(need.len.into(), deadline).map_err(reply_lost)?;
                    self.fetch(lease, need)?;
                }
                Step::Over => unreachable!("a call that ended is not waited for"),
            }
        }
    }

    /// Whether waiting will not take long: then calls that were started meanwhile can still go out with later ones.
    fn is_answered(&self) -> bool {
        match &self.step {
            Step::Out(lease) => self.home.link.slot(lease.slot()).poll(lease.seq()).is_some(),
            _ => false,
        }
    }

    fn wait_in_line(&self, queued: &Arc<Queued>) -> Result<Owned, Stop> {
        let waker = queue::this_thread();
        loop {
            if let Some(ready) = queued.take(&waker) {
                return ready;
            }
            let stop = match self.request.deadline.left() {
                None => self.home.lacks(queued.cancel()).into(),
                Some(_) if !self.home.is_usable() || self.home.is_hung_up() => {
                    queued.cancel();
                    self.home.gone()
                }
                Some(left) => {
                    let zombies = self.home.room().has_zombies();
                    thread::park_timeout(left.min(if zombies { LOOK_FOR_ZOMBIES } else { LOOK_AGAIN }));
                    self.home.revive();
                    continue;
                }
            };
            return Err(stop);
        }
    }

    /// The reply, if it has come; else the task is woken when it may have.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, reply: &mut Buffer) -> Poll<Result<Answer, Stop>> {
        self.home.look_if_owed();
        loop {
            match std::mem::replace(&mut self.step, Step::Over) {
                Step::Queued(queued) => match queued.take(context.waker()) {
                    Some(ready) => {
                        self.unpark();
                        self.step = Step::Out(ready?);
                    }
                    None => return self.stay_in_line(queued, context.waker()).map(Err),
                },
                Step::Out(lease) => match self.look(lease, context.waker()) {
                    Look::Arrived(lease, head) => {
                        if let Some(answer) = self.arrived(lease, head, reply) {
                            return Poll::Ready(answer);
                        }
                    }
                    Look::Parked => return Poll::Pending,
                    Look::Stop(stop) => return Poll::Ready(Err(self.told(stop))),
                },
                Step::Granting(mut lease, need, mut ticket) => {
                    match self.home.block(need.len.into(), &mut ticket, context.waker()) {
                        Some(grant) => {
                            self.unpark();
                            lease.set_grant(grant);
                            self.fetch(lease, need)?;
                        }
                        None if self.request.deadline.left().is_none() => {
                            self.home.leave_line(Lack::Memory, &mut ticket);
                            return Poll::Ready(Err(reply_lost(self.home.lacks(Lack::Memory).into())));
                        }
                        None => {
                            self.step = Step::Granting(lease, need, ticket);
                            return self.park_in_line(context.waker()).map(|stop| Err(reply_lost(stop)));
                        }
                    }
                }
                Step::Over => unreachable!("a call that ended is not polled"),
            }
        }
    }

    fn stay_in_line(&mut self, queued: Arc<Queued>, waker: &Waker) -> Poll<Stop> {
        if self.request.deadline.left().is_none() {
            return Poll::Ready(self.home.lacks(queued.cancel()).into());
        }
        if !self.home.is_usable() {
            queued.cancel();
            return Poll::Ready(self.home.gone());
        }
        self.step = Step::Queued(queued);
        self.park_in_line(waker)
    }

    fn park_in_line(&mut self, waker: &Waker) -> Poll<Stop> {
        let was_usable = self.home.is_usable();
        let stop = if !self.home.park_other(&mut self.parked, self.request.deadline, waker) {
            no_thread(GivenUp::NotStarted)
        } else if was_usable && !self.home.is_usable() {
            // The tasks may have been told before this one was parked.
            self.home.gone()
        } else {
            return Poll::Pending;
        };
        self.give_up();
        Poll::Ready(stop)
    }

    /// Looks for the reply, and parks when there is none.
    fn look(&mut self, mut lease: Owned, waker: &Waker) -> Look {
        let (slot, seq) = (lease.slot(), lease.seq());
        let home = Arc::clone(&self.home);
        let caller = home.link.slot(slot);
        if let Some(head) = caller.poll(seq) {
            lease.settle();
            self.unpark_reply(slot);
            return Look::Arrived(lease, head);
        }
        if self.request.deadline.left().is_none() {
            self.unpark_reply(slot);
            return Look::Stop(super::wait::too_late(lease.give_up()).into());
        }
        if !home.is_usable() {
            let stop = match lease.give_up() {
                GivenUp::NotStarted => Some(home.gone()),
                GivenUp::Claimed => home.has_finished(self.request.deadline).then(super::wait::stopped),
            };
            if let Some(stop) = stop {
                self.unpark_reply(slot);
                return Look::Stop(stop);
            }
        }
        let was_usable = home.is_usable();
        self.sleeps = true;
        if !home.park(slot, seq, home.finishing(self.request.deadline), waker) {
            self.unpark_reply(slot);
            return Look::Stop(no_thread(lease.give_up()));
        }
        if caller.announce_sleep(seq).is_some() {
            if was_usable && !home.is_usable() {
                // The tasks may have been told before this one was parked.
                return self.look(lease, waker);
            }
            self.step = Step::Out(lease);
            return Look::Parked;
        }
        lease.settle();
        let head = caller.poll(seq);
        self.unpark_reply(slot);
        Look::Arrived(lease, head.expect("a reply that was there stays"))
    }

    fn unpark_reply(&mut self, slot: usize) {
        if std::mem::take(&mut self.sleeps) {
            self.home.parks.0.unpark(slot);
        }
    }

    /// No task waits any more, or not for what it waited for.
    fn unpark(&mut self) {
        if let Some(parked) = self.parked.take() {
            self.home.parks.0.unpark_other(parked);
        }
        if let Step::Out(lease) = &self.step {
            let slot = lease.slot();
            self.unpark_reply(slot);
        }
    }

    /// What the reply says, or `None` when it is to be fetched first.
    fn arrived(&mut self, lease: Owned, head: ReplyHead, reply: &mut Buffer) -> Option<Result<Answer, Stop>> {
        let home = Arc::clone(&self.home);
        if head.status != Status::Need {
            home.note_reply(&self.request, head);
            let answer = home.read(&lease, home.link.slot(lease.slot()), head, reply);
            return Some(answer.map_err(|stop| self.told(stop)));
        }
        if self.fetching {
            return Some(Err(reply_lost(still_larger())));
        }
        home.note_reply(&self.request, head);
        self.fetching = true;
        self.begin_fetch(lease, head).err().map(|stop| Err(reply_lost(stop)))
    }

    fn begin_fetch(&mut self, mut lease: Owned, need: ReplyHead) -> Result<(), Stop> {
        self.home.check_need(need)?;
        if u64::from(need.len) <= lease.grant().capacity {
            return self.fetch(lease, need);
        }
        lease.drop_grant(need.len.into())?;
        self.step = Step::Granting(lease, need, None);
        Ok(())
    }

    fn fetch(&mut self, mut lease: Owned, need: ReplyHead) -> Result<(), Stop> {
        self.home.post_fetch(&mut lease, self.request.deadline, need).map_err(reply_lost)?;
        self.step = Step::Out(lease);
        Ok(())
    }

    /// The call ran when its reply is being fetched.
    fn told(&self, stop: Stop) -> Stop {
        if self.fetching { reply_lost(stop) } else { stop }
    }

    fn give_up(&mut self) {
        self.unpark();
        match std::mem::replace(&mut self.step, Step::Over) {
            Step::Queued(queued) => {
                queued.cancel();
            }
            Step::Out(lease) => drop(lease),
            Step::Granting(lease, _, mut ticket) => {
                self.home.leave_line(Lack::Memory, &mut ticket);
                drop(lease);
            }
            Step::Over => {}
        }
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

impl Drop for Flight {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl ShmConnection {
    /// Looks whether the published calls must be rung for, if nobody has since they were.
    #[inline]
    pub(crate) fn look_if_owed(&self) {
        // PAIR posted-or-looked: whoever takes the debt over has seen the requests that it is for.
        if self.owes_look.0.load(Ordering::Relaxed) && self.owes_look.0.swap(false, Ordering::Acquire) {
            self.look_at_poller();
        }
    }

    fn finishing(&self, deadline: Deadline) -> Deadline {
        match self.broken_ns.load(Ordering::Relaxed) {
            0 => deadline,
            since => deadline.min(Deadline::after_ns(since, super::wait::FINISHING)),
        }
    }

    fn has_finished(&self, deadline: Deadline) -> bool {
        self.finishing(deadline).left().is_none()
    }
}
