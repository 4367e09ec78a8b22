//! Tasks that wait, and the one thread of a link that sleeps for all of them.
//!
//! A task announces its sleep in its slot just as a blocking caller does (rule 23), so that workers see no difference.
//! The thread sleeps on the reply words of all slots that have parked tasks, or had some of late: then a task that
//! parks in a slot as usual need not get it out of its sleep first. It runs from the first parked task on until the
//! link ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;

use speedysvc_protocol::shm::doorbell::{self, LOOK_AGAIN, Slept};
use speedysvc_protocol::shm::seq::Seq;
use speedysvc_protocol::shm::wake::Unanswered;

use super::ShmConnection;
use super::lease::LOOK_FOR_ZOMBIES;
use crate::clock::{Deadline, now_ns};

/// A sleep without an end of its own.
const FAR_NS: u64 = u64::MAX;

/// A sleep that ends so soon after its time ended by the clock, and not because the machine was busy.
const PUNCTUAL_NS: u64 = 1_000_000;
/// A sleep so long that a wake in its last moment is no likely explanation.
const FULL_NS: u64 = 90_000_000;
const _: () = assert!((FULL_NS as u128) < LOOK_AGAIN.as_nanos(), "there are such sleeps");

struct Parked {
    waker: Waker,
    deadline_ns: u64,
}

#[derive(Default)]
pub(super) struct Parks {
    state: Mutex<State>,
    /// Changed to get the thread out of its sleep.
    kicks: AtomicU32,
}

struct State {
    /// By slot.
    replies: HashMap<usize, (Seq, Parked)>,
    /// Tasks that stand in line for something: woken here only when their time is up, or the link ends.
    others: HashMap<u64, Parked>,
    next_other: u64,
    /// A bit for each slot that the thread sleeps on.
    watched: u64,
    /// No parked task's deadline is earlier.
    earliest_ns: u64,
    /// When the thread ends its sleep by itself; `None` while it is awake.
    asleep_until_ns: Option<u64>,
    runs: bool,
    /// The tasks have been told that the link is of no use any more.
    told_broken: bool,
    closing: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            replies: HashMap::new(),
            others: HashMap::new(),
            next_other: 0,
            watched: 0,
            earliest_ns: FAR_NS,
            asleep_until_ns: None,
            runs: false,
            told_broken: false,
            closing: false,
        }
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.replies.is_empty() && self.others.is_empty()
    }

    /// Takes out the tasks whose time is up.
    fn expired(&mut self, now_ns: u64, due: &mut Vec<Waker>) {
        if now_ns < self.earliest_ns {
            return;
        }
        let mut take = |parked: &Parked| {
            let is_due = parked.deadline_ns <= now_ns;
            if is_due {
                due.push(parked.waker.clone());
            }
            !is_due
        };
        self.replies.retain(|_, (_, parked)| take(parked));
        self.others.retain(|_, parked| take(parked));
        let left = self.replies.values().map(|(_, parked)| parked).chain(self.others.values());
        self.earliest_ns = left.map(|parked| parked.deadline_ns).min().unwrap_or(FAR_NS);
    }

    /// Takes out all tasks.
    fn all(&mut self, due: &mut Vec<Waker>) {
        due.extend(self.replies.drain().map(|(_, (_, parked))| parked.waker));
        due.extend(self.others.drain().map(|(_, parked)| parked.waker));
        self.earliest_ns = FAR_NS;
    }
}

impl Parks {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds this lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task that waits for the reply in this slot does not any more.
    pub(super) fn unpark(&self, slot: usize) {
        // Not under the lock: with its last waker a task may be dropped, and with that another call of ours.
        let _dropped_later = self.state().replies.remove(&slot);
    }

    pub(super) fn unpark_other(&self, other: u64) {
        let _dropped_later = self.state().others.remove(&other);
    }

    fn kick(&self) {
        self.kicks.fetch_add(1, Ordering::Release);
        doorbell::kick(&self.kicks);
    }

    /// Ends the thread once nobody is parked any more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closing = true;
        let runs = state.runs;
        drop(state);
        if runs {
            self.kick();
        }
    }
}

impl ShmConnection {
    /// Has the task woken when the reply to call `seq` comes, at its deadline, or when the link is found to be of no
    /// use any more. The caller then announces its sleep, and looks again for the reply and at the link. `false` when
    /// the thread cannot be started.
    pub(super) fn park(self: &Arc<Self>, slot: usize, seq: Seq, deadline: Deadline, waker: &Waker) -> bool {
        let mut state = self.parks.0.state();
        let parked = Parked { waker: waker.clone(), deadline_ns: deadline.ns() };
        let _dropped_later = state.replies.insert(slot, (seq, parked));
        self.see_to(state, 1 << slot, deadline)
    }

