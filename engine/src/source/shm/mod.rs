//! Calls from shared memory: which links this loop looks at. What it does with a request that it finds is in [`serve`].

mod reach;
mod serve;
mod waiting;

use std::collections::HashMap;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use rustix::process::geteuid;
use slab::Slab;
use speedysvc_protocol::control::Report;
use speedysvc_protocol::ids::{Incarnation, LinkId, MethodIndex};
use speedysvc_protocol::shm::board::Mode;
use speedysvc_protocol::shm::claim::Look;
use speedysvc_protocol::shm::in_place::{Trust, Trusted};
use speedysvc_protocol::shm::layout::RequestHead;
use speedysvc_protocol::shm::link::{Board, WorkerLink};
use speedysvc_protocol::shm::seq::Seq;
use speedysvc_protocol::shm::{PeerFault, wake};
use speedysvc_protocol::stats::Counter;

use crate::bells::Bells;
use crate::budget::HELD_MESSAGES;
use crate::dispatch::Runner;
use crate::held::Held;
use crate::meter::Meter;
use crate::share::turns::Turns;
use reach::Reach;
use serve::{OWED_MAX, Owed};
use waiting::Seen;

/// The two descriptors by which a link rings here.
pub(crate) struct LinkBells {
    /// The client's. It is never written or read here: its holder can make either wait for ever.
    pub(crate) theirs: OwnedFd,
    /// The workers', which tell each other by it. No client holds it.
    pub(crate) ours: OwnedFd,
    /// Held open, so that without a supervisor the client is hung up on when its last worker has gone.
    pub(crate) _client: Option<OwnedFd>,
}

impl LinkBells {
    /// Takes both out of the set.
    pub(crate) fn leave(&self, bells: &Bells) {
        bells.remove(&self.theirs);
        bells.remove(&self.ours);
    }
}

/// A client's link, as this worker knows it.
struct Attached {
    id: LinkId,
    /// The client's user: links of one share its part of the loop's time.
    uid: u32,
    link: WorkerLink,
    /// Its large requests are read in place.
    trusted: Option<Trusted>,
    bells: LinkBells,
    /// Slots that every pass looks at: up to the highest that was in use lately. The others every [`FULL_EVERY`]
    /// passes.
    reach: Reach,
    /// By slot, once a request had to wait here: what was seen of it.
    seen: Vec<Seen>,
}

/// A link that this loop polls.
struct Hot {
    key: usize,
    /// When a request was found there last.
    found_ns: u64,
}

/// Empty passes from one that looks at all slots to the next...
const FULL_EVERY: u32 = 256;
/// ...of which one that found requests counts for so many, as it takes longer.
const WORKED: u32 = 4;
/// Most links that a loop polls (rule 28). The others ring for every call.
const HOT_MAX: usize = 64;
/// Up to so many are polled even while they are quiet: looking at them costs less than their bells would.
const HOT_FREE: usize = 8;
/// Beyond that, a link without a request for this long is polled no more.
const QUIET_NS: u64 = 100_000;

/// Once one request was found in a pass, others are expected: so many slots ahead, their lines are sent for.
const AHEAD: usize = 4;

pub(crate) struct Links {
    me: Incarnation,
    board: Arc<Board>,
    pool_bell: OwnedFd,
    message_max: usize,
    trust: Trust,
    own_uid: u32,
    all: Slab<Attached>,
    keys: HashMap<LinkId, usize>,
    /// Those that this loop polls, as far as it knows: their poller words decide.
    hot: Vec<Hot>,
    /// Those that are being demoted: empty otherwise, and kept so that falling asleep allocates nothing.
    leaving: Vec<Hot>,
    /// Keys of those whose bell rang, until they have been looked at.
    belled: Vec<usize>,
    /// Calls that run long, in the order in which they should.
    turns: Turns<Seq>,
    held: Held,
    /// Looks for sleepers that are still to be made: none between two passes, none while a long handler runs.
    owed: Vec<Owed>,
    /// Passes since one that looked at all slots.
    passes: u32,
    meter: Rc<Meter>,
    /// Bells of clients that broke a rule, to be taken out of the set: they must wake nobody any more.
    pub(crate) silenced: Vec<LinkBells>,
    /// Broken rules, to be told to the broker.
    pub(crate) reports: Vec<Report>,
}

