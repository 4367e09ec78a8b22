//! Whose turn it is: calls that run long wait here, and one of them runs between two looks at everything else.
//!
//! Deficit round robin in two levels (rule 28): users take turns, and a user's links take turns. Each is charged with
//! the time that its calls took; who has used up its share is passed over until the others have caught up.
//!
//! Within a link, and between links that ask for one call at a time, the order is the order of coming: that is what the
//! queue of the books has, and any other order makes the unlucky wait longer at the same mean.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Who has so much credit may go, however much its call will need: that is known only afterwards.
const SOME: i64 = 1;
/// What one gets each time that one is passed over, in nanoseconds. Calls that take longer alternate, whatever it is;
/// of shorter ones so many go together.
const QUANTUM: i64 = 200_000;
/// Queues of links that have nothing waiting are kept for the next ones, so that a call that waits allocates nothing:
/// for as many links as wait at once on a busy day.
const SPARE_MAX: usize = 64;
/// ...unless they had room for more requests than a link has slots, as links usually are: that was a burst.
const SPARE_LEN: usize = 64;

/// A request that waits: the slot, the number that it had when it was seen, and since when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiting<S> {
    pub(crate) slot: usize,
    pub(crate) seq: S,
    pub(crate) since_ns: u64,
}

/// Those who take turns, in their order. Credit is time that one may still use: below [`SOME`] one is passed over.
type Order<K> = VecDeque<K>;

#[derive(Debug)]
struct User {
    credit: i64,
    /// When it had no call waiting any more. From then on it pays its debt off as time passes.
    left_ns: u64,
    order: Order<usize>,
}

#[derive(Debug)]
struct Link<S> {
    user: u32,
    credit: i64,
    requests: VecDeque<Waiting<S>>,
}

/// Requests that wait, by user and link. `S` is what a request's number is.
#[derive(Debug)]
pub(crate) struct Turns<S> {
    users: HashMap<u32, User>,
    order: Order<u32>,
    links: HashMap<usize, Link<S>>,
    /// Empty, and at most [`SPARE_MAX`].
    spare: Vec<VecDeque<Waiting<S>>>,
}

