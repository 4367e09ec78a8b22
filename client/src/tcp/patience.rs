//! How long to look at a socket before sleeping on it. A pure rule: it is told what happened.
//!
//! The same rule as the loop's: looking costs at most what a sleep and a wake do, and goes on only while it has been
//! paying off. A miss halves the time, down to none; a hit restores it. At none, every [`PROBE`]th wait looks once
//! more, because otherwise nothing could ever be a hit again.

use std::time::Duration;

/// What sleeping on a socket and being woken costs both sides together. Measured on the reference VM: 56 us for a round
/// trip between two sleepers, of which some 10 are the sockets' own. A shorter time would never see a service that has
/// just gone to sleep come back, and both would stay asleep between calls.
const LONGEST: Duration = Duration::from_micros(50);
/// At no looking, how many waits pass between two tries.
const PROBE: u32 = 16;
/// A shorter time is not worth its system call.
const LEAST: Duration = Duration::from_micros(2);

#[derive(Debug)]
pub(super) struct Patience {
    longest: Duration,
    budget: Duration,
    waits: u32,
}

impl Patience {
    /// With one processor nobody can answer while we look.
    pub(super) fn new(processors: usize) -> Self {
        let longest = if processors > 1 { LONGEST } else { Duration::ZERO };
        Self { longest, budget: longest, waits: 0 }
    }

    /// A wait begins: how long to look before sleeping.
    pub(super) fn begin(&mut self) -> Duration {
        self.waits = self.waits.wrapping_add(1);
        if self.budget.is_zero() && self.waits.is_multiple_of(PROBE) { self.longest } else { self.budget }
    }

    /// Something came while we looked.
    pub(super) fn hit(&mut self) {
        self.budget = self.longest;
    }

    /// Nothing came.
    pub(super) fn miss(&mut self) {
        self.budget /= 2;
        if self.budget < LEAST {
            self.budget = Duration::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_end_the_looking_and_a_hit_of_a_rare_try_restores_it() {
        let mut patience = Patience::new(2);
        let looked: Vec<_> = (0..6)
            .map(|_| {
                let time = patience.begin();
                patience.miss();
                time
            })
            .collect();
        assert_eq!((looked[0], looked[1], looked[5]), (LONGEST, LONGEST / 2, Duration::ZERO));
        let tries = (0..PROBE * 4).filter(|_| patience.begin() == LONGEST).count();
        assert_eq!(tries, 4);
        patience.hit();
        assert_eq!(patience.begin(), LONGEST);
    }

    #[test]
    fn one_processor_never_looks() {
        let mut patience = Patience::new(1);
        patience.hit();
        assert!((0..100).all(|_| patience.begin().is_zero()));
    }
}
