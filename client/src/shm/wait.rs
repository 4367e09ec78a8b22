//! Waiting for a reply: look, sleep, look again, and give up in a way that can be told apart. Rules 12, 19 and 23.

use std::hint;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use speedysvc_protocol::shm::doorbell::{LOOK_AGAIN, Slept};
use speedysvc_protocol::shm::slot::{GivenUp, ReplyHead};
use speedysvc_protocol::status::Code;

use super::ShmConnection;
use super::lease::Lease;
use crate::call::Stop;
use crate::clock::Deadline;
use crate::error::Error;

/// How long a caller looks before it sleeps: about what a sleep and a wake cost together (measured: 15 to 60 us), so
/// that looking in vain at most doubles the price.
const SPIN: Duration = Duration::from_micros(20);
/// Looks between two looks at the clock: together below a microsecond or two.
const LOOKS: u32 = 32;
/// How long a claimed call may still be answered after the broker has gone: its workers may be finishing.
const FINISHING: Duration = Duration::from_secs(1);

enum Waited {
    Answered(ReplyHead),
    TimeIsUp,
    HungUp,
}

impl ShmConnection {
    /// Waits for the reply to the request that was posted last.
    pub(super) fn wait(&self, lease: &mut Lease<'_>, deadline: Deadline) -> Result<ReplyHead, Stop> {
        let waited = match self.spin(lease) {
            Some(answer) => Waited::Answered(answer),
            None => self.sleep(lease, deadline, false),
        };
        let stop = match waited {
            Waited::Answered(answer) => {
                lease.settle();
                return Ok(answer);
            }
            Waited::TimeIsUp => match lease.give_up() {
                GivenUp::NotStarted => Error::not_started(Code::DeadlineExceeded, "no worker took the call in time"),
                GivenUp::Claimed => {
                    Error::unknown(Code::DeadlineExceeded, "a worker took the call and has not answered")
                }
            }
            .into(),
            Waited::HungUp => return self.after_hang_up(lease, deadline),
        };
        Err(stop)
    }

    fn spin(&self, lease: &Lease<'_>) -> Option<ReplyHead> {
        let (caller, seq) = (self.link.slot(lease.slot()), lease.seq());
        if !self.spins {
            return caller.poll(seq);
        }
        let mut start = None;
        loop {
            for _ in 0..LOOKS {
                if let Some(answer) = caller.poll(seq) {
                    return Some(answer);
                }
                hint::spin_loop();
            }
            if start.get_or_insert_with(Instant::now).elapsed() >= SPIN {
                return None;
            }
        }
    }

    /// Sleeps until the reply comes, time is up or, unless that is known, the broker hangs up.
    fn sleep(&self, lease: &Lease<'_>, deadline: Deadline, known_hung_up: bool) -> Waited {
        let (caller, seq) = (self.link.slot(lease.slot()), lease.seq());
        if caller.unclaimed(seq) {
            self.ring();
        }
        loop {
            if let Some(answer) = caller.poll(seq) {
                return Waited::Answered(answer);
            }
            let Some(left) = deadline.left() else { return Waited::TimeIsUp };
            let Some(unanswered) = caller.announce_sleep(seq) else { continue };
            if caller.sleep(unanswered, left) == Slept::Woken {
                continue;
            }
            if let Some(answer) = caller.poll(seq) {
                // Found by looking, not by being woken: a lost wake, unless it came in the moment of the deadline.
                if left >= LOOK_AGAIN {
                    self.rescues.fetch_add(1, Ordering::Relaxed);
                }
                return Waited::Answered(answer);
            }
            if !known_hung_up && self.is_hung_up() {
                return Waited::HungUp;
            }
        }
    }

    fn after_hang_up(&self, lease: &mut Lease<'_>, deadline: Deadline) -> Result<ReplyHead, Stop> {
        if lease.give_up() == GivenUp::NotStarted {
            return Err(self.gone());
        }
        match self.sleep(lease, deadline.min(Deadline::after(FINISHING)), true) {
            Waited::Answered(answer) => {
                lease.settle();
                Ok(answer)
            }
            Waited::TimeIsUp | Waited::HungUp => {
                let message = "the service stopped after a worker had taken the call";
                Err(Error::unknown(Code::Unavailable, message).into())
            }
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
        self.broken.store(true, Ordering::Relaxed);
    }

    /// What to say of a call that did not start because the link is gone.
    pub(super) fn gone(&self) -> Stop {
        Stop::again("the service hung up before a worker took the call")
    }
}
