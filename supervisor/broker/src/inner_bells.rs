//! Bells by which workers tell each other of links. No client holds one, so nobody can make a write to it wait.
//!
//! Links may share one: descriptors are what limits how many can be attached, and a worker that hears such a bell looks
//! which of its links has a request.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use speedysvc_protocol::shm::doorbell;

/// Most bells of a service: up to so many links each has its own, and of four times as many four share one.
const BELLS_MAX: usize = 1024;

struct Bell {
    bell: OwnedFd,
    links: usize,
}

/// By number; `None` where no link has it.
#[derive(Default)]
pub(crate) struct InnerBells(Vec<Option<Bell>>);

impl InnerBells {
    /// The number of the bell for one more link: a new one, or one of those with the fewest links.
    pub(crate) fn join(&mut self) -> io::Result<u16> {
        self.join_up_to(BELLS_MAX)
    }

    fn join_up_to(&mut self, bells_max: usize) -> io::Result<u16> {
        let links = |bell: &Option<Bell>| bell.as_ref().map_or(0, |bell| bell.links);
        let fewest = self.0.iter().enumerate().min_by_key(|(_, bell)| links(bell));
        let number = match fewest {
            Some((number, bell)) if bell.is_none() || self.0.len() >= bells_max => number,
            _ => {
                self.0.push(None);
                self.0.len() - 1
            }
        };
        let place = &mut self.0[number];
        match place {
            Some(bell) => bell.links += 1,
            None => *place = Some(Bell { bell: doorbell::bell()?, links: 1 }),
        }
        Ok(u16::try_from(number).expect("there are at most BELLS_MAX"))
    }

    /// A link of this bell is gone; with its last one the bell is closed.
    pub(crate) fn leave(&mut self, number: u16) {
        let place = &mut self.0[usize::from(number)];
        let last = place.take_if(|bell| bell.links == 1);
        if let Some(bell) = place.as_mut().filter(|_| last.is_none()) {
            bell.links -= 1;
        }
    }

    pub(crate) fn bell(&self, number: u16) -> Option<BorrowedFd<'_>> {
        self.0.get(usize::from(number))?.as_ref().map(|bell| bell.bell.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_share_a_bell_only_when_there_are_no_more() {
        let mut bells = InnerBells::default();
        let join = |bells: &mut InnerBells| bells.join_up_to(3).unwrap();
        assert_eq!([(); 4].map(|()| join(&mut bells)), [0, 1, 2, 0]);
        bells.leave(1);
        assert!(bells.bell(1).is_none() && bells.bell(0).is_some());
        assert_eq!(join(&mut bells), 1);
        assert_eq!([(); 2].map(|()| join(&mut bells)), [1, 2]);
        [0, 0, 2].into_iter().for_each(|number| bells.leave(number));
        assert_eq!([(); 3].map(|()| join(&mut bells)), [0, 0, 2]);
        [0, 0, 1, 1, 2, 2].into_iter().for_each(|number| bells.leave(number));
        assert!((0..4).all(|number| bells.bell(number).is_none()), "the descriptors are back");
    }
}
