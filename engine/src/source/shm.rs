//! Calls from shared memory: which links this loop looks at, and what it does with a request that it finds.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use slab::Slab;
use speedysvc_protocol::control::Report;
use speedysvc_protocol::ids::{Codec, Incarnation, LinkId, MethodIndex};
use speedysvc_protocol::shm::board::Mode;
use speedysvc_protocol::shm::claim::{Look, Request};
use speedysvc_protocol::shm::layout::{Grant, INLINE};
use speedysvc_protocol::shm::link::{Board, WorkerLink};
use speedysvc_protocol::shm::{PeerFault, doorbell, wake};
use speedysvc_protocol::stats::Counter;
use speedysvc_protocol::status::{Code, Failure, Status};

use crate::dispatch::{Elsewhere, Runner};
use crate::held::{Held, Place};
use crate::meter::Meter;

/// A client's link, as this worker knows it.
struct Attached {
    id: LinkId,
    link: WorkerLink,
    bell: OwnedFd,
    /// Slots that every pass looks at: up to the highest that was in use lately. The others every [`FULL_EVERY`]
    /// passes.
    reach: usize,
}

const FULL_EVERY: u32 = 16;

pub(crate) struct Links {
    me: Incarnation,
    board: Board,
    pool_bell: OwnedFd,
    message_max: usize,
    all: Slab<Attached>,
    keys: HashMap<LinkId, usize>,
    /// Keys of those that this loop polls, as far as it knows: their poller words decide.
    hot: Vec<usize>,
    /// Keys of those whose bell rang, until they have been looked at.
    belled: Vec<usize>,
    held: Held,
    passes: u32,
    meter: Rc<Meter>,
    /// Bells of clients that broke a rule, to be taken out of the set: they must wake nobody any more.
    pub(crate) silenced: Vec<OwnedFd>,
    /// Broken rules, to be told to the broker.
    pub(crate) reports: Vec<Report>,
}

impl Links {
    pub(crate) fn new(
        me: Incarnation,
        board: Board,
        pool_bell: OwnedFd,
        message_max: usize,
        held_max: usize,
        meter: Rc<Meter>,
    ) -> Self {
        let (all, keys, hot, belled) = (Slab::new(), HashMap::new(), Vec::new(), Vec::new());
        let (held, silenced, reports) = (Held::new(held_max), Vec::new(), Vec::new());
        Self { me, board, pool_bell, message_max, all, keys, hot, belled, held, passes: 0, meter, silenced, reports }
    }

    /// Adds a client's link. It is looked at when its bell rings.
    pub(crate) fn add(&mut self, id: LinkId, link: WorkerLink, bell: OwnedFd) {
        let key = self.all.insert(Attached { id, link, bell, reach: 1 });
        self.keys.insert(id, key);
    }

