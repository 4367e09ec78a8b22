//! Waiting for a reply: look, sleep, look again, and give up in a way that can be told apart. Rules 12, 19 and 23.

use std::hint;
use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use speedysvc_protocol::crowd::HOLE_NS;
use speedysvc_protocol::shm::doorbell::Slept;
use speedysvc_protocol::shm::layout::Grant;
use speedysvc_protocol::shm::looks;
use speedysvc_protocol::shm::seq::Seq;
use speedysvc_protocol::shm::slot::{Caller, GivenUp, ReplyHead};
use speedysvc_protocol::status::Code;

use super::lease::Lease;
use super::{ShmConnection, looking};
use crate::call::Stop;
use crate::clock::{Deadline, now_ns, whole_ns};
use crate::error::Error;

/// Looks one after the other, before those with pauses: about a microsecond.
const QUICK_LOOKS: u32 = 128;
/// Looks with pauses between two looks at the clock: together below a microsecond or two.
const LOOKS: u32 = 32;
/// A thread that looks and does nothing else is away from its processor when so much time passes between two looks.
const HOLE: Duration = Duration::from_nanos(HOLE_NS);
/// How long a claimed call may still be answered after the broker has gone: its workers may be finishing.
pub(super) const FINISHING: Duration = Duration::from_secs(1);

/// A thread that is back within this part of its sleep after its end has not lost its processor.
const PUNCTUAL: u32 = 100;

enum Waited {
    Answered(ReplyHead),
    TimeIsUp,
    HungUp,
}

impl ShmConnection {
    /// Waits for the reply to the request that was posted last.
    #[inline]
    pub(super) fn wait_for_reply<H: Deref<Target = Self>>(
        &self,
        lease: &mut Lease<H>,
        caller: Caller<'_>,
        deadline: Deadline,
    ) -> Result<ReplyHead, Stop> {
        match self.spin(caller, lease.seq(), lease.grant()) {
            Some(answer) => {
                lease.settle();
                Ok(answer)
            }
            None => self.sleep_for_reply(lease, deadline),
        }
    }

    #[inline]
    fn spin(&self, caller: Caller<'_>, seq: Seq, grant: Grant) -> Option<ReplyHead> {
        if !self.looking.is_worth_while() {
            return caller.poll(seq);
        }
        self.look_quickly(caller, seq).or_else(|| self.spin_on(caller, seq, grant))
    }

    /// Looks for the reply for about a microsecond.
    #[inline]
    pub(super) fn look_quickly(&self, caller: Caller<'_>, seq: Seq) -> Option<ReplyHead> {
        for _ in 0..QUICK_LOOKS {
            if let Some(answer) = caller.poll(seq) {
                self.looking.hit();
                return Some(answer);
            }
            looks::one_at_a_time();
        }
        None
    }

    /// Goes on looking, with a look at the clock now and then; twice as long when its worker still wakes by then: where
    /// that takes so long, a wake of ours does, too.
    #[cold]
    pub(super) fn spin_on(&self, caller: Caller<'_>, seq: Seq, grant: Grant) -> Option<ReplyHead> {
        let (start, enough) = (Instant::now(), self.looking.longest(grant.capacity));
        let (mut looked, mut longest) = (Duration::ZERO, enough);
        loop {
            for _ in 0..LOOKS {
                if let Some(answer) = caller.poll(seq) {
                    self.looking.hit();
                    return Some(answer);
                }
                hint::spin_loop();
            }
            let before = std::mem::replace(&mut looked, start.elapsed());
            if looked.saturating_sub(before) >= HOLE {
                looking::was_away();
            }
            if looked >= longest {
                if longest == enough && self.is_waking(caller, seq) {
                    longest += self.looking.longest(0);
                    continue;
                }
                self.looking.missed();
                return None;
            }
        }
    }

