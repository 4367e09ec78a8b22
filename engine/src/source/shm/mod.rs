//! Calls from shared memory: which links this loop looks at. What it does with a request that it finds is in [`serve`].

mod again;
mod hot;
mod inner_bells;
mod listening;
mod reach;
mod serve;
mod short;
mod waiting;

use std::collections::HashMap;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use rustix::process::geteuid;
use slab::Slab;
use speedysvc_protocol::context;
use speedysvc_protocol::control::Report;
use speedysvc_protocol::ids::{Incarnation, LinkId, MethodIndex};
use speedysvc_protocol::shm::PeerFault;
use speedysvc_protocol::shm::board::Mode;
use speedysvc_protocol::shm::claim::Look;
use speedysvc_protocol::shm::in_place::{Trust, Trusted};
use speedysvc_protocol::shm::layout::RequestHead;
use speedysvc_protocol::shm::link::{Board, WorkerLink};
use speedysvc_protocol::shm::peer_rows::{PeerRow, Who};
use speedysvc_protocol::shm::seq::Seq;

use crate::budget::HELD_MESSAGES;
use crate::clock::{lately_ns, now_ns as clock_ns};
use crate::dispatch::Runner;
use crate::held::Held;
use crate::meter::Meter;
use crate::share::breather::Breather;
use crate::share::passes::{CLAIMS_MAX, Passes, User};
use crate::share::turns::Turns;
use again::Again;
use hot::Hot;
use inner_bells::InnerBells;
pub(crate) use listening::LinkBells;
use listening::Listening;
use reach::Reach;
use serve::{At, OWED_MAX, Owed};
use short::ShortArguments;
use waiting::Seen;

/// A client's link, as this worker knows it.
struct Attached {
    id: LinkId,
    /// The client's user: links of one share its part of the loop's time.
    uid: u32,
    user: User,
    link: WorkerLink,
    /// Where it is counted what passes.
    row: PeerRow,
    /// Its large requests are read in place.
    trusted: Option<Trusted>,
    bells: LinkBells,
    inner_bell: u16,
    listening: Listening,
    /// Slots that every pass looks at: up to the highest that was in use lately. The others every [`FULL_EVERY`]
    /// passes.
    reach: Reach,
    /// Where a look begins that takes only a part of what it finds.
    next_slot: usize,
    /// By slot, once a request had to wait here: what was seen of it.
    seen: Vec<Seen>,
}

/// What a look at a link has found so far.
struct Found {
    highest: Option<usize>,
    /// Requests that it may still take.
    left: usize,
    /// Where users share the loop: when the first was taken.
    begun_ns: Option<u64>,
    /// It looks where a request was found last, and nowhere else.
    again: bool,
}

/// Once one request was found in a pass, others are expected: so many slots ahead, their lines are sent for.
const AHEAD: usize = 4;

