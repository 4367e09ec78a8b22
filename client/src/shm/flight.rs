//! A started call: published, or in line to be, and somebody waits for it now or later.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use speedysvc_protocol::ids::MethodIndex;
use speedysvc_protocol::shm::doorbell::LOOK_AGAIN;
use speedysvc_protocol::shm::layout::SLOT_BUFFER;
use speedysvc_protocol::shm::slot::{Caller, ReplyHead};
use speedysvc_protocol::status::Status;

use super::home::Home;
use super::lease::{LOOK_FOR_ZOMBIES, Lease, Parts};
use super::queue::{self, Ticket};
use super::queued::Queued;
use super::room::Lack;
use super::{ShmConnection, own, reply_lost, still_larger, upcoming};
use crate::call::{Answer, Ask, Request, Stop};
use crate::clock::{Deadline, last_tick_ns};
use crate::reply::Reply;

/// Of calls that were started in a row, the reply of so many slots ahead is sent for.
const AHEAD: usize = 2;

/// A lease that may be kept as long as one likes.
pub(super) type Owned = Lease<Home>;

/// Dropping it gives the call up.
pub(crate) struct Flight {
    pub(super) method: MethodIndex,
    pub(super) deadline: Deadline,
    pub(super) step: Step,
    /// Whether this is about a reply that did not fit at first.
    pub(super) fetching: bool,
    /// The key of a task that is parked while it stands in line.
    pub(super) parked: Option<u64>,
    /// Whether a task is parked for the reply.
    pub(super) sleeps: bool,
}

pub(super) enum Step {
    Queued(Arc<Queued>),
    Out(Owned),
    /// A buffer for a reply is wanted.
    Granting(Owned, ReplyHead, Option<Ticket>),
    Over,
}

impl Flight {
    /// Publishes a call, or stands in line. The caller sees to it that [`ShmConnection::look_if_owed`] is called.
    #[inline]
    pub(crate) fn start(home: Home, request: &Request) -> Result<Self, (Stop, Home)> {
        let ask = request.ask();
        let len = match home.sizes_of(&ask) {
            Ok(sizes) => sizes.buffer(ask.body.len()),
            Err(error) => return Err((error.into(), home)),
        };
        let slot = if len <= SLOT_BUFFER { own::take(home.link()).or_else(|| home.slots.take()) } else { None };
        let step = match slot {
            Some(slot) => match begin(home.link(), slot, &ask) {
                Ok(parts) => Step::Out(Lease::from_parts(home, parts)),
                Err(stop) => return Err((stop, home)),
            },
            None => Step::Queued(Queued::stand(home.clone(), request, len).map_err(|stop| (stop, home))?),
        };
        let (method, deadline) = (request.method, request.deadline);
        Ok(Self { method, deadline, step, fetching: false, parked: None, sleeps: false })
    }

    /// A call that is out.
    pub(super) fn out(method: MethodIndex, deadline: Deadline, lease: Owned) -> Self {
        Self { method, deadline, step: Step::Out(lease), fetching: false, parked: None, sleeps: false }
    }

    /// What keeps the link; `None` when the call has ended.
    pub(crate) fn home(&self) -> Option<&Home> {
        self.step.home()
    }

    /// Reads the reply into `reply`, if it is there, it is the whole of it, and no task has ever waited for it. With
    /// many calls in flight the oldest has mostly been answered. Then those that were started meanwhile can still go
    /// out with later ones: nobody looks for their worker yet.
    #[inline]
    pub(crate) fn answered(&mut self, reply: &mut Reply) -> Option<Result<Answer, (Stop, Home)>> {
        let Step::Out(lease) = &mut self.step else { return None };
        let (home, slot) = (&**lease.home(), lease.slot());
        let caller = home.link.slot(slot);
        let head = caller.poll(lease.seq()).filter(|head| head.status != Status::Need && !self.sleeps)?;
        home.expect_next(caller, slot);
        lease.settle();
        let Step::Out(lease) = std::mem::replace(&mut self.step, Step::Over) else { unreachable!("it was out") };
        Some(self.read(&lease, head, reply).map_err(|stop| (stop, lease.home().clone())))
    }

    /// Waits for a reply that has not been [answered](Self::answered); its body goes into `reply`.
    pub(crate) fn wait(&mut self, reply: &mut Reply) -> Result<Answer, Stop> {
        if let Some(home) = self.step.home().cloned() {
            self.unpark(&home);
            home.look_if_owed();
        }
        loop {
            match std::mem::replace(&mut self.step, Step::Over) {
                Step::Queued(queued) => self.step = Step::Out(self.wait_in_line(&queued)?),
                Step::Out(mut lease) => {
                    let home = lease.home().clone();
                    let caller = home.link.slot(lease.slot());
                    let head =
                        home.wait_for_reply(&mut lease, caller, self.deadline).map_err(|stop| self.told(stop))?;
                    if let Some(answer) = self.arrived(lease, head, reply) {
                        return answer;
                    }
                }
                Step::Granting(mut lease, need, mut ticket) => {
                    lease.home().leave_line(Lack::Memory, &mut ticket);
                    lease.regrant(need.len.into(), self.deadline).map_err(reply_lost)?;
                    self.fetch(lease, need)?;
                }
                Step::Over => unreachable!("a call that ended is not waited for"),
            }
        }
    }

