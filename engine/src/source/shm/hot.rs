//! The links that a loop looks at all the time: taking them over, passing over them, leaving them (rules 20, 21, 28).

use speedysvc_protocol::ids::LinkId;
use speedysvc_protocol::shm::board::Mode;
use speedysvc_protocol::shm::wake;
use speedysvc_protocol::stats::Counter;

use super::{Attached, Found, Links};
use crate::dispatch::Runner;
use crate::share::places;

/// A link that this loop polls.
pub(super) struct Hot {
    pub(super) key: usize,
    /// When a request was found there last.
    found_ns: u64,
}

/// Glances and empty passes from one that looks at all slots to the next...
const FULL_EVERY: u32 = 1024;
/// ...of which one that found requests counts for so many, as it takes longer.
const WORKED: u32 = 16;
/// Most links that a loop polls (rule 28). The others ring for every call.
const HOT_MAX: usize = 64;
/// Up to so many are polled even while they are quiet: looking at them costs less than their bells would.
const HOT_FREE: usize = 8;
/// Beyond that, a link without a request for this long is polled no more.
const QUIET_NS: u64 = 100_000;
/// All slots, and all that is there.
const ALL: (usize, usize) = (usize::MAX, usize::MAX);

impl Links {
    /// A link's bell rang while this worker drains: it is looked at, and left to the others.
    pub(crate) fn look_for_fetches(&mut self, id: LinkId) {
        self.belled.extend(self.keys.get(&id));
    }

    /// A link's bell rang: take it over if this loop may, and look at it soon either way.
    pub(crate) fn adopt_belled(&mut self, id: LinkId, now_ns: u64) {
        if let Some(key) = self.keys.get(&id).copied() {
            self.adopt(key, now_ns);
            self.belled.push(key);
        }
    }

    /// The pool bell rang: take over what waits on links that nobody looks at all the time, if this loop may, and look
    /// there. Links without a request are left alone: their clients find nobody looking, and ring. What has not rung by
    /// now came before what has, and goes first.
    pub(crate) fn look_around(&mut self, now_ns: u64) {
        let line = |number| self.board.line(number);
        let unpolled = self.all.iter().filter(|(_, attached)| !attached.link.poller().is_polled(line));
        let waiting = unpolled.filter(|(_, attached)| attached.ready().next().is_some()).map(|(key, _)| key);
        let silent: Vec<usize> = waiting.filter(|key| !self.belled.contains(key)).collect();
        silent.iter().for_each(|key| self.adopt(*key, now_ns));
        self.belled.splice(0..0, silent);
    }

    /// Looks at all slots of what was just belled, whoever polls it: a bell may mean a fetch, or a loop that is stuck.
    /// Only where the passes come by anyway may something be left for them.
    pub(crate) fn look_at_belled(&mut self, runner: &mut Runner, now_ns: u64) {
        runner.timing.belled(now_ns);
        // In the order of ringing. Who breaks a rule meanwhile is taken out of what is left.
        self.belled.reverse();
        while let Some(key) = self.belled.pop() {
            let most = if self.is_hot(key) { self.most() } else { usize::MAX };
            self.look(key, (usize::MAX, most), runner, now_ns);
        }
        self.look_for_sleepers();
    }

    /// Whether this loop polls any link.
    pub(crate) fn polls(&self) -> bool {
        !self.hot.is_empty()
    }

    fn is_hot(&self, key: usize) -> bool {
        self.hot.iter().any(|hot| hot.key == key)
    }

    pub(super) fn adopt(&mut self, key: usize, now_ns: u64) {
        let Some(attached) = self.all.get(key) else { return };
        let uid = attached.uid;
        if self.is_hot(key) || self.hot.len() >= HOT_MAX && !self.make_room(uid) {
            return;
        }
        let poller = self.all[key].link.poller();
        let is_ours = match self.says {
            // Nobody watches over this loop yet: it keeps nothing from others that has not rung (decision 0081).
            Mode::Woken => poller.adopt_free(self.me),
            _ => poller.adopt(self.me, |number| self.board.line(number)),
        };
        if is_ours {
            self.hot.push(Hot { key, found_ns: now_ns });
            self.meter.count(Counter::LinksAdopted);
        }
    }

    /// Leaves the link that was quiet longest of a user with more places than this one has. It is looked at once more
    /// soon, as if it had rung. `false` when there is no such user.
    fn make_room(&mut self, uid: u32) -> bool {
        let all = &self.all;
        let uids = self.hot.iter().map(|hot| all[hot.key].uid);
        let Some(other) = places::gives_way(uids, uid) else { return false };
        let theirs = self.hot.iter().enumerate().filter(|(_, hot)| all[hot.key].uid == other);
        let Some((place, _)) = theirs.min_by_key(|(_, hot)| hot.found_ns) else { return false };
        let Hot { key, .. } = self.hot.swap_remove(place);
        self.all[key].link.poller().leave(self.me);
        wake::before_second_look();
        self.belled.push(key);
        self.meter.count(Counter::Displaced);
        true
    }

