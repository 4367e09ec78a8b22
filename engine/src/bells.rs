//! The set of descriptors that ring: links' bells, the pool bell, listeners, the control socket and signals. It is one
//! epoll descriptor, which the ring watches; so the loop still sleeps in one place.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use speedysvc_protocol::ids::LinkId;
use speedysvc_protocol::stats::Counter;

/// Who rang.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rang {
    /// A message from the broker, or its end.
    Control,
    /// Some link of a loop that is asleep, busy or dead has a request.
    Pool,
    /// A signal asks this process to end.
    Signal,
    /// Somebody connects to a listener.
    Knock,
    /// The supervisor has died, and it is time to go.
    Leave,
    /// A call that ran beside the loop is back, or wants to go on.
    Beside,
    /// This link's client has published, and nobody was looking.
    Link(LinkId),
    /// Another worker has no time for a request of a link with this inner bell.
    Passed(u16),
}

/// An even number: links have the even ones from here on, inner bells the odd ones.
const FIRST_LINK: u64 = 16;
/// Most bells that one look takes; the rest stay in the set for the next.
const BATCH: usize = 64;

impl Rang {
    /// What counts it.
    pub(crate) fn counter(self) -> Option<Counter> {
        match self {
            Self::Link(_) | Self::Passed(_) => Some(Counter::BellsHeard),
            Self::Pool => Some(Counter::PoolBellsHeard),
            Self::Control | Self::Signal | Self::Knock | Self::Leave | Self::Beside => None,
        }
    }

    fn token(self) -> u64 {
        match self {
            Self::Control => 0,
            Self::Pool => 1,
            Self::Signal => 2,
            Self::Knock => 3,
            Self::Leave => 4,
            Self::Beside => 5,
            Self::Link(link) => FIRST_LINK + link.0 * 2,
            Self::Passed(bell) => FIRST_LINK + u64::from(bell) * 2 + 1,
        }
    }

    fn from_token(token: u64) -> Self {
        match token {
            0 => Self::Control,
            1 => Self::Pool,
            2 => Self::Signal,
            3 => Self::Knock,
            4 => Self::Leave,
            5 => Self::Beside,
            link if link.is_multiple_of(2) => Self::Link(LinkId((link - FIRST_LINK) / 2)),
            #[expect(clippy::cast_possible_truncation, reason = "the number that `token` widened")]
            bell => Self::Passed(((bell - FIRST_LINK) / 2) as u16),
        }
    }
}

pub(crate) struct Bells {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Bells {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(BATCH) })
    }

    /// Adds a descriptor. Bells are never read, so each ring is one event (edge-triggered); a bell that rang before it
    /// was added rings at once.
    pub(crate) fn add(&self, fd: impl AsFd, rang: Rang) -> io::Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(rang.token()), flags)?)
    }

    /// Takes a descriptor out. Closing it is not enough: others hold it open too.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        // It fails only for a descriptor that was never added.
        let _absent = epoll::delete(&self.epoll, fd);
    }

    /// Who rang since the last look. Empty when nobody did; look until it is, as an event comes once.
    pub(crate) fn heard(&mut self) -> io::Result<impl Iterator<Item = Rang> + '_> {
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&Timespec::default())) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.events.iter().map(|event| Rang::from_token(event.data.u64())))
    }
}

impl AsFd for Bells {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_rings_is_known_by_its_token() {
        let numbers = [0, 1, 2, 77, u16::MAX];
        let links = numbers.into_iter().flat_map(|n| [Rang::Link(LinkId(n.into())), Rang::Passed(n)]);
        let all: Vec<Rang> = [Rang::Control, Rang::Pool, Rang::Signal, Rang::Knock, Rang::Leave, Rang::Beside]
            .into_iter()
            .chain(links)
            .collect();
        assert!(all.iter().all(|rang| Rang::from_token(rang.token()) == *rang));
    }
}