    fn wait_in_line(&self, queued: &Arc<Queued>) -> Result<Owned, Stop> {
        let (home, waker) = (queued.home(), queue::this_thread());
        loop {
            if let Some(ready) = queued.take(&waker) {
                return ready;
            }
            let stop = match self.deadline.left() {
                None => home.lacks(queued.cancel()).into(),
                Some(_) if !home.is_usable() || home.is_hung_up() => {
                    queued.cancel();
                    home.gone()
                }
                Some(left) => {
                    let zombies = home.room().has_zombies();
                    thread::park_timeout(left.min(if zombies { LOOK_FOR_ZOMBIES } else { LOOK_AGAIN }));
                    home.revive();
                    continue;
                }
            };
            return Err(stop);
        }
    }

    pub(super) fn unpark_reply(&mut self, home: &ShmConnection, slot: usize) {
        if std::mem::take(&mut self.sleeps) {
            home.parks.0.unpark(slot);
        }
    }

    /// No task waits any more, or not for what it waited for.
    pub(super) fn unpark(&mut self, home: &ShmConnection) {
        if let Some(parked) = self.parked.take() {
            home.parks.0.unpark_other(parked);
        }
        if let Step::Out(lease) = &self.step {
            let slot = lease.slot();
            self.unpark_reply(home, slot);
        }
    }

    /// What the reply says, or `None` when it is to be fetched first.
    pub(super) fn arrived(&mut self, lease: Owned, head: ReplyHead, reply: &mut Reply) -> Option<Result<Answer, Stop>> {
        if head.status != Status::Need {
            return Some(self.read(&lease, head, reply));
        }
        if self.fetching {
            return Some(Err(reply_lost(still_larger())));
        }
        lease.home().note_reply(self.method, head);
        self.fetching = true;
        self.begin_fetch(lease, head).err().map(|stop| Err(reply_lost(stop)))
    }

    #[inline]
    fn read(&self, lease: &Owned, head: ReplyHead, reply: &mut Reply) -> Result<Answer, Stop> {
        let home = lease.home();
        home.note_reply(self.method, head);
        home.read(lease, home.link.slot(lease.slot()), head, reply).map_err(|stop| self.told(stop))
    }

    fn begin_fetch(&mut self, mut lease: Owned, need: ReplyHead) -> Result<(), Stop> {
        lease.home().check_need(need)?;
        if u64::from(need.len) <= lease.grant().capacity {
            return self.fetch(lease, need);
        }
        lease.drop_grant(need.len.into())?;
        self.step = Step::Granting(lease, need, None);
        Ok(())
    }

    pub(super) fn fetch(&mut self, mut lease: Owned, need: ReplyHead) -> Result<(), Stop> {
        let home = lease.home().clone();
        home.post_fetch(&mut lease, self.deadline, need).map_err(reply_lost)?;
        self.step = Step::Out(lease);
        Ok(())
    }

    /// The call ran when its reply is being fetched.
    pub(super) fn told(&self, stop: Stop) -> Stop {
        if self.fetching { reply_lost(stop) } else { stop }
    }

    #[cold]
    pub(super) fn give_up(&mut self) {
        if let Some(home) = self.step.home().cloned() {
            self.unpark(&home);
        }
        match std::mem::replace(&mut self.step, Step::Over) {
            Step::Queued(queued) => {
                queued.cancel();
            }
            Step::Out(lease) => drop(lease),
            Step::Granting(lease, _, mut ticket) => {
                lease.home().leave_line(Lack::Memory, &mut ticket);
                drop(lease);
            }
            Step::Over => {}
        }
    }
}

/// Publishes a call in a slot that was taken for it.
#[inline]
fn begin(home: &ShmConnection, slot: usize, ask: &Ask<'_>) -> Result<Parts, Stop> {
    let mut lease = Lease::of(home, slot);
    lease.check_link(ask.begun_ns)?;
    let caller = home.link.slot(slot);
    home.post(&mut lease, caller, ask)?;
    home.slots.use_at(slot, ask.begun_ns);
    home.slots.note_place(slot, upcoming::add(home, caller.expected()));
    // PAIR posted-or-looked: the request is out before the look is owed.
    home.owes_look.0.store(true, Ordering::Release);
    Ok(lease.into_parts())
}

impl Step {
    pub(super) fn home(&self) -> Option<&Home> {
        match self {
            Self::Queued(queued) => Some(queued.home()),
            Self::Out(lease) | Self::Granting(lease, ..) => Some(lease.home()),
            Self::Over => None,
        }
    }
}

impl Drop for Flight {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.step, Step::Over) {
            self.give_up();
        }
    }
}

impl ShmConnection {
    /// The reply in this slot is read, and then others: a hint.
    #[inline]
    pub(super) fn expect_next(&self, caller: Caller<'_>, slot: usize) {
        // The next call will probably go into this slot, and its loop has nothing to look for there meanwhile.
        caller.prepare();
        // And the reply to what was started a little later is probably there.
        match self.slots.place(slot) {
            upcoming::IN_A_ROW => {
                let (ahead, count) = (slot + AHEAD, self.slots.count());
                self.link.slot(if ahead < count { ahead } else { ahead % count }).expected().expect();
            }
            place => upcoming::expect_after(place),
        }
    }

    /// Looks whether the published calls must be rung for, if nobody has since they were; what else is noted of a call
    /// comes after that.
    #[inline]
    pub(crate) fn look_if_owed(&self) {
        // PAIR posted-or-looked: whoever takes the debt over has seen the requests that it is for.
        if self.owes_look.0.load(Ordering::Relaxed) && self.owes_look.0.swap(false, Ordering::Acquire) {
            self.look_at_poller();
            self.looking.note_call(last_tick_ns());
        }
    }
}