impl Links {
    pub(crate) fn new(
        me: Incarnation,
        board: Arc<Board>,
        pool_bell: OwnedFd,
        (message_max, trust): (usize, Trust),
        meter: Rc<Meter>,
    ) -> Self {
        let (held_max, own_uid) = (message_max.saturating_mul(HELD_MESSAGES), geteuid().as_raw());
        let (all, keys, hot, belled) = (Slab::new(), HashMap::new(), Vec::new(), Vec::new());
        let (held, silenced, reports) = (Held::new(held_max), Vec::new(), Vec::new());
        let (turns, owed) = (Turns::new(), Vec::with_capacity(OWED_MAX));
        Self {
            me,
            board,
            pool_bell,
            message_max,
            trust,
            own_uid,
            all,
            keys,
            hot,
            leaving: Vec::new(),
            belled,
            turns,
            held,
            owed,
            passes: 0,
            meter,
            silenced,
            reports,
        }
    }

    /// Adds a client's link. It is looked at when its bell rings.
    pub(crate) fn add(&mut self, id: LinkId, uid: u32, link: WorkerLink, bells: LinkBells) {
        let trusted = self.trust.of(uid, self.own_uid);
        let key = self.all.insert(Attached { id, uid, link, trusted, bells, reach: Reach::new(), seen: Vec::new() });
        self.keys.insert(id, key);
    }

    /// Forgets a client that has left; returns its bells.
    pub(crate) fn remove(&mut self, id: LinkId) -> Option<LinkBells> {
        self.look_for_sleepers();
        self.held.forget(id);
        let key = self.keys.remove(&id)?;
        self.hot.retain(|hot| hot.key != key);
        self.belled.retain(|belled| *belled != key);
        let Attached { uid, bells, .. } = self.all.remove(key);
        self.turns.forget(key);
        if self.all.iter().all(|(_, attached)| attached.uid != uid) {
            self.turns.forget_user(uid);
        }
        Some(bells)
    }

    /// Whether any reply waits here for its fetch.
    pub(crate) fn holds_replies(&self) -> bool {
        !self.held.is_empty()
    }

    /// A link's bell rang while this worker drains: it is looked at, and left to the others.
    pub(crate) fn look_for_fetches(&mut self, id: LinkId) {
        self.belled.extend(self.keys.get(&id));
    }

    /// Says what this loop does, for those who decide whether to ring.
    pub(crate) fn say(&self, mode: Mode) {
        self.board.line(self.me.0.get()).set(self.me, mode);
    }

    /// A link's bell rang: take it over unless a living, looking loop has it, and look at it soon either way.
    pub(crate) fn adopt_belled(&mut self, id: LinkId, now_ns: u64) {
        if let Some(key) = self.keys.get(&id).copied() {
            self.adopt(key, now_ns);
            self.belled.push(key);
        }
    }

    /// The pool bell rang: take over what waits on links that nobody looks at. Links without a request are left alone:
    /// their clients find nobody looking, and ring. What has not rung by now came before what has, and goes first.
    pub(crate) fn look_around(&mut self, now_ns: u64) {
        let line = |number| self.board.line(number);
        let unpolled = self.all.iter().filter(|(_, attached)| !attached.link.poller().is_polled(line));
        let waiting = unpolled.filter(|(_, attached)| attached.ready().next().is_some()).map(|(key, _)| key);
        let silent: Vec<usize> = waiting.filter(|key| !self.belled.contains(key)).collect();
        silent.iter().for_each(|key| self.adopt(*key, now_ns));
        self.belled.splice(0..0, silent);
    }

    /// Looks at all slots of what was just belled, whoever polls it: a bell may mean a fetch, or a loop that is stuck.
    pub(crate) fn look_at_belled(&mut self, runner: &mut Runner, now_ns: u64) {
        runner.timing.belled(now_ns);
        // In the order of ringing. Who breaks a rule meanwhile is taken out of what is left.
        self.belled.reverse();
        while let Some(key) = self.belled.pop() {
            self.look(key, usize::MAX, runner, now_ns);
        }
        self.look_for_sleepers();
    }

