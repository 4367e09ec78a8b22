//! Up to which slot of a link every pass looks. Pure.

/// Full passes between two decisions to look at one slot less. A call takes longer than a full pass comes round, and a
/// slot that is left out too early costs its next call until the following full pass.
const DECIDE: u32 = 16;

/// It grows at once to what is in use, and shrinks slowly.
#[derive(Debug)]
pub(super) struct Reach {
    slots: usize,
    /// Slots up to the highest in use since the last decision.
    used: usize,
    full_passes: u32,
}

impl Reach {
    pub(super) fn new() -> Self {
        Self { slots: 1, used: 1, full_passes: 0 }
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// A pass found its highest request in this slot; a full one looked at all slots.
    pub(super) fn passed(&mut self, is_full: bool, highest: Option<usize>) {
        self.used = self.used.max(highest.map_or(1, |slot| slot + 1));
        self.slots = self.slots.max(self.used);
        self.full_passes += u32::from(is_full);
        if self.full_passes == DECIDE {
            self.slots -= (self.slots - self.used).min(1);
            (self.used, self.full_passes) = (1, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_in_use_stays_in_reach_however_many_passes_find_nothing() {
        let mut reach = Reach::new();
        for _ in 0..1_000 {
            reach.passed(false, Some(3));
            (1..DECIDE).for_each(|_| reach.passed(true, None));
            assert_eq!(reach.slots(), 4);
        }
    }

    #[test]
    fn after_a_burst_it_comes_down_slot_by_slot_also_from_all_of_them() {
        let mut reach = Reach::new();
        reach.passed(true, Some(63));
        assert_eq!(reach.slots(), 64);
        (0..DECIDE * 63).for_each(|_| reach.passed(true, Some(1)));
        assert_eq!(reach.slots(), 2);
        (0..DECIDE * 2).for_each(|_| reach.passed(true, None));
        assert_eq!(reach.slots(), 1);
    }
}
