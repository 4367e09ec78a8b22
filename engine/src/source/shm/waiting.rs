//! Requests that are left where they are until it is their turn, because they run long; and telling others of them.

use speedysvc_protocol::ids::MethodIndex;
use speedysvc_protocol::shm::board::Mode;
use speedysvc_protocol::shm::claim::Look;
use speedysvc_protocol::shm::seq::Seq;
use speedysvc_protocol::shm::{doorbell, wake};
use speedysvc_protocol::stats::Counter;

use super::serve::At;
use super::{Attached, Links};
use crate::clock::now_ns;
use crate::dispatch::{Elsewhere, Runner};
use crate::share::turns::Waiting;

/// What was seen of a slot: the last request that waits in `turns`, and the last that others were told of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    waits: Seq,
    told: Seq,
}

impl Attached {
    /// Slots with a request that nobody has claimed.
    pub(super) fn ready(&self) -> impl Iterator<Item = (usize, Seq)> + '_ {
        (0..self.link.slots_in_use()).filter_map(|slot| Some((slot, self.link.slot(slot).ready()?)))
    }

    fn seen(&mut self, slot: usize) -> &mut Seen {
        if self.seen.is_empty() {
            self.seen = vec![Seen { waits: Seq::NONE, told: Seq::NONE }; self.link.geometry().slots()];
        }
        &mut self.seen[slot]
    }
}

impl Links {
    /// Whether any request waits for its turn.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.turns.is_empty()
    }

    /// A request waits for its turn from now on. Whether it is news.
    pub(super) fn let_wait(&mut self, key: usize, slot: usize, seq: Seq, now_ns: u64) -> bool {
        let Some(attached) = self.all.get_mut(key) else { return false };
        let seen = attached.seen(slot);
        let is_new = seen.waits != seq;
        if is_new {
            seen.waits = seq;
            self.turns.wait(key, attached.uid, Waiting { slot, seq, since_ns: now_ns }, now_ns);
        }
        is_new
    }

    /// Runs the call whose turn it is, unless others have taken all of them: how long that took, and when it was over.
    pub(crate) fn serve_next(&mut self, runner: &mut Runner) -> Option<Served> {
        if self.turns.is_empty() {
            return None;
        }
        let begun_ns = now_ns();
        if self.waits_for_others(begun_ns) {
            return Some(Served { took_ns: 0, ended_ns: begun_ns });
        }
        let Self { turns, all, board, me, .. } = self;
        let (turn, (key, Waiting { slot, since_ns, .. }, look)) = turns.next(begun_ns, |key, waiting| {
            let slot = all.get(key)?.link.slot(waiting.slot);
            let look = slot.claim_if(*me, |number| board.alive(number), |seq, _| seq == waiting.seq);
            (!matches!(look, Look::Nothing | Look::Left(_))).then_some((key, waiting, look))
        })?;
        match look {
            Look::Taken(request) => {
                runner.timing.waited(since_ns);
                self.serve(&At { key, slot, request: &request }, runner, begun_ns);
            }
            Look::Broken(fault) => self.expel(key, fault),
            Look::Nothing | Look::Left(_) => {}
        }
        let ended_ns = now_ns();
        let took_ns = ended_ns.saturating_sub(begun_ns);
        self.turns.charge(turn, took_ns, ended_ns);
        self.breather.ran_long(turn.user(), took_ns, ended_ns);
        Some(Served { took_ns, ended_ns })
    }

    /// Whether the only user whose long calls wait has just had one, and others may be about to ask for short ones.
    /// Other workers hear of what waits here meanwhile.
    fn waits_for_others(&mut self, now_ns: u64) -> bool {
        let Some(user) = self.turns.only_user().filter(|_| self.shares.are_shared()) else { return false };
        let waits = self.breather.holds(user, now_ns);
        if waits && self.breather.begins() {
            self.meter.count(Counter::PutOff);
            self.tell_others();
        }
        waits
    }

    /// What waits here is for the others: this worker drains.
    pub(crate) fn leave_waiting(&mut self) {
        self.muted.clear();
        if !self.turns.clear().is_empty() {
            self.ring_pool();
        }
    }

    fn ring_pool(&self) {
        // It fails only for a descriptor that is no bell.
        let _never = doorbell::ring(&self.pool_bell);
        self.meter.count(Counter::PoolBellsRung);
    }

    /// Rings the bells of polled links with requests that nobody has claimed, once for each request: all loops hear
    /// them, and in the order in which they came. It looks at all slots, further than a pass does: what was published
    /// just before this loop said that it is busy has not rung, and no pass of its own comes before the handler ends.
    fn tell_others(&mut self) {
        for hot in &self.hot {
            let Some(attached) = self.all.get_mut(hot.key) else { continue };
            let mut is_news = false;
            for slot in 0..attached.link.slots_in_use() {
                let Some(seq) = attached.link.slot(slot).ready() else { continue };
                let told = &mut attached.seen(slot).told;
                is_news |= std::mem::replace(told, seq) != seq;
            }
            if is_news {
                // It fails only for a descriptor that is no bell.
                let _never = self.inner_bells.bell(attached.inner_bell).map(doorbell::ring);
                self.meter.count(Counter::BellsRung);
            }
        }
    }
}

/// A call that had its turn.
pub(crate) struct Served {
    /// From its claim to the end of its bookkeeping.
    pub(crate) took_ns: u64,
    /// When that was.
    pub(crate) ended_ns: u64,
}

impl Elsewhere for Links {
    fn step_aside(&mut self) {
        self.meter.count(Counter::StepsAside);
        self.look_for_sleepers();
        self.board.line(self.me.0.get()).set(self.me, Mode::Busy);
        wake::before_second_look();
        self.tell_others();
    }

    fn step_back(&mut self) {
        self.say_again();
    }

    #[inline]
    fn running(&self) -> impl Fn(Option<MethodIndex>) {
        let line = self.board.line(self.me.0.get());
        move |method: Option<MethodIndex>| line.set_running(method.map(|index| index.0))
    }
}
