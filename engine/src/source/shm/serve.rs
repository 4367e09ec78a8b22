//! A claimed request: checked, run, answered, and its client woken. Rules 9, 10, 22 and 27.

use speedysvc_protocol::archive::Sink;
use speedysvc_protocol::context::{self, CallName, Peer, Served};
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::shm::claim::Request;
use speedysvc_protocol::shm::in_place::Trusted;
use speedysvc_protocol::shm::layout::{Grant, INLINE};
use speedysvc_protocol::shm::seq::Seq;
use speedysvc_protocol::shm::wake;
use speedysvc_protocol::stats::Counter;
use speedysvc_protocol::status::{Code, Failure, Status};

use super::{Attached, Links};
use crate::beside::{Asks, Caller, ReplyTo, Ticket, Way};
use crate::clock;
use crate::dispatch::{Arguments, Room, Runner, in_vain};
use crate::held::Place;

/// Replies that are published before one fence and a second look for all of their sleepers (rule 13).
pub(super) const OWED_MAX: usize = 64;

/// From this many bytes on a request is read in place, when its client is trusted. A shorter one is copied in less time
/// than a few cache lines take to cross (decision 0013).
const IN_PLACE_FROM: usize = 16 * 1024;

/// A published reply whose client had not said that it sleeps, when looked at without a fence.
pub(super) struct Owed {
    key: usize,
    slot: usize,
    seq: Seq,
}

/// A claimed request and where it lies.
pub(super) struct At<'a> {
    pub(super) key: usize,
    pub(super) slot: usize,
    pub(super) request: &'a Request,
}

#[cold]
fn too_late() -> Failure {
    Failure::not_started(Code::DeadlineExceeded, "the deadline passed before it started")
}

#[cold]
fn no_codec(codec: u8) -> Failure {
    Failure::not_started(Code::Unimplemented, format!("codec {codec} does not exist"))
}

#[inline]
pub(super) fn wire_len(body: &[u8]) -> u32 {
    u32::try_from(body.len()).expect("message limits are below 4 GiB")
}

impl Links {
    pub(super) fn serve(&mut self, at: &At<'_>, runner: &mut Runner, now_ns: u64) {
        let At { key, request, .. } = *at;
        // First of all: a client that gave a call up before it was claimed may use slot and buffer again at once (rule
        // 11), so nothing else in the request can be trusted to belong together, and nothing goes into the buffer.
        if request.cancelled {
            self.refuse(at, None, &Failure::not_started(Code::Cancelled, "cancelled before it started"));
            return self.meter.count(Counter::Cancelled);
        }
        let grant = match request.grant(self.all[key].link.geometry()) {
            Ok(grant) => grant,
            Err(fault) => {
                self.refuse(at, None, &Failure::not_started(Code::InvalidArgument, fault.to_string()));
                return self.expel(key, fault);
            }
        };
        if request.head.fetch {
            return self.serve_fetch(at, grant, now_ns);
        }
        let method = MethodIndex(request.head.method);
        let way = runner.way(method);
        if way.is_some_and(|way| self.finds_no_room(at, grant, way, runner, now_ns)) {
            return;
        }
        match self.prepare(at, grant, runner, now_ns) {
            Err(failure) => {
                self.refuse(at, Some(grant), &failure);
                self.meter.refused(Some(method), Counter::ShmCalls, self.all[at.key].row, failure.status());
            }
            Ok((codec, arguments)) => {
                let copied = matches!(arguments, Arguments::Copied);
                let window = (copied && runner.replies_largely(method)).then(|| self.window(key, grant));
                context::serve(self.served(at));
                let room = Room { limit: self.message_max, window };
                if let Some(way) = way {
                    return self.send_away(at, way, (codec, arguments), room, runner);
                }
                runner.run(method, (codec, arguments), room, self);
                self.answer(at, grant, method, runner, now_ns);
            }
        }
    }

    /// Publishes the runner's reply, and counts the call.
    pub(super) fn answer(&mut self, at: &At<'_>, grant: Grant, method: MethodIndex, runner: &mut Runner, now_ns: u64) {
        let (status, body) = (runner.reply.status(), runner.reply.body());
        let status = match runner.reply.in_window() {
            None => self.reply(at, grant, status, body, now_ns),
            Some(len) => self.publish_written(at, grant, status, len),
        };
        let (bytes_in, bytes_out) = runner.answered(method, Counter::ShmCalls, status);
        self.meter.peers().answered(self.all[at.key].row, bytes_in, bytes_out);
    }