    fn adopt(&mut self, key: usize, now_ns: u64) {
        let Some(attached) = self.all.get(key) else { return };
        if self.hot.len() >= HOT_MAX || self.hot.iter().any(|hot| hot.key == key) {
            return;
        }
        if attached.link.poller().adopt(self.me, |number| self.board.line(number)) {
            self.hot.push(Hot { key, found_ns: now_ns });
            self.meter.count(Counter::LinksAdopted);
        }
    }

    /// One pass over the links that this loop polls. Whether anything was done.
    pub(crate) fn sweep(&mut self, runner: &mut Runner, now_ns: u64) -> bool {
        runner.timing.pass();
        let full = self.passes >= FULL_EVERY;
        if full {
            self.passes = 0;
        }
        let mut worked = false;
        let mut place = 0;
        while let Some(Hot { key, .. }) = self.hot.get(place) {
            let (key, attached) = (*key, &self.all[*key]);
            if !attached.link.poller().is(self.me) {
                self.hot.swap_remove(place);
                continue;
            }
            let slots = if full { usize::MAX } else { attached.reach.slots() };
            if self.look(key, slots, runner, now_ns) {
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
        let is_quiet = |hot: &Hot| now_ns.saturating_sub(hot.found_ns) > QUIET_NS;
        if full && self.hot.len() > HOT_FREE && self.hot.iter().any(is_quiet) {
            worked |= self.demote(runner, now_ns, is_quiet);
        }
        worked
    }

    /// Looks at the first `slots` slots of a link, and serves what it can claim.
    fn look(&mut self, key: usize, slots: usize, runner: &mut Runner, now_ns: u64) -> bool {
        let Some(attached) = self.all.get(key) else { return false };
        let is_full = slots == usize::MAX;
        let slots = slots.min(attached.link.geometry().slots());
        let (mut highest, mut next) = (None, 0);
        while let Some((slot, look)) = self.find(key, next..slots, highest.is_some(), runner) {
            next = slot + 1;
            match look {
                Look::Nothing => {}
                Look::Left(seq) => {
                    if self.let_wait(key, slot, seq, now_ns) {
                        highest = Some(slot);
                    }
                }
                Look::Taken(request) => {
                    highest = Some(slot);
                    self.serve(key, slot, &request, runner, now_ns);
                }
                Look::Broken(fault) => self.expel(key, fault),
            }
        }
        if let Some(attached) = self.all.get_mut(key) {
            attached.reach.passed(is_full, highest);
        }
        highest.is_some()
    }

    /// The first of these slots in which there is something to do, and what; nothing once the link has gone. Of many
    /// slots most are empty, so this is what a pass consists of. `more`: requests have been found in this pass.
    #[inline]
    fn find(&self, key: usize, slots: Range<usize>, more: bool, runner: &Runner) -> Option<(usize, Look)> {
        let link = &self.all.get(key)?.link;
        let alive = |number| self.board.alive(number);
        let is_short = |_, head: RequestHead| head.fetch || !runner.is_long(MethodIndex(head.method));
        let end = slots.end;
        for slot in slots {
            let taker = link.slot(slot);
            if more && slot + AHEAD < end {
                link.slot(slot + AHEAD).expect();
            }
            match taker.claim_if(self.me, alive, is_short) {
                Look::Nothing => {}
                look => {
                    if more {
                        taker.prepare();
                    }
                    return Some((slot, look));
                }
            }
        }
        None
    }

    /// A client broke a rule: this worker looks at its link no more, and the broker takes it away.
    fn expel(&mut self, key: usize, fault: PeerFault) {
        let Some(id) = self.all.get(key).map(|attached| attached.id) else { return };
        let bells = self.remove(id);
        self.silenced.extend(bells);
        self.reports.push(Report::Misbehaved { link: id, rule: fault.to_string() });
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
            if self.look(key, usize::MAX, runner, now_ns) {
                found = true;
                self.adopt(key, now_ns);
            }
        }
        self.leaving = leaving;
        self.look_for_sleepers();
        found
    }
}