    /// Forgets a client that has left; returns its bell.
    pub(crate) fn remove(&mut self, id: LinkId) -> Option<OwnedFd> {
        self.held.forget(id);
        let key = self.keys.remove(&id)?;
        self.hot.retain(|hot| *hot != key);
        Some(self.all.remove(key).bell)
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
    pub(crate) fn adopt_belled(&mut self, id: LinkId) {
        if let Some(key) = self.keys.get(&id).copied() {
            self.adopt(key);
            self.belled.push(key);
        }
    }

    /// The pool bell rang: take over every link that nobody looks at.
    pub(crate) fn adopt_all(&mut self) {
        let all: Vec<usize> = self.keys.values().copied().collect();
        all.iter().for_each(|key| self.adopt(*key));
        self.belled.extend(all);
    }

    /// Looks at all slots of what was just belled, whoever polls it: a bell may mean a fetch, or a loop that is stuck.
    pub(crate) fn look_at_belled(&mut self, runner: &mut Runner, now_ns: u64) {
        runner.timing.belled(now_ns);
        for key in std::mem::take(&mut self.belled) {
            self.look(key, usize::MAX, runner, now_ns);
        }
    }

    fn adopt(&mut self, key: usize) {
        let Some(attached) = self.all.get(key) else { return };
        let board = |number| self.board.line(number);
        if attached.link.poller().adopt(self.me, board) && !self.hot.contains(&key) {
            self.hot.push(key);
            self.meter.count(Counter::LinksAdopted);
        }
    }

    /// One pass over the links that this loop polls. Whether anything was done.
    pub(crate) fn sweep(&mut self, runner: &mut Runner, now_ns: u64) -> bool {
        self.passes = self.passes.wrapping_add(1);
        runner.timing.pass();
        let full = self.passes.is_multiple_of(FULL_EVERY);
        let mut worked = false;
        let mut place = 0;
        while let Some(key) = self.hot.get(place).copied() {
            let attached = &self.all[key];
            if !attached.link.poller().is(self.me) {
                self.hot.swap_remove(place);
                continue;
            }
            let slots = if full { usize::MAX } else { attached.reach };
            worked |= self.look(key, slots, runner, now_ns);
            place += 1;
        }
        worked
    }

    /// Looks at the first `slots` slots of a link, and serves what it can claim.
    fn look(&mut self, key: usize, slots: usize, runner: &mut Runner, now_ns: u64) -> bool {
        let Some(attached) = self.all.get(key) else { return false };
        let slots = slots.min(attached.link.geometry().slots());
        let mut highest = None;
        for slot in 0..slots {
            let Some(attached) = self.all.get(key) else { return true };
            match attached.link.slot(slot).claim(self.me, |number| self.board.alive(number)) {
                Look::Nothing => {}
                Look::Taken(request) => {
                    highest = Some(slot);
                    self.serve(key, slot, &request, runner, now_ns);
                }
                Look::Broken(fault) => self.expel(key, fault),
            }
        }
        self.adjust_reach(key, slots, highest);
        highest.is_some()
    }

    /// The reach grows at once to what was in use, and shrinks slowly, on full passes.
    fn adjust_reach(&mut self, key: usize, looked_at: usize, highest: Option<usize>) {
        let Some(attached) = self.all.get_mut(key) else { return };
        let used = highest.map_or(1, |slot| slot + 1);
        if used > attached.reach {
            attached.reach = used;
        } else if looked_at > attached.reach {
            attached.reach -= (attached.reach - used).min(1);
        }
    }

    /// A client broke a rule: this worker looks at its link no more, and the broker takes it away.
    fn expel(&mut self, key: usize, fault: PeerFault) {
        let Some(id) = self.all.get(key).map(|attached| attached.id) else { return };
        let bell = self.remove(id);
        self.silenced.extend(bell);
        self.reports.push(Report::Misbehaved { link: id, rule: fault.to_string() });
    }

    fn serve(&mut self, key: usize, slot: usize, request: &Request, runner: &mut Runner, now_ns: u64) {
        let at = At { key, slot, request };
        // First of all: a client that gave a call up before it was claimed may use slot and buffer again at once (rule
        // 11), so nothing else in the request can be trusted to belong together, and nothing goes into the buffer.
        if request.cancelled {
            self.refuse(&at, None, &Failure::not_started(Code::Cancelled, "cancelled before it started"));
            return self.meter.count(Counter::Cancelled);
        }
        let grant = match request.grant(self.all[key].link.geometry()) {
            Ok(grant) => grant,
            Err(fault) => {
                self.refuse(&at, None, &Failure::not_started(Code::InvalidArgument, fault.to_string()));
                return self.expel(key, fault);
            }
        };
        if request.head.fetch {
            return self.serve_fetch(&at, grant, now_ns);
        }
        let method = MethodIndex(request.head.method);
        match self.prepare(&at, grant, runner, now_ns) {
            Err(failure) => {
                self.refuse(&at, Some(grant), &failure);
                self.meter.refused(Some(method), Counter::ShmCalls, &failure);
            }
            Ok(codec) => {
                runner.run(method, codec, self.message_max, self);
                let status = self.reply(&at, grant, runner.reply.status(), runner.reply.body(), now_ns);
                runner.answered(method, Counter::ShmCalls, status);
            }
        }
    }

    /// Checks a request and copies its arguments to where its client cannot change them.
    fn prepare(&self, at: &At<'_>, grant: Grant, runner: &mut Runner, now_ns: u64) -> Result<Codec, Failure> {
        let request = at.request;
        if request.deadline_ns != 0 && request.deadline_ns <= now_ns {
            return Err(Failure::not_started(Code::DeadlineExceeded, "the deadline passed before it started"));
        }
        let codec = Codec::from_wire(request.head.codec).ok_or_else(|| {
            Failure::not_started(Code::Unimplemented, format!("codec {} does not exist", request.head.codec))
        })?;
        let link = &self.all[at.key].link;
        let arguments = runner.take_arguments(request.head.len as usize, self.message_max)?;
        if arguments.len() <= INLINE {
            link.slot(at.slot).read_inline(arguments);
        } else {
            link.copy_out(grant, arguments);
        }
        Ok(codec)
    }

    /// Answers with a failure, its text cut to the room that the client gave.
    fn refuse(&self, at: &At<'_>, grant: Option<Grant>, failure: &Failure) {
        let room = grant.map_or(0, |grant| usize::try_from(grant.capacity).unwrap_or(usize::MAX)).max(INLINE);
        let text = failure.wire_text().as_bytes();
        let text = &text[..text.len().min(room)];
        self.publish(at, grant, Status::Failed(failure.code, failure.outcome), text);
    }

    /// Publishes a reply, or holds it until a larger buffer is granted. Returns what the caller is told in the end.
    fn reply(&mut self, at: &At<'_>, grant: Grant, status: Status, body: &[u8], now_ns: u64) -> Status {
        if body.len() <= INLINE || body.len() as u64 <= grant.capacity {
            self.publish(at, Some(grant), status, body);
            return status;
        }
        let place = Place { link: self.all[at.key].id, slot: at.slot };
        if self.held.keep(place, status, body, now_ns) {
            let slot = self.all[at.key].link.slot(at.slot);
            slot.publish(self.me, at.request.seq, Status::Need, wire_len(body), &[]);
            self.count_wake(slot.wake(at.request.seq));
            self.meter.count(Counter::RepliesHeld);
            status
        } else {
            let text = "the reply is larger than its buffer, and the worker holds too many such replies already";
            let failure = Failure::done(Code::ResourceExhausted, text);
            self.refuse(at, Some(grant), &failure);
            Status::Failed(failure.code, failure.outcome)
        }
    }

    /// Publishes a body that fits: inline, or over the request in its buffer.
    fn publish(&self, at: &At<'_>, grant: Option<Grant>, status: Status, body: &[u8]) {
        let link = &self.all[at.key].link;
        let inline = if body.len() <= INLINE { body } else { &[] };
        if let Some(grant) = grant.filter(|_| inline.len() < body.len()) {
            link.copy_in(grant, body);
        }
        let slot = link.slot(at.slot);
        slot.publish(self.me, at.request.seq, status, wire_len(body), inline);
        self.count_wake(slot.wake(at.request.seq));
    }

    fn count_wake(&self, woken: bool) {
        if woken {
            self.meter.count(Counter::ClientsWoken);
        }
    }

    fn serve_fetch(&mut self, at: &At<'_>, grant: Grant, now_ns: u64) {
        // A fetch of a reply that another loop held reaches us only after that loop's death.
        let ours = at.request.head.method == self.me.0.get();
        let place = Place { link: self.all[at.key].id, slot: at.slot };
        match self.held.take(place).filter(|_| ours) {
            Some(held) => {
                self.reply(at, grant, held.status, &held.body, now_ns);
                self.meter.count(Counter::RepliesFetched);
            }
            None => {
                let text = "the worker that held the reply is gone";
                self.refuse(at, Some(grant), &Failure::done(Code::DataLoss, text));
                self.meter.count(Counter::RepliesLost);
            }
        }
    }

    /// Stops polling all links, and looks once more: whatever was published before its client could know is served
    /// here; what comes after rings (rule 21). `false` when nothing was found, and it is safe to sleep.
    pub(crate) fn demote_all(&mut self, runner: &mut Runner, now_ns: u64) -> bool {
        runner.timing.pass();
        let was_hot = std::mem::take(&mut self.hot);
        for key in &was_hot {
            self.all[*key].link.poller().leave(self.me);
        }
        wake::before_second_look();
        let mut found = false;
        for key in was_hot {
            if self.look(key, usize::MAX, runner, now_ns) {
                found = true;
                self.adopt(key);
            }
        }
        found
    }

    /// Whether any polled link has a request that nobody has claimed.
    fn anything_ready(&self) -> bool {
        self.hot
            .iter()
            .filter_map(|key| self.all.get(*key))
            .any(|attached| (0..attached.link.geometry().slots()).any(|slot| attached.link.slot(slot).is_ready()))
    }
}

/// A claimed request and where it lies.
struct At<'a> {
    key: usize,
    slot: usize,
    request: &'a Request,
}

fn wire_len(body: &[u8]) -> u32 {
    u32::try_from(body.len()).expect("message limits are below 4 GiB")
}

impl Elsewhere for Links {
    fn step_aside(&self) {
        self.meter.count(Counter::StepsAside);
        self.say(Mode::Busy);
        wake::before_second_look();
        if self.anything_ready() {
            // It fails only for a descriptor that is no bell.
            let _never = doorbell::ring(&self.pool_bell);
            self.meter.count(Counter::PoolBellsRung);
        }
    }

    fn step_back(&self) {
        self.say(Mode::Scan);
    }

    fn running(&self, method: Option<MethodIndex>) {
        self.board.line(self.me.0.get()).set_running(method.map(|index| index.0));
    }
}