    /// Refuses a call that would run beside the loop when there is no room for it. First of all, and with nothing made
    /// for it: a service that has too much to do should not work for saying so (decision 0065). What comes too late is
    /// told that.
    #[inline(never)]
    fn finds_no_room(&mut self, at: &At<'_>, grant: Grant, way: Way, runner: &Runner, now_ns: u64) -> bool {
        let Request { deadline_ns, head, .. } = *at.request;
        if deadline_ns != 0 && deadline_ns <= now_ns {
            return false;
        }
        let len = head.len as usize;
        let held = if self.in_place(at, len).is_some() { 0 } else { len };
        let asks = Asks { way, caller: Caller::Link(self.all[at.key].id), now_ns };
        let Err(full) = runner.admit(&asks, held, self.message_max) else { return false };
        let status = full.status();
        self.publish(at, Some(grant), status, full.why.as_bytes());
        self.meter.refused(Some(MethodIndex(head.method)), Counter::ShmCalls, self.all[at.key].row, status);
        true
    }

    /// A link whose large requests are read in place, when one of so many bytes is.
    fn in_place(&self, at: &At<'_>, len: usize) -> Option<Trusted> {
        self.all[at.key].trusted.filter(|_| (IN_PLACE_FROM..=self.message_max).contains(&len))
    }

    /// The call runs beside the loop. Its slot stays claimed until it is back.
    fn send_away(&mut self, at: &At<'_>, way: Way, asked: (Codec, Arguments), room: Room, runner: &mut Runner) {
        let (key, method) = (at.key, MethodIndex(at.request.head.method));
        let to = ReplyTo::Slot { key, link: self.all[key].id, slot: at.slot, request: *at.request };
        // The exact time, of which what it waits is counted.
        let ticket = |context| Ticket::new(to, method, way, clock::now_ns(), context);
        let _its_slot_names_it = runner.send_away(asked, room, ticket);
    }

    /// A call that ran beside the loop is back, unless its client has left meanwhile.
    pub(crate) fn take_back(&mut self, back: &Ticket, runner: &mut Runner, now_ns: u64) {
        let ReplyTo::Slot { key, link, slot, request } = &back.to else { return };
        if self.all.get(*key).is_none_or(|attached| attached.id != *link) {
            return;
        }
        let at = At { key: *key, slot: *slot, request };
        // It was checked when the call went away.
        let Ok(grant) = request.grant(self.all[*key].link.geometry()) else { return };
        self.answer(&at, grant, back.method, runner, now_ns);
        self.look_for_sleepers();
    }

    /// The call, for its handler.
    fn served(&self, at: &At<'_>) -> Served {
        let Attached { id, uid, ref link, .. } = self.all[at.key];
        let call = CallName::Shm { link: id, slot: at.slot, seq: at.request.seq };
        let trace = link.slot(at.slot).trace(at.request.head);
        Served { call, peer: Peer::User(uid), deadline_ns: at.request.deadline_ns, trace }
    }

    /// Checks a request, and copies its arguments to where its client cannot change them unless it is trusted not to.
    fn prepare(
        &self,
        at: &At<'_>,
        grant: Grant,
        runner: &mut Runner,
        now_ns: u64,
    ) -> Result<(Codec, Arguments), Failure> {
        let request = at.request;
        if request.deadline_ns != 0 && request.deadline_ns <= now_ns {
            return Err(too_late());
        }
        let left_ns = request.deadline_ns.wrapping_sub(now_ns);
        let is_in_vain = || runner.is_in_vain(MethodIndex(request.head.method), left_ns);
        if request.deadline_ns != 0 && self.has_waiting() && is_in_vain() {
            return Err(in_vain(runner.timing.since(), now_ns));
        }
        let codec = Codec::from_wire(request.head.codec).ok_or_else(|| no_codec(request.head.codec))?;
        let (link, len) = (&self.all[at.key].link, request.head.len as usize);
        if let Some(trusted) = self.in_place(at, len) {
            self.meter.count(Counter::ReadInPlace);
            return Ok((codec, Arguments::InPlace(link.in_place(trusted, grant, len, self.message_max))));
        }
        let arguments = runner.take_arguments(len, self.message_max)?;
        if arguments.len() <= INLINE {
            link.slot(at.slot).read_inline(arguments);
        } else {
            link.copy_out(grant, arguments);
        }
        Ok((codec, Arguments::Copied))
    }