impl<S: Copy> Turns<S> {
    pub(crate) fn new() -> Self {
        Self { users: HashMap::new(), order: Order::new(), links: HashMap::new(), spare: vec![] }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The user to whom all belongs that waits.
    pub(crate) fn only_user(&self) -> Option<u32> {
        self.order.front().copied().filter(|_| self.order.len() == 1)
    }

    /// A request came that may have to wait.
    pub(crate) fn wait(&mut self, link: usize, user: u32, request: Waiting<S>, now_ns: u64) {
        if let Some(known) = self.links.get_mut(&link) {
            // An earlier request in the same slot is over: this one must not stand where that stood.
            known.requests.retain(|other| other.slot != request.slot);
            let is_late = known.requests.is_empty();
            known.requests.push_back(request);
            if let Some(owner) = self.users.get_mut(&user).filter(|_| is_late) {
                owner.order.retain(|other| *other != link);
                owner.order.push_back(link);
            }
            return;
        }
        let mut requests = self.spare.pop().unwrap_or_default();
        requests.push_back(request);
        self.links.insert(link, Link { user, credit: QUANTUM, requests });
        let new = User { credit: 0, left_ns: now_ns, order: Order::new() };
        let owner = self.users.entry(user).or_insert(new);
        if owner.order.is_empty() {
            let paid = i64::try_from(now_ns.saturating_sub(owner.left_ns)).unwrap_or(i64::MAX);
            owner.credit = owner.credit.saturating_add(paid).min(0) + QUANTUM;
            self.order.push_back(user);
        }
        owner.order.push_back(link);
    }

    /// The next request that `take` takes; those that it does not take are gone, or somebody else has them. Its link
    /// and its user stay in front, if more of them waits, until they have used up their credit.
    pub(crate) fn next<T>(
        &mut self,
        now_ns: u64,
        mut take: impl FnMut(usize, Waiting<S>) -> Option<T>,
    ) -> Option<(Turn, T)> {
        while let Some(user) = front(&mut self.order, &mut self.users, |user| &mut user.credit) {
            let owner = self.users.get_mut(&user)?;
            let found = loop {
                let Some(link) = front(&mut owner.order, &mut self.links, |link| &mut link.credit) else { break None };
                let requests = &mut self.links.get_mut(&link)?.requests;
                let taken = requests.pop_front().and_then(|request| take(link, request));
                if requests.is_empty() {
                    let emptied = self.links.remove(&link).map(|link| link.requests);
                    let has_room = self.spare.len() < SPARE_MAX;
                    self.spare.extend(emptied.filter(|all| has_room && all.capacity() <= SPARE_LEN));
                } else {
                    owner.order.push_front(link);
                }
                if let Some(taken) = taken {
                    break Some((Turn { user, link }, taken));
                }
            };
            if owner.order.is_empty() {
                owner.left_ns = now_ns;
            } else {
                self.order.push_front(user);
            }
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// A call took this long. A link that has nothing waiting owes nothing: its next call is a new beginning. A user
    /// with many links owes it all the same.
    pub(crate) fn charge(&mut self, turn: Turn, took_ns: u64, now_ns: u64) {
        let took = i64::try_from(took_ns).unwrap_or(i64::MAX);
        if let Some(link) = self.links.get_mut(&turn.link) {
            link.credit = link.credit.saturating_sub(took);
        }
        if let Some(user) = self.users.get_mut(&turn.user) {
            user.credit = user.credit.saturating_sub(took);
            if user.order.is_empty() {
                user.left_ns = now_ns;
            }
        }
    }

    /// A link is gone, and maybe its user's last one.
    pub(crate) fn forget(&mut self, link: usize) {
        let Some(Link { user, .. }) = self.links.remove(&link) else { return };
        if let Some(owner) = self.users.get_mut(&user) {
            owner.order.retain(|other| *other != link);
            if owner.order.is_empty() {
                self.order.retain(|other| *other != user);
            }
        }
    }

    /// No link of this user is attached any more.
    pub(crate) fn forget_user(&mut self, user: u32) {
        if self.users.get(&user).is_some_and(|owner| owner.order.is_empty()) {
            self.users.remove(&user);
        }
    }

    /// All that waits, which then waits no more.
    pub(crate) fn clear(&mut self) -> Vec<(usize, Waiting<S>)> {
        self.order.clear();
        self.users.values_mut().for_each(|user| user.order.clear());
        let links = std::mem::take(&mut self.links);
        let all =
            links.into_iter().flat_map(|(key, link)| link.requests.into_iter().map(move |request| (key, request)));
        all.collect()
    }
}

/// Whose turn it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Turn {
    user: u32,
    link: usize,
}

impl Turn {
    /// Its user.
    pub(crate) fn user(self) -> u32 {
        self.user
    }
}

/// Takes the first who may go out of the line; who is passed over gets a quantum. When nobody may go, all get as much
/// more as the first of them needs, which is what so many rounds would have given them.
fn front<K: Copy + Eq + Hash, V>(
    order: &mut Order<K>,
    all: &mut HashMap<K, V>,
    credit: impl Fn(&mut V) -> &mut i64,
) -> Option<K> {
    let mut least_lack = i64::MAX;
    for _ in 0..order.len() {
        let key = order.pop_front()?;
        let Some(credit) = all.get_mut(&key).map(&credit) else { continue };
        if *credit >= SOME {
            return Some(key);
        }
        *credit = credit.saturating_add(QUANTUM);
        least_lack = least_lack.min(SOME.saturating_sub(*credit));
        order.push_back(key);
    }
    for key in &*order {
        if let Some(credit) = all.get_mut(key).map(&credit) {
            *credit = credit.saturating_add(least_lack.max(0));
        }
    }
    let place = order.iter().position(|key| all.get_mut(key).is_some_and(|value| *credit(value) >= SOME))?;
    order.remove(place)
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
