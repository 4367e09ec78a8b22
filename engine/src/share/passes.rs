//! Who is looked at in a pass over the links: deficit round robin between users, for the calls that are run where they
//! are found (rule 28). Calls that run long have [`turns`](super::turns) of their own. Pure.
//!
//! A user's links are served as long as it has time left in this pass; what it takes too much in one pass, it is passed
//! over for in the next ones. Passes without work take a tenth of a microsecond: so nobody waits for nobody.

use slab::Slab;

/// What each user may take in a pass, in nanoseconds. With what one look at a link may take it bounds how long a pass
/// holds up the others: some ten short calls.
const QUANTUM_NS: i64 = 20_000;

/// Requests that one look takes from a link, where users share a loop: between two of them the time is looked at.
pub(crate) const CLAIMS_MAX: usize = 16;

/// A user, by the place that [`Passes::attached`] gave it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct User(usize);

#[derive(Debug)]
struct Share {
    uid: u32,
    links: usize,
    left_ns: i64,
    /// The pass in which that was so.
    pass: u64,
}

/// The users whose links are attached.
#[derive(Default, Debug)]
pub(crate) struct Passes {
    users: Slab<Share>,
    pass: u64,
}

impl Passes {
    /// A link of this user was attached.
    pub(crate) fn attached(&mut self, uid: u32) -> User {
        let known = self.users.iter().find(|(_, share)| share.uid == uid).map(|(place, _)| place);
        let new = Share { uid, links: 0, left_ns: QUANTUM_NS, pass: self.pass };
        let place = known.unwrap_or_else(|| self.users.insert(new));
        self.users[place].links += 1;
        User(place)
    }

    /// A link of this user is gone. Whether it was its last one.
    pub(crate) fn left(&mut self, User(place): User) -> bool {
        let share = &mut self.users[place];
        share.links -= 1;
        let is_last = share.links == 0;
        if is_last {
            self.users.remove(place);
        }
        is_last
    }

    /// Whether there is anybody to be fair to.
    #[inline]
    pub(crate) fn are_shared(&self) -> bool {
        self.users.len() > 1
    }

    /// A pass begins. Time that was not used is not saved up.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.pass += 1;
    }

    /// Whether this user's links are looked at in this pass.
    #[inline]
    pub(crate) fn serves(&mut self, user: User) -> bool {
        self.share(user).left_ns > 0
    }

    /// Serving this user took so long.
    pub(crate) fn charge(&mut self, user: User, took_ns: u64) {
        let share = self.share(user);
        share.left_ns = share.left_ns.saturating_sub(i64::try_from(took_ns).unwrap_or(i64::MAX));
    }

    #[inline]
    fn share(&mut self, User(place): User) -> &mut Share {
        let share = &mut self.users[place];
        let passes = i64::try_from(self.pass - share.pass).unwrap_or(i64::MAX);
        share.left_ns = share.left_ns.saturating_add(passes.saturating_mul(QUANTUM_NS)).min(QUANTUM_NS);
        share.pass = self.pass;
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// User 0 with 8 links and user 1 with 1, all with as many calls as anybody takes. A look at a link takes so long.
    /// User 1's share of the time, and the longest time that it waited.
    fn contest(hog_ns: u64, victim_ns: u64) -> (f64, u64) {
        let mut passes = Passes::default();
        let hog = (0..8).map(|_| passes.attached(100)).last().expect("eight");
        let users = [hog, passes.attached(101)];
        let (mut used, mut waited, mut longest) = ([0_u64; 2], 0_u64, 0_u64);
        for _ in 0..10_000 {
            passes.begin();
            for (user, takes_ns) in [(0, hog_ns); 8].into_iter().chain([(1, victim_ns)]) {
                if passes.serves(users[user]) {
                    passes.charge(users[user], takes_ns);
                    used[user] += takes_ns;
                    waited = if user == 1 { 0 } else { waited + takes_ns };
                    longest = longest.max(waited);
                }
            }
        }
        (used[1] as f64 / (used[0] + used[1]) as f64, longest)
    }

    #[test]
    fn a_user_with_many_links_gets_no_more_than_one_with_a_single_one() {
        for (hog_ns, victim_ns) in [(25_000, 25_000), (60_000, 20_000), (20_000, 90_000)] {
            let (share, longest) = contest(hog_ns, victim_ns);
            assert!((0.45..0.55).contains(&share), "the victim got {share} at {hog_ns}:{victim_ns}");
            let debt = victim_ns.saturating_sub(QUANTUM_NS.unsigned_abs());
            let bound = QUANTUM_NS.unsigned_abs() + hog_ns + debt;
            assert!(longest <= bound, "it waited for {longest} ns at {hog_ns}:{victim_ns}");
        }
    }

    #[test]
    fn who_takes_little_is_looked_at_in_every_pass() {
        let (share, longest) = contest(10_000, 1_000);
        assert!((1.0 / 21.0..1.0 / 20.0).contains(&share), "{share}");
        assert_eq!(longest, 20_000);
    }

    #[test]
    fn what_is_not_used_is_not_saved_up_and_what_was_too_much_is_paid_off() {
        let mut passes = Passes::default();
        let user = passes.attached(3);
        (0..100).for_each(|_| passes.begin());
        passes.charge(user, QUANTUM_NS.unsigned_abs() * 4);
        for _ in 0..3 {
            assert!(!passes.serves(user));
            passes.begin();
        }
        assert!(!passes.serves(user));
        passes.begin();
        assert!(passes.serves(user));
    }

    #[test]
    fn users_come_and_go_with_their_links() {
        let mut passes = Passes::default();
        assert!(!passes.are_shared());
        let [five, six, again] = [5, 6, 5].map(|uid| passes.attached(uid));
        assert!(passes.are_shared() && five == again);
        assert!(!passes.left(five) && passes.left(six) && !passes.are_shared());
        passes.charge(five, u64::MAX);
        assert!(!passes.serves(five) && passes.left(five));
        let five = passes.attached(5);
        assert!(passes.serves(five), "the past is forgotten");
    }
}