    /// Whether nobody has taken the call, and who is to may not be awake yet.
    fn is_waking(&self, caller: Caller<'_>, seq: Seq) -> bool {
        caller.unclaimed(seq) && self.link.poller().may_wake(|loop_number| self.board.line(loop_number))
    }

    #[cold]
    fn sleep_for_reply<H: Deref<Target = Self>>(
        &self,
        lease: &mut Lease<H>,
        deadline: Deadline,
    ) -> Result<ReplyHead, Stop> {
        let stop = match self.sleep((lease.slot(), lease.seq()), deadline, false) {
            Waited::Answered(answer) => {
                lease.settle();
                return Ok(answer);
            }
            Waited::TimeIsUp => too_late(lease.give_up()).into(),
            Waited::HungUp => return self.after_hang_up(lease, deadline),
        };
        Err(stop)
    }

    /// Sleeps until the reply comes, time is up or, unless that is known, the broker hangs up.
    fn sleep(&self, (slot, seq): (usize, Seq), deadline: Deadline, known_hung_up: bool) -> Waited {
        let caller = self.link.slot(slot);
        if caller.unclaimed(seq) {
            self.ring();
        }
        loop {
            if let Some(answer) = caller.poll(seq) {
                return Waited::Answered(answer);
            }
            let Some(left) = deadline.left() else { return Waited::TimeIsUp };
            let Some(unanswered) = caller.announce_sleep(seq) else { continue };
            let longest = self.rescues.longest_sleep();
            let until = Deadline::after(longest);
            if caller.sleep(unanswered, left.min(longest)) == Slept::Woken {
                continue;
            }
            if let Some(answer) = caller.poll(seq) {
                // Found by looking, not by being woken, unless it came in the moment of the deadline, or since the
                // sleep ended, because this thread itself runs late.
                if left >= longest && now_ns().saturating_sub(until.ns()) < whole_ns(longest / PUNCTUAL) {
                    self.rescues.add();
                }
                return Waited::Answered(answer);
            }
            if !known_hung_up && self.is_hung_up() {
                return Waited::HungUp;
            }
        }
    }

    fn after_hang_up<H: Deref<Target = Self>>(
        &self,
        lease: &mut Lease<H>,
        deadline: Deadline,
    ) -> Result<ReplyHead, Stop> {
        if lease.give_up() == GivenUp::NotStarted {
            return Err(self.gone());
        }
        match self.sleep((lease.slot(), lease.seq()), deadline.min(Deadline::after(FINISHING)), true) {
            Waited::Answered(answer) => {
                lease.settle();
                Ok(answer)
            }
            Waited::TimeIsUp | Waited::HungUp => Err(stopped()),
        }
    }

    /// Whether the broker closed its end: it is gone, or the service stopped. The link is of no use then.
    pub(super) fn is_hung_up(&self) -> bool {
        let mut socket = [PollFd::new(&self.socket, PollFlags::IN | PollFlags::RDHUP)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // The broker says nothing after its welcome: whatever there is to read is the end.
        let hung_up = poll(&mut socket, Some(&now)).is_ok_and(|ready| ready > 0);
        if hung_up {
            self.set_broken();
        }
        hung_up
    }

    pub(super) fn set_broken(&self) {
        if self.is_usable() {
            self.broken_ns.store(now_ns(), Ordering::Relaxed);
        }
    }

    /// What to say of a call that did not start because the link is gone.
    pub(super) fn gone(&self) -> Stop {
        Stop::again("the service hung up before a worker took the call")
    }
}

pub(super) fn too_late(verdict: GivenUp) -> Error {
    match verdict {
        GivenUp::NotStarted => Error::not_started(Code::DeadlineExceeded, "no worker took the call in time"),
        GivenUp::Claimed => Error::unknown(Code::DeadlineExceeded, "a worker took the call and has not answered"),
    }
}

pub(super) fn stopped() -> Stop {
    Error::unknown(Code::Unavailable, "the service stopped after a worker had taken the call").into()
}
