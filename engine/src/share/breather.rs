//! A breather after a long call, for users with short ones. Pure.
//!
//! Taking turns is of no use to somebody who has one call at a time: between its reply and its next request nothing of
//! it waits, and the other user's next long call begins. So it would get one call for each long one, however short its
//! own are. After a long call the loop therefore waits for those whom it has served just before: as long as they come
//! back, and no longer than the long call took. That costs the user with the long calls half of the loop at most.

/// Whoever has been answered comes back in this time, or has nothing more to ask just now: a wake and a call.
const COMES_BACK_NS: u64 = 100_000;
/// Longest breather: a call that took longer holds others up, whatever comes behind it.
const LONGEST_NS: u64 = 1_000_000;

/// Who ran long last, and who else is there.
#[derive(Default, Debug)]
pub(crate) struct Breather {
    /// Who had the last long call, when it ended, and until when others come first.
    last: Option<(u32, u64, u64)>,
    /// When somebody else was served last.
    other_ns: Option<u64>,
    /// Since the last long call nobody has asked whether this is the beginning of a breather.
    is_new: bool,
}

impl Breather {
    /// A long call of this user took so long, and is over now.
    pub(crate) fn ran_long(&mut self, user: u32, took_ns: u64, now_ns: u64) {
        let same = self.last.is_some_and(|(last, ..)| last == user);
        // Nobody else was served since its last one: there is nobody to wait for.
        let has_others = same && self.other_ns.take().is_some();
        let breather_ns = if has_others { took_ns.min(LONGEST_NS) } else { 0 };
        self.last = Some((user, now_ns, now_ns.saturating_add(breather_ns)));
        self.is_new = true;
    }

    /// A short call of this user is over.
    pub(crate) fn ran_short(&mut self, user: u32, now_ns: u64) {
        if self.last.is_some_and(|(last, ..)| last != user) {
            self.other_ns = Some(now_ns);
        }
    }

    /// Whether this is asked for the first time since the last long call.
    pub(crate) fn begins(&mut self) -> bool {
        std::mem::take(&mut self.is_new)
    }

    /// Whether this user's next long call is put off.
    pub(crate) fn holds(&self, user: u32, now_ns: u64) -> bool {
        let Some((last, ended_ns, until_ns)) = self.last else { return false };
        let since_ns = self.other_ns.map_or(ended_ns, |other_ns| other_ns.max(ended_ns));
        last == user && now_ns < until_ns && now_ns.saturating_sub(since_ns) < COMES_BACK_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOG: u32 = 1;
    const VICTIM: u32 = 2;
    const US: u64 = 1_000;

    /// For a tenth of a second: HOG has always a long call waiting; VICTIM's calls take 2 us, and it asks again so long
    /// after each answer. How many calls each has had.
    fn contest(long_ns: u64, comes_back_ns: u64) -> (u64, u64) {
        let (mut breather, mut now_ns, mut asks_ns) = (Breather::default(), 0, 0);
        let (mut long, mut short) = (0, 0);
        while now_ns < 100_000 * US {
            if asks_ns <= now_ns {
                now_ns += 2 * US;
                breather.ran_short(VICTIM, now_ns);
                asks_ns = now_ns + comes_back_ns;
                short += 1;
            } else if breather.holds(HOG, now_ns) {
                now_ns += US;
            } else {
                now_ns += long_ns;
                breather.ran_long(HOG, long_ns, now_ns);
                long += 1;
            }
        }
        (long, short)
    }

    #[test]
    fn one_call_at_a_time_gets_half_of_the_loop_beside_long_ones() {
        let (long, short) = contest(1_000 * US, 20 * US);
        assert!((48..=52).contains(&long), "{long} long calls of 1 ms in 100 ms");
        // In each breather some 45 of them, instead of one between two long calls.
        assert!(short > 40 * long, "{short} short calls beside {long} long ones");
    }

    #[test]
    fn who_does_not_come_back_soon_is_not_waited_for() {
        let (long, short) = contest(1_000 * US, 300 * US);
        assert!(long >= 89, "{long} long calls of 1 ms in 100 ms");
        assert!(short >= 89, "{short}");
        let (long, _) = contest(1_000 * US, 50_000 * US);
        assert!(long >= 98, "{long} long calls of 1 ms in 100 ms");
    }

    #[test]
    fn a_breather_is_no_longer_than_the_call_before_it() {
        let (long, _) = contest(50 * US, 20 * US);
        assert!((900..=1_050).contains(&long), "{long} long calls of 50 us in 100 ms");
        let (long, _) = contest(10_000 * US, 20 * US);
        assert!((9..=10).contains(&long), "{long} long calls of 10 ms in 100 ms");
    }

    #[test]
    fn alone_nobody_waits() {
        let mut breather = Breather::default();
        assert!(!breather.holds(HOG, 0));
        for call in 1..100 {
            let now_ns = call * 1_000 * US;
            breather.ran_long(HOG, 1_000 * US, now_ns);
            assert!(!breather.holds(HOG, now_ns));
            breather.ran_short(HOG, now_ns);
        }
        breather.ran_short(VICTIM, 100_000 * US);
        breather.ran_long(HOG, 1_000 * US, 101_000 * US);
        assert!(breather.holds(HOG, 101_000 * US) && !breather.holds(VICTIM, 101_000 * US));
        assert!(breather.begins() && !breather.begins());
    }
}
