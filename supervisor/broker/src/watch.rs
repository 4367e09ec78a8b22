//! What the broker waits for: one epoll descriptor for all sockets and processes of all services.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use speedysvc_protocol::ids::WorkerId;

use crate::ServiceKey;
use crate::processes::ProcessKey;

/// Whose descriptor became ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
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
}

/// Most descriptors that one turn looks at, so that a storm of clients cannot hold up the owner's loop.
const READY_MAX: usize = 64;

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, sources: HashMap::new(), next: 0 })
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
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&rustix::event::Timespec::default())) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(events.iter().filter_map(|event| self.sources.get(&event.data.u64()).copied()).collect())
    }
}
