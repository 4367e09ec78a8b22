//! What a link has to give: slots and blocks of its arena. Pure; the waiting is in `lease`.

use speedysvc_protocol::shm::layout::{Geometry, Grant, SLOT_BUFFER};
use speedysvc_protocol::shm::seq::Seq;

use super::heap::Heap;

/// A slot and the buffer that goes with it, for one caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) slot: usize,
    /// The last number that was used in this slot.
    pub(crate) seq: Seq,
    pub(crate) grant: Grant,
}

/// Why there is no place now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lack {
    /// Every slot is in use.
    Slots,
    /// No block is large enough.
    Memory,
}

/// The slots and blocks that nobody uses, and those that wait for a late reply (rule 11).
pub(crate) struct Room {
    geometry: Geometry,
    /// The last one given back is the next one given out: its lines are in a cache.
    free: Vec<(usize, Seq)>,
    /// Calls that were given up after a loop had claimed them. Their slots and buffers must not be used.
    zombies: Vec<Place>,
    heap: Heap,
    /// Callers that wait for something to be given back.
    pub(crate) waiting: usize,
    /// When a place was taken last, in nanoseconds.
    pub(crate) used_ns: u64,
}

impl Room {
    pub(crate) fn new(geometry: Geometry, now_ns: u64) -> Self {
        Self {
            geometry,
            free: (0..geometry.slots()).rev().map(|slot| (slot, Seq::NONE)).collect(),
            zombies: Vec::new(),
            heap: Heap::new(geometry.heap_offset(), geometry.heap()),
            waiting: 0,
            used_ns: now_ns,
        }
    }

    /// Whether a buffer of this size can be had at all.
    pub(crate) fn could_hold(&self, len: u64) -> bool {
        len <= SLOT_BUFFER || self.heap.could_hold(len)
    }

    /// A slot with a buffer of at least `len` bytes, or neither.
    pub(crate) fn take(&mut self, len: u64) -> Result<Place, Lack> {
        let Some(&(slot, seq)) = self.free.last() else { return Err(Lack::Slots) };
        let grant = self.grant(slot, len).ok_or(Lack::Memory)?;
        self.free.pop();
        Ok(Place { slot, seq, grant })
    }

    /// A buffer for a slot that is in use: its own when that suffices.
    pub(crate) fn grant(&mut self, slot: usize, len: u64) -> Option<Grant> {
        if len <= SLOT_BUFFER { Some(self.geometry.slot_grant(slot)) } else { self.heap.allocate(len) }
    }

    /// Takes a buffer back; a slot's own needs no care.
    pub(crate) fn give_back_grant(&mut self, grant: Grant) {
        if grant.offset >= self.geometry.heap_offset() {
            self.heap.free(grant);
        }
    }

    /// Takes slot and buffer back.
    pub(crate) fn give_back(&mut self, place: Place) {
        self.give_back_grant(place.grant);
        self.free.push((place.slot, place.seq));
    }

    /// Keeps slot and buffer out of use until the reply to the call comes. At most as many as there are slots.
    pub(crate) fn bury(&mut self, place: Place) {
        self.zombies.push(place);
    }

    /// Takes back what has been answered by now.
    pub(crate) fn revive(&mut self, is_answered: impl Fn(&Place) -> bool) {
        let (answered, open) = std::mem::take(&mut self.zombies).into_iter().partition(is_answered);
        self.zombies = open;
        let answered: Vec<Place> = answered;
        answered.into_iter().for_each(|place| self.give_back(place));
    }

    pub(crate) fn has_zombies(&self) -> bool {
        !self.zombies.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> Room {
        Room::new(Geometry::new(2, 1 << 14).unwrap(), 0)
    }

    #[test]
    fn small_calls_use_the_slots_own_buffers() {
        let mut room = room();
        let (first, second) = (room.take(0).unwrap(), room.take(SLOT_BUFFER).unwrap());
        assert_eq!((first.slot, second.slot), (0, 1));
        assert_eq!(first.grant, Geometry::new(2, 1 << 14).unwrap().slot_grant(0));
        assert_eq!(room.take(0), Err(Lack::Slots));
        room.give_back(first);
        assert_eq!(room.take(0).unwrap().slot, 0);
    }

    #[test]
    fn without_memory_no_slot_is_taken() {
        let mut room = room();
        let all = room.take(1 << 14).unwrap();
        assert_eq!(room.take(5000), Err(Lack::Memory));
        assert!(room.could_hold(1 << 14) && !room.could_hold((1 << 14) + 1));
        room.give_back(all);
        assert!(room.take(5000).is_ok());
    }

    #[test]
    fn zombies_come_back_with_their_memory_when_answered() {
        let mut room = room();
        let place = Place { seq: Seq::NONE.next().unwrap(), ..room.take(1 << 14).unwrap() };
        room.bury(place);
        room.revive(|_| false);
        assert!(room.has_zombies());
        assert_eq!(room.take(5000), Err(Lack::Memory));
        room.revive(|zombie| zombie.seq == place.seq);
        assert!(!room.has_zombies());
        assert_eq!(room.take(1 << 14).unwrap().seq, place.seq);
    }
}