    /// Has a task that stands in line woken at its deadline, or when the link is found to be of no use any more. The
    /// caller then looks again at the link.
    pub(super) fn park_other(self: &Arc<Self>, other: &mut Option<u64>, deadline: Deadline, waker: &Waker) -> bool {
        let mut state = self.parks.0.state();
        let key = *other.get_or_insert(state.next_other);
        state.next_other = state.next_other.max(key + 1);
        let parked = Parked { waker: waker.clone(), deadline_ns: deadline.ns() };
        let _dropped_later = state.others.insert(key, parked);
        self.see_to(state, 0, deadline)
    }

    /// Sees to it that the thread runs and sleeps on these slots, not beyond the deadline.
    fn see_to(self: &Arc<Self>, mut state: MutexGuard<'_, State>, slots: u64, deadline: Deadline) -> bool {
        state.earliest_ns = state.earliest_ns.min(deadline.ns());
        if !state.runs {
            let home = Arc::clone(self);
            let started = thread::Builder::new().name("speedysvc-wakes".to_owned()).spawn(move || run(&home));
            state.runs = started.is_ok();
            return state.runs;
        }
        // Awake, it looks at everything before it sleeps.
        let must_kick = state.asleep_until_ns.is_some_and(|until| slots & !state.watched != 0 || deadline.ns() < until);
        drop(state);
        if must_kick {
            self.parks.0.kick();
        }
        true
    }

    /// Wakes the tasks that have something to do, and says what to sleep on, until when; `None` when the thread ends.
    fn before_sleep(&self) -> Option<(Vec<(usize, Unanswered)>, u64)> {
        let now = now_ns();
        let waits_for_zombies = self.room().has_zombies();
        if waits_for_zombies {
            self.revive();
        }
        let mut due = Vec::new();
        let mut state = self.parks.0.state();
        state.expired(now, &mut due);
        if !state.told_broken && !state.is_empty() && (!self.is_usable() || self.is_hung_up()) {
            // Who parks again waits for a call that a worker may be finishing.
            state.told_broken = true;
            state.all(&mut due);
        }
        state.watched |= state.replies.keys().fold(0, |bits, slot| bits | 1 << slot);
        let slots = (0..self.slots.count()).filter(|slot| state.watched >> slot & 1 == 1);
        let seen: Vec<_> = slots.map(|slot| (slot, self.link.slot(slot).look())).collect();
        // After the looks: what comes now ends the sleep before it begins.
        let answered = |slot: usize, seq: Seq| self.link.slot(slot).poll(seq).is_some();
        state.replies.retain(|slot, (seq, parked)| {
            let is_answered = answered(*slot, *seq);
            if is_answered {
                due.push(parked.waker.clone());
            }
            !is_answered
        });
        let longest = match (state.is_empty(), waits_for_zombies) {
            (true, _) => None,
            (false, true) => Some(LOOK_FOR_ZOMBIES),
            (false, false) => Some(LOOK_AGAIN),
        };
        let until = longest.map_or(FAR_NS, |longest| Deadline::after_ns(now, longest).ns()).min(state.earliest_ns);
        state.asleep_until_ns = Some(until);
        let ends = state.is_empty() && (state.closing || !self.is_usable());
        state.runs = !ends;
        drop(state);
        // Not under the lock: a waker may do anything.
        due.into_iter().for_each(Waker::wake);
        (!ends).then_some((seen, until))
    }

    fn after_sleep(&self, seen: &[(usize, Unanswered)], overslept: bool) {
        let mut state = self.parks.0.state();
        state.asleep_until_ns = None;
        let changed = seen.iter().filter(|(slot, before)| self.link.slot(*slot).look() != *before);
        for (slot, _) in changed {
            if !state.replies.contains_key(slot) {
                // Whoever uses this slot now does without us, and the wake may have been meant for them.
                state.watched &= !(1 << slot);
                self.link.slot(*slot).pass_on();
            } else if overslept {
                self.rescues.add();
            }
        }
    }
}

fn run(home: &ShmConnection) {
    loop {
        let quiet = home.parks.0.kicks.load(Ordering::Acquire);
        let Some((seen, until)) = home.before_sleep() else { return };
        let replies: Vec<_> = seen.iter().map(|(slot, seen)| (home.link.slot(*slot), *seen)).collect();
        let is_full = until.saturating_sub(now_ns()) >= FULL_NS;
        let slept = doorbell::sleep_on_any(&replies, &home.parks.0.kicks, quiet, until);
        // Found by looking after a whole sleep, not by being woken: a lost wake. But when this thread itself runs late,
        // a reply may well have come since its sleep ended.
        let found_late = now_ns().saturating_sub(until) >= PUNCTUAL_NS;
        home.after_sleep(&seen, slept == Slept::TimedOut && is_full && !found_late);
    }
}
