//! How often clients of one user may attach. Pure.
//!
//! Who attaches and leaves without end pays little, and each time the broker makes a link, and all workers map and
//! unmap it between two calls of others (decision 0083). Nobody is refused for it: who comes too soon waits.

use std::collections::HashMap;

/// So many may come in a row: as many as one user may have, all of which come back when an engine starts anew...
const MOST: u64 = super::service::LINKS_OF_ANOTHER_USER_MAX as u64;
/// ...and one more each so often: with half a millisecond for each, a user takes a twentieth of a processor.
const ONE_MORE_NS: u64 = 10_000_000;
/// A link that was lost for a broken rule costs as many places as so many that were left: what is queued behind it is
/// dropped in the broker's time, and a line is logged (decision 0087).
const PLACES_OF_A_LOST_LINK: u64 = 10;

/// By user. Who has not attached for long is not in it.
#[derive(Default)]
pub(crate) struct Paces(HashMap<u32, Pace>);

struct Pace {
    /// When nothing will be left of what this user has used up, if it does not attach any more.
    rested_ns: u64,
    /// Until when each link that comes takes the places of a lost one: as long as that many such take. So nobody waits
    /// for the places of more than one, and many that are lost at once are not cheaper.
    owes_until_ns: u64,
    is_told: bool,
}

/// Whether a client may attach.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    Now,
    /// From then on. `is_news` when nobody was told so since this user had rested.
    Later {
        at_ns: u64,
        is_news: bool,
    },
}

impl Paces {
    /// For a client that wants to attach at this moment. [`Turn::Now`] is counted.
    pub(crate) fn ask(&mut self, uid: u32, now_ns: u64) -> Turn {
        self.0.retain(|_, pace| pace.rested_ns.max(pace.owes_until_ns) > now_ns);
        let pace = self.pace(uid, now_ns);
        let at_ns = pace.rested_ns.saturating_sub((MOST - 1) * ONE_MORE_NS);
        if at_ns > now_ns {
            return Turn::Later { at_ns, is_news: !std::mem::replace(&mut pace.is_told, true) };
        }
        let places = if pace.owes_until_ns > now_ns { PLACES_OF_A_LOST_LINK } else { 1 };
        pace.rested_ns += places * ONE_MORE_NS;
        Turn::Now
    }

    /// A link of this user was lost at this moment.
    pub(crate) fn lost(&mut self, uid: u32, now_ns: u64) {
        let pace = self.pace(uid, now_ns);
        pace.owes_until_ns = pace.owes_until_ns.max(now_ns) + PLACES_OF_A_LOST_LINK * ONE_MORE_NS;
    }

    fn pace(&mut self, uid: u32, now_ns: u64) -> &mut Pace {
        let pace = self.0.entry(uid).or_insert(Pace { rested_ns: now_ns, owes_until_ns: 0, is_told: false });
        if pace.rested_ns <= now_ns {
            (pace.rested_ns, pace.is_told) = (now_ns, false);
        }
        pace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many clients of those that come at these moments may attach.
    fn attached(paces: &mut Paces, uid: u32, times: impl Iterator<Item = u64>) -> u64 {
        times.map(|now_ns| u64::from(paces.ask(uid, now_ns) == Turn::Now)).sum()
    }

    #[test]
    fn as_many_as_one_may_have_come_at_once_and_then_one_at_a_time() {
        let mut paces = Paces::default();
        assert_eq!(attached(&mut paces, 7, (0..5000).map(|_| 3)), MOST);
        assert_eq!(paces.ask(7, 3), Turn::Later { at_ns: 3 + ONE_MORE_NS, is_news: false });
        assert_eq!(attached(&mut paces, 7, (0..100 * ONE_MORE_NS).step_by(1_000_000).map(|ns| 4 + ns)), 99);
        assert_eq!(paces.ask(8, 3), Turn::Now, "another user has a pace of its own");
    }

    #[test]
    fn who_comes_when_it_was_told_may_attach() {
        let mut paces = Paces::default();
        attached(&mut paces, 7, (0..MOST).map(|_| 0));
        let mut now_ns = 0;
        for _ in 0..1000 {
            let Turn::Later { at_ns, .. } = paces.ask(7, now_ns) else { panic!("one too many at {now_ns}") };
            assert!(at_ns > now_ns && at_ns <= now_ns + ONE_MORE_NS);
            now_ns = at_ns;
            assert_eq!(paces.ask(7, now_ns), Turn::Now);
        }
    }

    /// A user that keeps so many links, loses them all at once, and attaches anew as soon as it may: how many it loses.
    fn lost_in(seconds: u64, at_once: u64) -> u64 {
        let (mut paces, mut now_ns, mut links, mut lost) = (Paces::default(), 3, 0, 0);
        while now_ns < seconds * 1_000_000_000 {
            match paces.ask(7, now_ns) {
                Turn::Now => links += 1,
                Turn::Later { at_ns, .. } => now_ns = at_ns,
            }
            if links == at_once {
                (0..links).for_each(|_| paces.lost(7, now_ns));
                (links, lost) = (0, lost + links);
            }
        }
        lost
    }

    #[test]
    fn lost_links_count_as_ten_however_many_are_lost_at_once() {
        for at_once in [1, 2, 10, 100, 1000] {
            let first = MOST / PLACES_OF_A_LOST_LINK + 2 * at_once;
            assert!(lost_in(1000, at_once) <= first + 1000 * 100 / PLACES_OF_A_LOST_LINK, "{at_once} at once");
        }
        assert!(lost_in(1000, 1) > 10_000);
    }

    #[test]
    fn nobody_waits_for_the_places_of_more_than_one() {
        let mut paces = Paces::default();
        assert_eq!(attached(&mut paces, 7, (0..MOST).map(|_| 3)), MOST);
        let mut now_ns = 3;
        for turn in 0..500 {
            (0..MOST).for_each(|_| paces.lost(7, now_ns));
            let Turn::Later { at_ns, .. } = paces.ask(7, now_ns) else { panic!("turn {turn} came too soon") };
            assert!(at_ns - now_ns <= PLACES_OF_A_LOST_LINK * ONE_MORE_NS);
            now_ns = at_ns;
            assert_eq!(paces.ask(7, now_ns), Turn::Now);
        }
    }

    #[test]
    fn it_is_news_again_for_who_has_rested_and_then_lost_a_link() {
        let mut paces = Paces::default();
        attached(&mut paces, 7, (0..2 * MOST).map(|_| 3));
        let later_ns = 2 * MOST * ONE_MORE_NS;
        paces.lost(7, later_ns);
        attached(&mut paces, 7, (0..MOST.div_ceil(PLACES_OF_A_LOST_LINK)).map(|_| later_ns));
        assert!(matches!(paces.ask(7, later_ns), Turn::Later { is_news: true, .. }));
    }

    #[test]
    fn it_is_news_again_for_who_has_rested_and_nothing_is_kept_of_it() {
        let mut paces = Paces::default();
        for start_ns in [0, 2 * MOST * ONE_MORE_NS] {
            assert_eq!(attached(&mut paces, 7, (0..MOST).map(|_| start_ns)), MOST);
            for is_news in [true, false, false] {
                assert_eq!(paces.ask(7, start_ns), Turn::Later { at_ns: start_ns + ONE_MORE_NS, is_news });
            }
        }
        assert_eq!(paces.ask(8, u64::MAX - MOST * ONE_MORE_NS), Turn::Now);
        assert_eq!(paces.0.len(), 1);
    }
}
