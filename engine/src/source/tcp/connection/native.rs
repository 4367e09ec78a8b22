//! Frames of a connection: greeting, calls, replies.

use std::mem;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::context::{self, CallName, Served};
use speedysvc_protocol::frame::{self, BadFrame, Header, Kind};
use speedysvc_protocol::hello::{Hello, LIBRARY, Refusal, Welcome};
use speedysvc_protocol::ids::{CallId, Codec, MethodId, MethodIndex};
use speedysvc_protocol::limits::{FRAME_HEADER, HELLO_MAX};
use speedysvc_protocol::packing;
use speedysvc_protocol::stats::Counter;
use speedysvc_protocol::status::{Code, Failure};

use super::{Connection, Next, Settings, Stage};
use crate::budget::LARGE;
use crate::clock::{self, lately_ns};
use crate::dispatch::{Elsewhere, Runner, in_vain};
use crate::source::tcp::pool::Pool;

/// Frames behind a call among which its CANCEL is looked for.
const LOOK_AHEAD: usize = 64;

/// A call whose body arrives straight where its handler will read it, unless it must be decompressed. It grows as it
/// arrives: a length that was only announced takes no memory.
pub(super) struct Large {
    head: [u8; FRAME_HEADER],
    header: Header,
    call: Asked,
    body: Buffer,
    /// Bytes of the body.
    pub(super) len: usize,
    /// When its first byte came.
    pub(super) since_ns: u64,
}

/// What a CALL asks.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) id: CallId,
    pub(super) method: MethodId,
    pub(super) codec: Codec,
    left_us: u64,
}

impl Asked {
    fn of(kind: Kind) -> Option<Self> {
        let Kind::Call { id, method, codec, left_us } = kind else { return None };
        Some(Self { id, method, codec, left_us })
    }
}

impl Large {
    /// Takes what belongs to it, and gives back the rest.
    pub(super) fn arrive<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (ours, rest) = bytes.split_at(bytes.len().min(self.len - self.body.as_slice().len()));
        self.body.append(ours).expect("the length was checked against the limit, which the buffer has");
        rest
    }

    fn is_whole(&self) -> bool {
        self.body.as_slice().len() == self.len
    }
}

impl Settings {
    /// When a call ends that came then and had so much left. What it waited in the socket is not known, so the error is
    /// on the caller's side: a call is rather begun too late than refused too early.
    fn deadline_ns(&self, came_ns: u64, left_us: u64) -> u64 {
        let left_us = if left_us == 0 { self.deadline_us } else { left_us };
        came_ns.saturating_add(left_us.saturating_mul(1_000))
    }
}

impl Connection {
    pub(super) fn handle_frame(
        &mut self,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
    ) -> Result<Next, BadFrame> {
        if let Some(large) = self.large.take() {
            return self.handle_large(large, runner, elsewhere, pool);
        }
        if self.skip > 0 {
            let now = self.skip.min(self.inbox.waiting().len());
            self.handled(now);
            self.skip -= now;
        }
        let Some(header) = frame::peek(self.inbox.waiting())? else { return Ok(Next::Wait) };
        header.within(self.wire)?;
        let body_len = header.body_len as usize;
        if header.full_len as usize > self.body_max() {
            return self.refuse_body(header, runner);
        }
        if self.inbox.waiting().len() < FRAME_HEADER + body_len {
            if body_len >= LARGE && self.begin_large(header, pool) {
                return Ok(Next::Frame);
            }
            self.missing = FRAME_HEADER + body_len;
            self.inbox.expect(self.missing);
            return Ok(Next::Wait);
        }
        let body_ends = FRAME_HEADER + body_len;
        if let Some(head) = self.inbox.waiting().first_chunk() {
            packing::check(head, &header, &self.inbox.waiting()[FRAME_HEADER..body_ends], self.wire)?;
        }
        self.is_new(header)?;
        match (self.stage, header.kind) {
            (Stage::Greeting | Stage::Closing, Kind::Hello) if !self.greeted => self.greet(body_ends, runner),
            (Stage::Serving | Stage::Closing, Kind::Call { .. }) if self.greeted => {
                if !self.call(header, runner, elsewhere, pool)? {
                    self.waits = true;
                    return Ok(Next::Wait);
                }
                self.took(header);
                self.trace = None;
            }
            // What is not away has run by now, or was found taken back.
            (Stage::Serving | Stage::Closing, Kind::Cancel { id }) => self.cancel(id, runner),
            (Stage::Serving | Stage::Closing, Kind::Goodbye) => {}
            (Stage::Serving | Stage::Closing, Kind::Trace(trace)) if self.greeted => {
                self.trace = Some(Box::new(trace));
            }
            _ => return Err(BadFrame::Reserved),
        }
        self.handled(body_ends);
        Ok(Next::Frame)
    }

