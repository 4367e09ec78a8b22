//! Bells by which workers tell each other of requests that they have no time for. When there are very many links, some
//! share one: who hears it looks at all of them.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::Links;

struct InnerBell {
    bell: OwnedFd,
    /// Keys of its links.
    keys: Vec<usize>,
}

#[derive(Default)]
pub(crate) struct InnerBells(HashMap<u16, InnerBell>);

impl InnerBells {
    /// A bell came with a link. Unless it is known: to be heard from now on.
    pub(crate) fn meet(&mut self, number: u16, bell: OwnedFd) -> Option<BorrowedFd<'_>> {
        let known = self.0.contains_key(&number);
        let met = self.0.entry(number).or_insert(InnerBell { bell, keys: Vec::new() });
        (!known).then_some(met.bell.as_fd())
    }

    pub(super) fn join(&mut self, number: u16, key: usize) {
        if let Some(met) = self.0.get_mut(&number) {
            met.keys.push(key);
        }
    }

    /// A link is gone. The bell, if it was its last.
    pub(super) fn leave(&mut self, number: u16, key: usize) -> Option<OwnedFd> {
        let met = self.0.get_mut(&number)?;
        met.keys.retain(|other| *other != key);
        if met.keys.is_empty() { self.0.remove(&number).map(|met| met.bell) } else { None }
    }

    pub(super) fn bell(&self, number: u16) -> Option<BorrowedFd<'_>> {
        self.0.get(&number).map(|met| met.bell.as_fd())
    }

    fn keys(&self, number: u16) -> &[usize] {
        self.0.get(&number).map_or(&[], |met| &met.keys)
    }
}

impl Links {
    /// Another worker rang: its links with a request are taken over, as by bells of their own.
    pub(crate) fn adopt_passed(&mut self, number: u16, now_ns: u64) {
        let waits = |key: &usize| self.all.get(*key).is_some_and(|attached| attached.ready().next().is_some());
        let first = self.belled.len();
        self.belled.extend(self.inner_bells.keys(number).iter().copied().filter(waits));
        for place in first..self.belled.len() {
            self.adopt(self.belled[place], now_ns);
        }
    }

    /// The same while this worker drains: they are looked at, and left to the others.
    pub(crate) fn look_for_passed_fetches(&mut self, number: u16) {
        self.belled.extend(self.inner_bells.keys(number));
    }
}

#[cfg(test)]
mod tests {
    use speedysvc_protocol::shm::doorbell;

    use super::*;

    #[test]
    fn a_bell_is_heard_from_its_first_link_to_its_last() {
        let mut bells = InnerBells::default();
        assert!(bells.meet(7, doorbell::bell().unwrap()).is_some());
        bells.join(7, 1);
        assert!(bells.meet(7, doorbell::bell().unwrap()).is_none());
        bells.join(7, 2);
        assert!(bells.bell(7).is_some() && bells.bell(8).is_none());
        assert_eq!((bells.keys(7), bells.keys(8)), (&[1, 2][..], &[][..]));
        assert!(bells.leave(7, 1).is_none());
        assert!(bells.leave(7, 2).is_some() && bells.bell(7).is_none());
        assert!(bells.meet(7, doorbell::bell().unwrap()).is_some());
    }
}
