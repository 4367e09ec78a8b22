//! Which loop takes a new connection: one that has few. A connection stays where it was taken, so sixteen that fell
//! ten and six would leave a part of two workers idle for as long as they live. Pure: the clock is handed in.
//!
//! All loops hear the same knock (decision 0006). One that is ahead of another leaves who knocks to it, for a moment:
//! the other may be about to look. Nobody waits longer than that for a loop that does not come (decision 0059).

/// So long a knock is left to others: some times what waking takes, 15 to 60 us on the reference machine.
const GIVE_WAY_NS: u64 = 200_000;
/// A loop may be ahead by one of so many: with thousands of connections at once loops take them by the dozen, and do
/// not wait for each other at each.
const PART: usize = 16;

/// Of one loop.
#[derive(Default, Debug)]
pub(crate) struct GivesWay {
    /// Until when knocks are left to others.
    until_ns: Option<u64>,
}

impl GivesWay {
    /// How many connections this loop may take now, when it has `own` and the other one with the fewest has so many.
    /// Without another all.
    pub(crate) fn most(&mut self, own: usize, fewest: Option<usize>, now_ns: u64) -> usize {
        let fair = fewest.map_or(usize::MAX, |fewest| fewest + fewest / PART + 1);
        if own < fair {
            self.until_ns = None;
            return fair - own;
        }
        let until_ns = *self.until_ns.get_or_insert(now_ns.saturating_add(GIVE_WAY_NS));
        if now_ns < until_ns {
            return 0;
        }
        // Nobody came.
        self.until_ns = None;
        usize::MAX
    }

    /// Until when, if knocks are left to others.
    pub(crate) fn until_ns(&self) -> Option<u64> {
        self.until_ns
    }

    /// Nobody knocks any more.
    pub(crate) fn is_over(&mut self) {
        self.until_ns = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const US: u64 = 1_000;

    /// Loops that look at a knock so many nanoseconds after it, again and again, until nobody waits.
    struct World {
        loops: Vec<(GivesWay, usize)>,
        now_ns: u64,
        /// The longest that anybody waited.
        longest_ns: u64,
    }

    impl World {
        fn new(loops: usize) -> Self {
            Self { loops: (0..loops).map(|_| (GivesWay::default(), 0)).collect(), now_ns: 0, longest_ns: 0 }
        }

        /// So many knock at once; each loop looks first after its delay, and then each microsecond. `None`: it is in a
        /// handler that it has told nobody of, and does not look at all.
        fn knock(&mut self, mut waiting: usize, delays: &[Option<u64>]) {
            let began_ns = self.now_ns;
            while waiting > 0 {
                for (number, delay) in delays.iter().enumerate() {
                    if delay.is_some_and(|delay| began_ns + delay <= self.now_ns) {
                        let others = self.loops.iter().enumerate().filter(|(other, _)| *other != number);
                        let fewest = others.map(|(_, (_, count))| *count).min();
                        let (gives_way, own) = &mut self.loops[number];
                        let taken = gives_way.most(*own, fewest, self.now_ns).min(waiting);
                        *own += taken;
                        waiting -= taken;
                    }
                }
                self.longest_ns = self.longest_ns.max(self.now_ns - began_ns);
                self.now_ns += US;
            }
            self.loops.iter_mut().for_each(|(gives_way, _)| gives_way.is_over());
        }

        fn counts(&self) -> (usize, usize) {
            let counts = || self.loops.iter().map(|(_, count)| *count);
            (counts().min().unwrap_or(0), counts().max().unwrap_or(0))
        }
    }

    proptest! {
        /// Whoever wakes first, loops that look in time differ by one.
        #[test]
        fn connections_that_come_one_by_one_are_shared_evenly(
            loops in 1..6_usize,
            delays in prop::collection::vec(prop::collection::vec(0..150 * US, 6), 1..60),
        ) {
            let mut world = World::new(loops);
            for delays in &delays {
                let delays: Vec<_> = delays[..loops].iter().copied().map(Some).collect();
                world.knock(1, &delays);
                let (least, most) = world.counts();
                prop_assert!(most <= least + 1 + least / PART, "{least}..{most}");
            }
            prop_assert!(world.longest_ns <= 150 * US, "{}", world.longest_ns);
        }

        /// Of thousands at once nobody waits for long, and parts are nearly equal.
        #[test]
        fn crowds_come_in_fast(loops in 1..6_usize, waiting in 500..4_000_usize, seen_ns in 0..150 * US) {
            let mut world = World::new(loops);
            let delays: Vec<_> = (0..6).map(|number| Some(seen_ns * number / 5)).take(loops).collect();
            world.knock(waiting, &delays);
            let (least, most) = world.counts();
            prop_assert_eq!(world.loops.iter().map(|(_, count)| *count).sum::<usize>(), waiting);
            prop_assert!(most - least <= least / PART + 2, "{least}..{most}");
            prop_assert!(world.longest_ns <= 200 * US, "{}", world.longest_ns);
        }

        /// Who does not come is not waited for.
        #[test]
        fn nobody_waits_for_a_loop_that_does_not_look(knocks in 1..40_usize, delay in 0..100 * US) {
            let mut world = World::new(2);
            for _ in 0..knocks {
                world.knock(1, &[Some(delay), None]);
            }
            prop_assert_eq!(world.counts(), (0, knocks));
            prop_assert!(world.longest_ns <= delay + GIVE_WAY_NS + US, "{}", world.longest_ns);
        }
    }

    #[test]
    fn places_that_became_free_are_filled_first() {
        let mut world = World::new(2);
        (0..20).for_each(|_| world.knock(1, &[Some(0), Some(0)]));
        assert_eq!(world.counts(), (10, 10));
        world.loops[1].1 = 3;
        (0..7).for_each(|_| world.knock(1, &[Some(0), Some(100 * US)]));
        assert_eq!(world.counts(), (10, 10), "whoever looks first");
    }

    #[test]
    fn a_worker_alone_takes_all_and_at_once() {
        let mut alone = GivesWay::default();
        assert_eq!((alone.most(7, None, 0), alone.until_ns()), (usize::MAX - 7, None));
        let mut ahead = GivesWay::default();
        assert_eq!((ahead.most(1, Some(0), 5), ahead.until_ns()), (0, Some(5 + GIVE_WAY_NS)));
        assert_eq!(ahead.most(1, Some(0), 4 + GIVE_WAY_NS), 0);
        assert_eq!((ahead.most(1, Some(0), 5 + GIVE_WAY_NS), ahead.until_ns()), (usize::MAX, None));
        // The next one knocks anew.
        assert_eq!(ahead.most(2, Some(0), 6 + GIVE_WAY_NS), 0);
        ahead.is_over();
        assert_eq!(ahead.until_ns(), None);
    }
}
