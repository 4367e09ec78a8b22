//! Allotting incarnations: the names that loops sign claims with.

use std::num::NonZeroU16;

use speedysvc_protocol::ids::Incarnation;
use speedysvc_protocol::limits::BOARD_LINES;
use speedysvc_protocol::shm::board::line_of;

/// Which incarnations live. The next one is always the longest unused, and shares no board line with a living one.
#[derive(Debug, Default)]
pub(crate) struct Incarnations {
    last: u16,
    alive: Vec<Incarnation>,
}

impl Incarnations {
    /// A fresh incarnation, or `None` when all lines of the board are taken.
    pub(crate) fn allot(&mut self) -> Option<Incarnation> {
        for _ in 0..=BOARD_LINES {
            self.last = self.last.wrapping_add(1);
            let Some(number) = NonZeroU16::new(self.last) else { continue };
            let free = self.alive.iter().all(|other| line_of(other.0.get()) != line_of(self.last));
            if free {
                let fresh = Incarnation(number);
                self.alive.push(fresh);
                return Some(fresh);
            }
        }
        None
    }

    /// Gives one back, after every claim that named it has been resolved.
    pub(crate) fn free(&mut self, incarnation: Incarnation) {
        self.alive.retain(|other| *other != incarnation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_past_zero_and_never_share_a_line() {
        let mut all = Incarnations { last: u16::MAX - 2, alive: Vec::new() };
        let given: Vec<u16> = (0..4).map(|_| all.allot().unwrap().0.get()).collect();
        assert_eq!(given, [u16::MAX - 1, u16::MAX, 1, 2]);
        for _ in 4..BOARD_LINES {
            all.allot();
        }
        let lines: std::collections::HashSet<usize> = all.alive.iter().map(|i| line_of(i.0.get())).collect();
        assert_eq!(lines.len(), all.alive.len());
        while all.allot().is_some() {}
        let one = all.alive[7];
        all.free(one);
        assert_eq!(line_of(all.allot().unwrap().0.get()), line_of(one.0.get()));
    }
}