    /// Serves the request that lies where the last one lay, if there is one: who makes one call after the other asks
    /// there again, and waits for no pass (decision 0079). What else a pass does, and all other slots, come right
    /// after. Whether there was one. Never where users share this loop.
    #[inline]
    pub(crate) fn serve_again(&mut self, runner: &mut Runner, now_ns: u64) -> bool {
        let (key, slot) = self.again.place;
        let Some(Attached { link, .. }) = self.all.get(key) else { return false };
        if self.shares.are_shared() || !self.again.is_there(link.slot(slot)) || !link.poller().is(self.me) {
            return false;
        }
        runner.timing.pass();
        let mut found = Found { highest: None, left: usize::MAX, begun_ns: None, again: true };
        self.take(key, slot, &mut found, runner, now_ns);
        if found.highest.is_none() {
            // Another loop has it, or is to have it.
            return false;
        }
        self.look_for_sleepers();
        self.passes += WORKED;
        if let Some(attached) = self.all.get_mut(key) {
            attached.reach.passed(false, found.highest);
        }
        if let Some(hot) = self.hot.iter_mut().find(|hot| hot.key == key) {
            hot.found_ns = now_ns;
        }
        self.again.served(self.looks_at_one_slot());
        true
    }

    /// Whether, when that was served, a pass would have looked there and nowhere else.
    #[inline]
    pub(crate) fn looks_nowhere_else(&self) -> bool {
        self.again.waits
    }

    /// Whether a pass would look where a request was found last, and nowhere else.
    #[inline]
    pub(crate) fn looks_at_one_slot(&self) -> bool {
        let [hot] = self.hot.as_slice() else { return false };
        let is_place = self.again.place == (hot.key, 0) && self.passes < FULL_EVERY;
        is_place && self.all.get(hot.key).is_some_and(|attached| attached.reach.slots() == 1)
    }

    /// Whether it is time for a pass: one is due that looks at all slots, or a request may be there. That is looked at
    /// in a tenth of the time of a pass, so that a request is seen the sooner.
    #[inline]
    pub(crate) fn glance(&mut self) -> bool {
        self.passes += 1;
        self.passes >= FULL_EVERY || self.hot.iter().any(|hot| self.may_have_work(hot))
    }

    #[inline]
    fn may_have_work(&self, hot: &Hot) -> bool {
        let Attached { link, reach, .. } = &self.all[hot.key];
        !link.poller().is(self.me) || (0..reach.slots()).any(|slot| link.slot(slot).is_new())
    }

    /// One pass over the links that this loop polls. Whether anything was done, or put off.
    pub(crate) fn sweep(&mut self, runner: &mut Runner, now_ns: u64) -> bool {
        runner.timing.pass();
        self.shares.begin();
        let full = self.passes >= FULL_EVERY;
        if full {
            self.passes = 0;
        }
        let (shared, most) = (self.shares.are_shared(), self.most());
        let (mut worked, mut put_off, mut place) = (false, false, 0);
        while let Some(Hot { key, .. }) = self.hot.get(place) {
            let (key, attached) = (*key, &self.all[*key]);
            if !attached.link.poller().is(self.me) {
                self.hot.swap_remove(place);
                continue;
            }
            let slots = if full { usize::MAX } else { attached.reach.slots() };
            if shared && !self.shares.serves(attached.user) {
                put_off = true;
                self.meter.count(Counter::PassedOver);
            } else if self.look(key, (slots, most), runner, now_ns) {
                worked = true;
                // Its client may have broken a rule meanwhile, and be gone.
                if let Some(hot) = self.hot.get_mut(place).filter(|hot| hot.key == key) {
                    hot.found_ns = now_ns;
                }
            }
            place += 1;
        }
        self.passes += if worked { WORKED } else { 1 };
        self.look_for_sleepers();
        if put_off {
            // Links of one user take turns, too.
            self.hot.rotate_left(1);
        }
        let is_quiet = |hot: &Hot| now_ns.saturating_sub(hot.found_ns) > QUIET_NS;
        if full && self.hot.len() > HOT_FREE && self.hot.iter().any(is_quiet) {
            worked |= self.demote(runner, now_ns, is_quiet);
        }
        worked || put_off
    }

    /// Stops polling all links. `false` when nothing was found there, and it is safe to sleep.
    pub(crate) fn demote_all(&mut self, runner: &mut Runner, now_ns: u64) -> bool {
        self.demote(runner, now_ns, |_| true)
    }

    /// Stops polling these links, and looks once more: whatever was published before its client could know is served
    /// here; what comes after rings (rule 21). Whether anything was found.
    fn demote(&mut self, runner: &mut Runner, now_ns: u64, which: impl Fn(&Hot) -> bool) -> bool {
        runner.timing.pass();
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.extend(self.hot.extract_if(.., |hot| which(hot)));
        for hot in &leaving {
            self.all[hot.key].link.poller().leave(self.me);
        }
        wake::before_second_look();
        let mut found = false;
        for Hot { key, .. } in leaving.drain(..) {
            if self.look(key, ALL, runner, now_ns) {
                found = true;
                self.adopt(key, now_ns);
            }
        }
        self.leaving = leaving;
        self.look_for_sleepers();
        found
    }
}

#[cfg(test)]
mod tests;
