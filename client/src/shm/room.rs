//! What a link has to give beside its slots: blocks of its arena; who waits for either; and the calls whose slots and
//! blocks must not be used yet. Pure; locked by whoever needs more than a free slot.

use speedysvc_protocol::shm::layout::{Geometry, Grant};
use speedysvc_protocol::shm::seq::Seq;

use super::queue::Queue;
use super::tide::{Look, Tide};

/// A slot and the buffer that goes with it, for one caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) slot: usize,
    /// The last number that was used in this slot.
    pub(super) seq: Seq,
    pub(super) grant: Grant,
}

/// What callers wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lack {
    /// Every slot is in use.
    Slots,
    /// No block is large enough.
    Memory,
}

pub(super) struct Room {
    memory: Tide,
    /// Calls that were given up after a loop had claimed them (rule 11). At most as many as there are slots.
    zombies: Vec<Place>,
    /// A caller waits for a slot with nothing in its hands, and for memory with a slot; who has memory waits for
    /// nothing here. So nobody waits for each other.
    for_slots: Queue,
    for_memory: Queue,
}

impl Room {
    pub(super) fn new(geometry: Geometry) -> Self {
        let memory = Tide::new(geometry.heap_offset(), geometry.heap());
        Self { memory, zombies: Vec::new(), for_slots: Queue::default(), for_memory: Queue::default() }
    }

    pub(super) fn line(&mut self, lack: Lack) -> &mut Queue {
        match lack {
            Lack::Slots => &mut self.for_slots,
            Lack::Memory => &mut self.for_memory,
        }
    }

    /// Whether a block of this size can be had at all.
    pub(super) fn could_hold(&self, len: u64) -> bool {
        self.memory.could_hold(len)
    }

    /// A block of at least `len` bytes, if there is one now.
    pub(super) fn allocate(&mut self, len: u64) -> Option<Grant> {
        self.memory.allocate(len)
    }

    /// Takes a block back. Whether the caller must see to it that somebody [looks](Self::look) from now on.
    #[must_use]
    pub(super) fn free(&mut self, block: Grant) -> bool {
        self.memory.free(block)
    }

    /// Looks which pages should go back to the system.
    pub(super) fn look(&mut self) -> Look {
        self.memory.look()
    }

    /// Takes just this block while its pages go back; `false` when a part of it is in use.
    #[must_use]
    pub(super) fn take(&mut self, block: Grant) -> bool {
        self.memory.take(block)
    }

    /// Its pages are gone.
    pub(super) fn put_back(&mut self, block: Grant) {
        self.memory.put_back(block);
    }

    /// Keeps slot and buffer out of use until the reply to the call comes.
    pub(super) fn bury(&mut self, place: Place) {
        self.zombies.push(place);
    }

    /// The zombies that have been answered by now; they are the caller's.
    pub(super) fn revived(&mut self, is_answered: impl Fn(&Place) -> bool) -> Vec<Place> {
        self.zombies.extract_if(.., |place| is_answered(place)).collect()
    }

    pub(super) fn has_zombies(&self) -> bool {
        !self.zombies.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zombies_keep_their_memory_until_they_are_answered() {
        let mut room = Room::new(Geometry::new(2, 1 << 14).unwrap());
        assert!(room.could_hold(1 << 14) && !room.could_hold((1 << 14) + 1));
        let grant = room.allocate(1 << 14).unwrap();
        let place = Place { slot: 1, seq: Seq::NONE.next().unwrap(), grant };
        room.bury(place);
        assert!(room.revived(|_| false).is_empty() && room.has_zombies());
        assert_eq!(room.allocate(5000), None);
        assert_eq!(room.revived(|zombie| zombie.seq == place.seq), [place]);
        assert!(!room.has_zombies());
        assert!(!room.free(place.grant));
        assert!(room.allocate(1 << 14).is_some());
    }
}