    /// A call whose frame is whole, in the inbox. `false` when it must wait there.
    fn call(
        &mut self,
        header: Header,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
    ) -> Result<bool, BadFrame> {
        let Some(call) = Asked::of(header.kind) else { return Ok(true) };
        let body_ends = FRAME_HEADER + header.body_len as usize;
        let Some(index) = self.admit(call, self.arrivals.next_ns(), Some(body_ends), runner) else { return Ok(true) };
        if self.must_wait(runner.way_of_socket(index)) {
            return Ok(false);
        }
        let body = &self.inbox.waiting()[FRAME_HEADER..body_ends];
        if let Some(how) = self.wire.compression.filter(|_| header.is_compressed()) {
            pool.unpack(how, body, header.full_len as usize, runner)?;
        } else {
            match runner.take_arguments(body.len(), self.settings.message_max) {
                Ok(arguments) => arguments.copy_from_slice(body),
                Err(failure) => {
                    self.refuse(call, &failure, runner);
                    return Ok(true);
                }
            }
        }
        self.run(call, index, runner, elsewhere, pool);
        Ok(true)
    }

    /// Where a call's method has its place in the service; refuses one that comes too late, that would run in vain or
    /// that asks for none. Of a call in the inbox it is known where it ends there.
    fn admit(
        &mut self,
        call: Asked,
        came_ns: u64,
        body_ends: Option<usize>,
        runner: &mut Runner,
    ) -> Option<MethodIndex> {
        // A short call is not worth a look at the exact clock.
        let (deadline_ns, now_ns) = (self.settings.deadline_ns(came_ns, call.left_us), self.turn_ns.max(lately_ns()));
        if now_ns > deadline_ns {
            let late = Failure::not_started(Code::DeadlineExceeded, "the deadline passed before it started");
            self.refuse(call, &late, runner);
            return None;
        }
        if body_ends.is_some_and(|ends| self.is_taken_back(call.id, ends)) {
            // Nobody waits for a reply.
            runner.meter.count(Counter::Cancelled);
            return None;
        }
        let Some(index) = runner.contract().index_of(call.method) else {
            let text = format!("this service has no method with the id {:016x}", call.method.0);
            self.refuse(call, &Failure::not_started(Code::Unimplemented, text), runner);
            return None;
        };
        let is_last = body_ends.is_none_or(|ends| self.inbox.waiting().len() == ends);
        let others_wait = body_ends.is_some() && (self.others_wait || !is_last);
        if others_wait && runner.is_in_vain(index, self.left_ns(call, now_ns)) {
            self.refuse(call, &in_vain(Some(came_ns), now_ns), runner);
            return None;
        }
        let (alone, turn_ns) = (mem::take(&mut self.is_first) && is_last, self.turn_ns);
        runner.timing.frame(came_ns, alone, || if alone { turn_ns } else { clock::now_ns() });
        let trace = self.trace.as_deref().copied();
        context::serve(Served { call: CallName::Frame(call.id), peer: self.peer, deadline_ns, trace });
        Some(index)
    }

    /// The time that a call in the inbox has left.
    fn left_ns(&self, call: Asked, now_ns: u64) -> u64 {
        let left_us = if call.left_us == 0 { self.settings.deadline_us } else { call.left_us };
        left_us.saturating_mul(1_000).saturating_sub(now_ns.saturating_sub(self.arrivals.next_ns()))
    }

    /// Whether the client has taken back a call that waited: its CANCEL lies behind it. Looked for only when calls may
    /// have waited for so long that somebody gave them up, and not behind any number of others: what is not found runs,
    /// and nobody reads its reply.
    fn is_taken_back(&self, id: CallId, body_ends: usize) -> bool {
        if !self.took_long {
            return false;
        }
        let mut rest = &self.inbox.waiting()[body_ends..];
        for _ in 0..LOOK_AHEAD {
            let Ok(Some(header)) = frame::peek(rest) else { return false };
            if header.kind == (Kind::Cancel { id }) {
                return true;
            }
            let Some(behind) = rest.get(FRAME_HEADER + header.body_len as usize..) else { return false };
            rest = behind;
        }
        false
    }