pub(crate) struct Links {
    me: Incarnation,
    board: Arc<Board>,
    /// What this loop says that it does, unless it is in a handler that runs long.
    says: Mode,
    pool_bell: OwnedFd,
    message_max: usize,
    trust: Trust,
    own_uid: u32,
    all: Slab<Attached>,
    keys: HashMap<LinkId, usize>,
    pub(crate) inner_bells: InnerBells,
    /// Those that this loop polls, as far as it knows: their poller words decide.
    hot: Vec<Hot>,
    again: Again,
    /// Those that are being demoted: empty otherwise, and kept so that falling asleep allocates nothing.
    leaving: Vec<Hot>,
    /// Keys of those whose bell rang, until they have been looked at.
    belled: Vec<usize>,
    /// Keys of those whose clients are not listened to for a while, and when they are looked at next.
    muted: Vec<usize>,
    muted_look_ns: u64,
    /// How this loop's time is shared out between users, for calls that run at once.
    shares: Passes,
    breather: Breather,
    /// Calls that run long, in the order in which they should.
    turns: Turns<Seq>,
    held: Held,
    arguments: Box<ShortArguments>,
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
        let (held_user_max, own_uid) = (message_max.saturating_mul(HELD_MESSAGES), geteuid().as_raw());
        let (all, keys, hot, belled) = (Slab::new(), HashMap::new(), Vec::new(), Vec::new());
        let (held, silenced, reports) = (Held::new(held_user_max), Vec::new(), Vec::new());
        let (turns, owed) = (Turns::new(), Vec::with_capacity(OWED_MAX));
        let (muted, shares, arguments) = (Vec::new(), Passes::default(), ShortArguments::new());
        Self {
            me,
            board,
            says: Mode::Gone,
            pool_bell,
            message_max,
            trust,
            own_uid,
            all,
            keys,
            inner_bells: InnerBells::default(),
            hot,
            again: Again::new(),
            leaving: Vec::new(),
            belled,
            muted,
            muted_look_ns: 0,
            shares,
            breather: Breather::default(),
            turns,
            held,
            arguments,
            owed,
            passes: 0,
            meter,
            silenced,
            reports,
        }
    }

    /// Adds a client's link, whose inner bell is known. It is looked at when one of its bells rings.
    pub(crate) fn add(&mut self, id: LinkId, uid: u32, link: WorkerLink, bells: LinkBells, inner_bell: u16) {
        let trusted = self.trust.of(uid, self.own_uid);
        context::know_link(id, link.cancels());
        let (user, listening, reach) = (self.shares.attached(uid), Listening::new(clock_ns()), Reach::new());
        let (seen, row) = (Vec::new(), self.meter.peers().arrive(Who::Link(id)));
        let new =
            Attached { id, uid, user, link, row, trusted, bells, inner_bell, listening, reach, next_slot: 0, seen };
        let key = self.all.insert(new);
        self.keys.insert(id, key);
        self.inner_bells.join(inner_bell, key);
    }

    /// Forgets a client that has left; returns the bells that ring for nobody any more.
    pub(crate) fn remove(&mut self, id: LinkId) -> Option<LinkBells> {
        self.look_for_sleepers();
        self.held.forget(id);
        context::forget_link(id);
        let key = self.keys.remove(&id)?;
        self.hot.retain(|hot| hot.key != key);
        self.again = Again::new();
        self.belled.retain(|belled| *belled != key);
        self.muted.retain(|muted| *muted != key);
        let Attached { uid, user, row, mut bells, inner_bell, .. } = self.all.remove(key);
        bells.inner = self.inner_bells.leave(inner_bell, key);
        self.meter.peers().leave(row);
        self.turns.forget(key);
        if self.shares.left(user) {
            self.turns.forget_user(uid);
        }
        Some(bells)
    }

    /// Whether any reply waits here for its fetch.
    pub(crate) fn holds_replies(&self) -> bool {
        !self.held.is_empty()
    }

    /// Says what this loop does, for those who decide whether to ring.
    pub(crate) fn say(&mut self, mode: Mode) {
        self.says = mode;
        self.say_again();
    }

    /// Says once more what it said before others were told that it is busy.
    pub(crate) fn say_again(&self) {
        self.board.line(self.me.0.get()).set(self.me, self.says);
    }

    /// Looks at the first `slots` slots of a link, and serves what it can claim; at most `most` requests, and then goes
    /// on behind them the next time. Where users share this loop, that is charged.
    fn look(&mut self, key: usize, (slots, most): (usize, usize), runner: &mut Runner, now_ns: u64) -> bool {
        let Some(attached) = self.all.get(key) else { return false };
        let is_full = slots == usize::MAX;
        let slots = if is_full { attached.link.slots_in_use() } else { slots.min(attached.link.geometry().slots()) };
        let first = if most < slots && attached.next_slot < slots { attached.next_slot } else { 0 };
        let mut found = Found { highest: None, left: most, begun_ns: None, again: false };
        let (mut next, mut end, mut parts) = (first, slots, usize::from(first > 0));
        loop {
            match self.find(key, next..end, found.highest.is_some()) {
                Some(slot) => {
                    next = slot + 1;
                    self.take(key, slot, &mut found, runner, now_ns);
                    if found.left == 0 {
                        self.go_on_behind(key, slot);
                        break;
                    }
                }
                None if parts > 0 => (next, end, parts) = (0, first, 0),
                None => break,
            }
        }
        if let Some(begun_ns) = found.begun_ns {
            self.charge(key, begun_ns);
        }
        if let Some(attached) = self.all.get_mut(key) {
            attached.reach.passed(is_full && found.left > 0, found.highest);
        }
        found.highest.is_some()
    }

    /// Claims what is in a slot, if it can be claimed, and serves it.
    #[inline(never)]
    fn take(&mut self, key: usize, slot: usize, found: &mut Found, runner: &mut Runner, now_ns: u64) {
        match self.claim(key, slot, runner) {
            Look::Nothing => {}
            Look::Left(seq) => {
                if self.let_wait(key, slot, seq, now_ns) {
                    found.highest = found.highest.max(Some(slot));
                }
            }
            Look::Taken(request) => {
                found.highest = found.highest.max(Some(slot));
                found.left -= 1;
                self.again.place = (key, slot);
                if self.shares.are_shared() && found.begun_ns.is_none() {
                    found.begun_ns = Some(clock_ns());
                }
                let at = At { key, slot, request: &request };
                let now_ns = with_time_gone_by(now_ns, request.deadline_ns);
                if !self.serve_short(&at, found.again, runner, now_ns) {
                    self.serve(&at, runner, now_ns);
                }
            }
            Look::Broken(fault) => self.expel(key, fault),
        }
    }

    /// The first of these slots in which there is a request to claim, as far as its number says; nothing once the link
    /// has gone. Of many slots most are empty, so this is what a pass consists of. `more`: requests have been found in
    /// this pass.
    #[inline]
    fn find(&self, key: usize, mut slots: Range<usize>, more: bool) -> Option<usize> {
        let (link, end) = (&self.all.get(key)?.link, slots.end);
        let found = slots.find(|slot| {
            if more && slot + AHEAD < end {
                link.slot(slot + AHEAD).expect();
            }
            link.slot(*slot).is_new()
        })?;
        if more {
            link.slot(found).prepare();
        }
        Some(found)
    }

    /// Claims the request in a slot, unless its method runs long.
    #[inline(always)]
    fn claim(&self, key: usize, slot: usize, runner: &Runner) -> Look {
        let alive = |number| self.board.alive(number);
        let is_short = |_, head: RequestHead| head.fetch || !runner.is_long(MethodIndex(head.method));
        self.all[key].link.slot(slot).claim_if(self.me, alive, is_short)
    }

    /// Most requests that one look takes from a link that is looked at all the time.
    fn most(&self) -> usize {
        if self.shares.are_shared() { CLAIMS_MAX } else { usize::MAX }
    }

    fn go_on_behind(&mut self, key: usize, slot: usize) {
        if let Some(attached) = self.all.get_mut(key) {
            attached.next_slot = slot + 1;
        }
    }

    /// A look at a link took from then until now, with the wakes that it owed.
    fn charge(&mut self, key: usize, begun_ns: u64) {
        self.look_for_sleepers();
        let ended_ns = clock_ns();
        if let Some(attached) = self.all.get(key) {
            self.shares.charge(attached.user, ended_ns.saturating_sub(begun_ns));
            self.breather.ran_short(attached.uid, ended_ns);
        }
    }

    /// A client broke a rule: this worker looks at its link no more, and the broker takes it away.
    fn expel(&mut self, key: usize, fault: PeerFault) {
        let Some(id) = self.all.get(key).map(|attached| attached.id) else { return };
        let bells = self.remove(id);
        self.silenced.extend(bells);
        self.reports.push(Report::Misbehaved { link: id, rule: fault.to_string() });
    }
}

/// Calls with more time left than this are begun by the time at which the pass began.
const MUCH_TIME_NS: u64 = 10_000_000_000;

/// The time for a call with this deadline, in a pass that began then: a handler of the same pass may have taken long
/// since. Who has little time left is worth a look at the last tick (5 ns), and others are not.
#[inline]
fn with_time_gone_by(now_ns: u64, deadline_ns: u64) -> u64 {
    if deadline_ns.wrapping_sub(now_ns) < MUCH_TIME_NS { now_ns.max(lately_ns()) } else { now_ns }
}