    /// Answers with a failure, its text cut to the room that the client gave.
    #[cold]
    fn refuse(&mut self, at: &At<'_>, grant: Option<Grant>, failure: &Failure) {
        let room = grant.map_or(0, |grant| usize::try_from(grant.capacity).unwrap_or(usize::MAX)).max(INLINE);
        let text = failure.wire_text().as_bytes();
        let text = &text[..text.len().min(room)];
        self.publish(at, grant, failure.status(), text);
    }

    /// Publishes a reply, or holds it until a larger buffer is granted. Returns what the caller is told in the end.
    fn reply(&mut self, at: &At<'_>, grant: Grant, status: Status, body: &[u8], now_ns: u64) -> Status {
        if body.len() <= INLINE || body.len() as u64 <= grant.capacity {
            self.publish(at, Some(grant), status, body);
            return status;
        }
        self.hold(at, grant, status, body, now_ns)
    }

    #[cold]
    fn hold(&mut self, at: &At<'_>, grant: Grant, status: Status, body: &[u8], now_ns: u64) -> Status {
        let Attached { id, uid, .. } = self.all[at.key];
        if self.held.keep(Place { link: id, slot: at.slot }, uid, (status, body), now_ns) {
            let slot = self.all[at.key].link.slot(at.slot);
            slot.publish(self.me, at.request.seq, Status::Need, wire_len(body), &[]);
            self.wake(at);
            self.meter.count(Counter::RepliesHeld);
            status
        } else {
            let text =
                "the reply is larger than its buffer, and the worker holds too many such replies of your user already";
            let failure = Failure::done(Code::ResourceExhausted, text);
            self.refuse(at, Some(grant), &failure);
            failure.status()
        }
    }

    fn window(&self, key: usize, grant: Grant) -> Box<dyn Sink + Send> {
        Box::new(self.all[key].link.window(grant, self.message_max))
    }

    /// Publishes a body of so many bytes that lies in its buffer already.
    #[cold]
    fn publish_written(&mut self, at: &At<'_>, grant: Grant, status: Status, len: usize) -> Status {
        let link = &self.all[at.key].link;
        let mut inline = [0; INLINE];
        let inline = if len <= INLINE { &mut inline[..len] } else { &mut [] };
        link.copy_out(grant, inline);
        let len = u32::try_from(len).expect("message limits are below 4 GiB");
        link.slot(at.slot).publish(self.me, at.request.seq, status, len, inline);
        self.wake(at);
        status
    }

    /// Publishes a body that fits: inline, or over the request in its buffer.
    fn publish(&mut self, at: &At<'_>, grant: Option<Grant>, status: Status, body: &[u8]) {
        let link = &self.all[at.key].link;
        let inline = if body.len() <= INLINE { body } else { &[] };
        if let Some(grant) = grant.filter(|_| inline.len() < body.len()) {
            link.copy_in(grant, body);
        }
        let slot = link.slot(at.slot);
        slot.publish(self.me, at.request.seq, status, wire_len(body), inline);
        self.wake(at);
    }

    /// Wakes a client that is seen to sleep at once; who may just be falling asleep is looked at again with others.
    #[inline]
    pub(super) fn wake(&mut self, at: &At<'_>) {
        let seq = at.request.seq;
        if self.all[at.key].link.slot(at.slot).wake_who_says_it_sleeps(seq) {
            return self.meter.count(Counter::ClientsWoken);
        }
        self.owed.push(Owed { key: at.key, slot: at.slot, seq });
        if self.owed.len() == OWED_MAX {
            self.look_for_sleepers();
        }
    }

    #[cold]
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

    /// The second look, behind a fence: who began to sleep while its reply was on its way is woken (rule 22).
    pub(super) fn look_for_sleepers(&mut self) {
        if self.owed.is_empty() {
            return;
        }
        wake::before_looks_for_sleepers();
        for Owed { key, slot, seq } in self.owed.drain(..) {
            if let Some(attached) = self.all.get(key) {
                let woken = attached.link.slot(slot).wake_who_says_it_sleeps(seq);
                self.meter.add(Counter::ClientsWoken, woken.into());
            }
        }
    }
}
