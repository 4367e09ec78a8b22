//! What is under way in a ring.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use slab::Slab;

use crate::driver::{Outgoing, Tag};

/// A receive under way. Apart from the others, because every connection has one all the time: it is kept small.
pub(super) struct Receive {
    pub(super) tag: Tag,
    /// The socket is held open, so that its number means nothing else meanwhile.
    pub(super) _socket: Rc<OwnedFd>,
}

/// Any other operation under way, with what it keeps alive.
pub(super) enum Operation {
    /// The socket is held open, as above.
    Send {
        tag: Tag,
        socket: Rc<OwnedFd>,
        bytes: Outgoing,
        sent: usize,
        more: bool,
    },
    Watch,
    Cancel,
    Nothing,
}

/// All that is under way, by the number that its entry and its completions carry.
#[derive(Default)]
pub(super) struct UnderWay {
    pub(super) receives: Slab<Receive>,
    pub(super) others: Slab<Operation>,
}

/// Where an operation is.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Receive(usize),
    Other(usize),
}

impl Place {
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Receive(key) => (key as u64) << 1 | 1,
            Self::Other(key) => (key as u64) << 1,
        }
    }

    pub(super) fn of(number: u64) -> Option<Self> {
        let key = usize::try_from(number >> 1).ok()?;
        Some(if number & 1 == 1 { Self::Receive(key) } else { Self::Other(key) })
    }
}

impl UnderWay {
    pub(super) fn is_empty(&self) -> bool {
        self.receives.is_empty() && self.others.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back() {
        for key in [0, 1, 4096, usize::MAX >> 1] {
            assert!(matches!(Place::of(Place::Receive(key).number()), Some(Place::Receive(same)) if same == key));
            assert!(matches!(Place::of(Place::Other(key).number()), Some(Place::Other(same)) if same == key));
        }
    }

    /// One for each connection: see `an_idle_connection_is_small`.
    #[test]
    fn a_receive_is_small() {
        let mut receives = Slab::<Receive>::new();
        assert_eq!(size_of::<Receive>(), 16);
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let socket = Rc::new(OwnedFd::from(ours));
        let place = |receives: &mut Slab<Receive>| {
            let key = receives.insert(Receive { tag: Tag(1), _socket: Rc::clone(&socket) });
            std::ptr::from_ref(&receives[key]) as usize
        };
        receives.reserve(2);
        let first = place(&mut receives);
        assert!(place(&mut receives) - first <= 24, "with what the slab adds");
    }
}
