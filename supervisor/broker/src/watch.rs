//! What the broker waits for: one epoll descriptor for all sockets and processes of all services.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use speedysvc_protocol::ids::WorkerId;

use crate::ServiceKey;
use crate::processes::ProcessKey;

/// Whose descriptor became ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// Somebody [asked](Watch::wake_at) for this moment.
    Timer,
    Rendezvous(ServiceKey),
    Client(ServiceKey, u64),
    /// The end of a process that has clients.
    ClientEnd(ServiceKey, ProcessKey),
    Worker(ServiceKey, WorkerId),
}

/// The epoll descriptor, and who is behind each token.
pub(crate) struct Watch {
    pub(crate) epoll: OwnedFd,
    pub(crate) sources: HashMap<u64, Source>,
    next: u64,
    timer: OwnedFd,
    /// What it is set to.
    due_ns: u64,
}

/// Most descriptors that one turn looks at, so that a storm of clients cannot hold up the owner's loop.
const READY_MAX: usize = 64;
/// The timer's token; no other comes so far.
const TIMER: u64 = u64::MAX;

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &timer, epoll::EventData::new_u64(TIMER), epoll::EventFlags::IN)?;
        Ok(Self { epoll, sources: HashMap::new(), next: 0, timer, due_ns: u64::MAX })
    }

    /// [`Source::Timer`] is ready at this moment of the monotonic clock, if not sooner.
    pub(crate) fn wake_at(&mut self, at_ns: u64) {
        if at_ns >= self.due_ns {
            return;
        }
        let billion = 1_000_000_000;
        let (seconds, ns) = (at_ns / billion, at_ns % billion);
        let it_value = Timespec { tv_sec: seconds.cast_signed(), tv_nsec: ns.cast_signed() };
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        let set = timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once);
        debug_assert!(set.is_ok(), "{set:?}");
        self.due_ns = at_ns;
    }

    /// The timer was heard.
    pub(crate) fn quiet_timer(&mut self) {
        self.due_ns = u64::MAX;
        // It was set anew meanwhile, and is not ready any more.
        let _not_ready = rustix::io::read(&self.timer, &mut [0_u8; 8][..]);
    }

    pub(crate) fn add(&mut self, fd: impl AsFd, source: Source) -> io::Result<u64> {
        let token = self.next;
        self.next += 1;
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token), epoll::EventFlags::IN)?;
        self.sources.insert(token, source);
        Ok(token)
    }

    /// Also wakes when the descriptor can be written, or no longer.
    pub(crate) fn want_write(&self, fd: impl AsFd, token: u64, want: bool) -> io::Result<()> {
        let also = if want { epoll::EventFlags::OUT } else { epoll::EventFlags::empty() };
        Ok(epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token), epoll::EventFlags::IN | also)?)
    }

    /// Wakes when the descriptor can be read, or never.
    pub(crate) fn want_read(&self, fd: impl AsFd, token: u64, want: bool) -> io::Result<()> {
        let flags = if want { epoll::EventFlags::IN } else { epoll::EventFlags::empty() };
        Ok(epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token), flags)?)
    }

    /// Forgets a token; closing the descriptor takes it out of the epoll set.
    pub(crate) fn remove(&mut self, fd: impl AsFd, token: u64) {
        self.sources.remove(&token);
        // It can only fail when the descriptor was never added: then there is nothing to take out.
        let _absent = epoll::delete(&self.epoll, fd);
    }

    pub(crate) fn ready(&self) -> io::Result<Vec<Source>> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(READY_MAX);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&Timespec::default())) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let source = |event: &epoll::Event| match event.data.u64() {
            TIMER => Some(Source::Timer),
            token => self.sources.get(&token).copied(),
        };
        Ok(events.iter().filter_map(source).collect())
    }
}