    /// The rest of this call's body goes straight to where it is read. `false` when it is no call for that.
    fn begin_large(&mut self, header: Header, pool: &mut Pool) -> bool {
        let (Some(call), Some(head)) = (Asked::of(header.kind), self.inbox.waiting().first_chunk().copied()) else {
            return false;
        };
        if !self.greeted || !matches!(self.stage, Stage::Serving | Stage::Closing) {
            return false;
        }
        let (body, len) = (pool.large(self.settings.message_max), header.body_len as usize);
        let since_ns = self.arrivals.next_ns();
        let mut large = Box::new(Large { head, header, call, body, len, since_ns });
        let arrived = self.inbox.waiting().len();
        large.arrive(&self.inbox.waiting()[FRAME_HEADER..]);
        self.handled(arrived);
        self.large = Some(large);
        true
    }

    fn handle_large(
        &mut self,
        mut large: Box<Large>,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
    ) -> Result<Next, BadFrame> {
        if !large.is_whole() {
            self.large = Some(large);
            return Ok(Next::Wait);
        }
        let (call, header) = (large.call, large.header);
        packing::check(&large.head, &header, large.body.as_slice(), self.wire)?;
        self.is_new(header)?;
        if let Some(index) = self.admit(call, large.since_ns, None, runner) {
            if self.must_wait(runner.way_of_socket(index)) {
                (self.large, self.waits) = (Some(large), true);
                return Ok(Next::Wait);
            }
            let compression = self.wire.compression.filter(|_| header.is_compressed());
            match compression {
                None => mem::swap(&mut runner.arguments, &mut large.body),
                Some(how) => pool.unpack(how, large.body.as_slice(), header.full_len as usize, runner)?,
            }
            self.run(call, index, runner, elsewhere, pool);
            if compression.is_none() {
                mem::swap(&mut runner.arguments, &mut large.body);
            }
        }
        self.trace = None;
        self.took(header);
        pool.keep_large(large.body);
        Ok(Next::Frame)
    }

    /// Whether a call has not been taken before; what is no call always is. Asked when its frame is known to be whole.
    fn is_new(&self, header: Header) -> Result<(), BadFrame> {
        Asked::of(header.kind).map_or(Ok(()), |call| self.order.check(call.id))
    }

    /// This call will not be taken again.
    fn took(&mut self, header: Header) {
        if let Some(call) = Asked::of(header.kind) {
            self.order.took(call.id);
        }
    }

    fn body_max(&self) -> usize {
        if self.greeted { self.settings.message_max } else { HELLO_MAX }
    }

    /// A call that is too large is answered, its body thrown away, and the connection goes on.
    fn refuse_body(&mut self, header: Header, runner: &Runner) -> Result<Next, BadFrame> {
        let Some(call) = Asked::of(header.kind).filter(|_| self.greeted) else { return Err(BadFrame::Reserved) };
        let (len, max) = (header.full_len, self.body_max());
        self.is_new(header)?;
        let text = format!("a request of {len} bytes is over the limit of {max} bytes");
        self.refuse(call, &Failure::not_started(Code::ResourceExhausted, text), runner);
        self.took(header);
        self.handled(FRAME_HEADER);
        self.trace = None;
        self.skip = header.body_len as usize;
        Ok(Next::Frame)
    }

    fn greet(&mut self, body_ends: usize, runner: &Runner) {
        let body = &self.inbox.waiting()[FRAME_HEADER..body_ends];
        let answer = serde_json::from_slice::<Hello>(body)
            .map_err(|error| Refusal::new(Code::InvalidArgument, format!("the HELLO cannot be read: {error}")))
            .and_then(|hello| Ok((hello.answer(runner.contract())?, hello.wire)));
        match answer {
            Ok(((version, methods), offer)) => {
                let wire = offer.answer(self.settings.compression);
                let welcome = Welcome {
                    version,
                    library: LIBRARY.to_owned(),
                    message_max: self.settings.message_max as u64,
                    deadline_us: self.settings.deadline_us,
                    methods,
                    wire,
                };
                self.say(Kind::Welcome, &welcome);
                self.greeted = true;
                self.wire = wire;
                if self.stage == Stage::Greeting {
                    self.stage = Stage::Serving;
                }
            }
            Err(refusal) => {
                self.say(Kind::Refused, &refusal);
                self.stage = Stage::Refused;
            }
        }
    }
}
