//! Frames of a connection: greeting, calls, replies.

use std::mem;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::frame::{self, BadFrame, Header, Kind};
use speedysvc_protocol::hello::{Hello, LIBRARY, Refusal, Welcome};
use speedysvc_protocol::ids::{CallId, Codec, MethodId, MethodIndex};
use speedysvc_protocol::limits::{FRAME_HEADER, HELLO_MAX};
use speedysvc_protocol::stats::Counter;
use speedysvc_protocol::status::{Code, Failure, Status};

use super::{Connection, Next, Stage};
use crate::budget::LARGE;
use crate::clock::now_ns;
use crate::dispatch::{Arguments, Elsewhere, Room, Runner, in_vain};
use crate::driver::Outgoing;
use crate::log;
use crate::source::tcp::pool::Pool;

/// Frames behind a call among which its CANCEL is looked for.
const LOOK_AHEAD: usize = 64;

/// A call whose body arrives straight where its handler will read it. It grows as it arrives: a length that was only
/// announced takes no memory.
pub(super) struct Large {
    id: CallId,
    method: MethodId,
    codec: Codec,
    left_us: u64,
    body: Buffer,
    /// Bytes of the body.
    pub(super) len: usize,
    /// When its first byte came.
    pub(super) since_ns: u64,
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

impl Connection {
    pub(super) fn handle_frame(
        &mut self,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
    ) -> Result<Next, BadFrame> {
        if let Some(large) = self.large.take() {
            return Ok(self.handle_large(large, runner, elsewhere, pool));
        }
        if self.skip > 0 {
            let now = self.skip.min(self.inbox.waiting().len());
            self.handled(now);
            self.skip -= now;
        }
        let Some(header) = frame::peek(self.inbox.waiting())? else { return Ok(Next::Wait) };
        let body_len = header.body_len as usize;
        if body_len > self.body_max() {
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
        match (self.stage, header.kind) {
            (Stage::Greeting | Stage::Closing, Kind::Hello) if !self.greeted => self.greet(body_ends, runner),
            (Stage::Serving | Stage::Closing, Kind::Call { id, method, codec, left_us }) if self.greeted => {
                let now_ns = now_ns();
                if self.is_late(left_us, now_ns) {
                    self.refuse(id, method, &too_late(), runner);
                } else if self.is_taken_back(id, body_ends) {
                    // Nobody waits for a reply.
                    runner.meter.count(Counter::Cancelled);
                } else if self.is_in_vain((left_us, body_ends), method, now_ns, runner) {
                    self.refuse(id, method, &in_vain(), runner);
                } else {
                    runner.timing.frame(self.arrivals.next_ns(), now_ns);
                    self.call((id, method, codec), body_ends, runner, elsewhere, pool);
                }
            }
            // Handlers run one after the other here: what a client cancels has run by then, or was found taken back.
            (Stage::Serving | Stage::Closing, Kind::Cancel { .. } | Kind::Goodbye) => {}
            _ => return Err(BadFrame::Reserved),
        }
        self.handled(body_ends);
        Ok(Next::Frame)
    }

    /// Whether a call waited here for longer than it had left. What it waited in the socket is not known, so the error
    /// is on the caller's side: a call is rather begun too late than refused too early.
    fn is_late(&self, left_us: u64, now_ns: u64) -> bool {
        let left_us = if left_us == 0 { self.settings.deadline_us } else { left_us };
        now_ns.saturating_sub(self.arrivals.next_ns()) > left_us.saturating_mul(1_000)
    }

    /// Whether others wait, and this call has less time left than its method takes.
    fn is_in_vain(&self, (left_us, body_ends): (u64, usize), method: MethodId, now_ns: u64, runner: &Runner) -> bool {
        if !self.others_wait && self.inbox.waiting().len() == body_ends {
            return false;
        }
        let left_us = if left_us == 0 { self.settings.deadline_us } else { left_us };
        let left_ns = left_us.saturating_mul(1_000).saturating_sub(now_ns.saturating_sub(self.arrivals.next_ns()));
        runner.contract().index_of(method).is_some_and(|method| runner.is_in_vain(method, left_ns))
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
        let Kind::Call { id, method, codec, left_us } = header.kind else { return false };
        if !self.greeted || !matches!(self.stage, Stage::Serving | Stage::Closing) {
            return false;
        }
        let (body, len) = (pool.large(self.settings.message_max), header.body_len as usize);
        let since_ns = self.arrivals.next_ns();
        let mut large = Box::new(Large { id, method, codec, left_us, body, len, since_ns });
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
    ) -> Next {
        if !large.is_whole() {
            self.large = Some(large);
            return Next::Wait;
        }
        let Large { id, method, codec, left_us, .. } = *large;
        let now_ns = now_ns();
        let left_us = if left_us == 0 { self.settings.deadline_us } else { left_us };
        if now_ns.saturating_sub(large.since_ns) > left_us.saturating_mul(1_000) {
            self.refuse(id, method, &too_late(), runner);
        } else if let Some(index) = self.find_method(id, method, runner) {
            runner.timing.frame(large.since_ns, now_ns);
            mem::swap(&mut runner.arguments, &mut large.body);
            self.run((id, index, codec), runner, elsewhere, pool);
            mem::swap(&mut runner.arguments, &mut large.body);
        }
        pool.keep_large(large.body);
        Next::Frame
    }

    fn body_max(&self) -> usize {
        if self.greeted { self.settings.message_max } else { HELLO_MAX }
    }

    /// A call that is too large is answered, its body thrown away, and the connection goes on.
    fn refuse_body(&mut self, header: Header, runner: &Runner) -> Result<Next, BadFrame> {
        let Kind::Call { id, method, .. } = header.kind else { return Err(BadFrame::Reserved) };
        if !self.greeted {
            return Err(BadFrame::Reserved);
        }
        let (len, max) = (header.body_len, self.body_max());
        let text = format!("a request of {len} bytes is over the limit of {max} bytes");
        self.refuse(id, method, &Failure::not_started(Code::ResourceExhausted, text), runner);
        self.handled(FRAME_HEADER);
        self.skip = len as usize;
        Ok(Next::Frame)
    }

    fn greet(&mut self, body_ends: usize, runner: &Runner) {
        let body = &self.inbox.waiting()[FRAME_HEADER..body_ends];
        let answer = serde_json::from_slice::<Hello>(body)
            .map_err(|error| Refusal::new(Code::InvalidArgument, format!("the HELLO cannot be read: {error}")))
            .and_then(|hello| hello.answer(runner.contract()));
        match answer {
            Ok((version, methods)) => {
                let welcome = Welcome {
                    version,
                    library: LIBRARY.to_owned(),
                    message_max: self.settings.message_max as u64,
                    deadline_us: self.settings.deadline_us,
                    methods,
                };
                self.say(Kind::Welcome, &welcome);
                self.greeted = true;
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

    fn say<T: serde::Serialize>(&mut self, kind: Kind, message: &T) {
        let text = serde_json::to_vec(message).expect("messages of ours have a JSON form");
        frame::append(&mut self.outbox, kind, &text);
    }

    fn call(
        &mut self,
        (id, method, codec): (CallId, MethodId, Codec),
        body_ends: usize,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
    ) {
        let Some(index) = self.find_method(id, method, runner) else { return };
        let body = &self.inbox.waiting()[FRAME_HEADER..body_ends];
        match runner.take_arguments(body.len(), self.settings.message_max) {
            Ok(arguments) => arguments.copy_from_slice(body),
            Err(failure) => return self.refuse(id, method, &failure, runner),
        }
        self.run((id, index, codec), runner, elsewhere, pool);
    }

    /// A method's place in the service; refuses a call of one that there is not.
    fn find_method(&mut self, id: CallId, method: MethodId, runner: &Runner) -> Option<MethodIndex> {
        let index = runner.contract().index_of(method);
        if index.is_none() {
            let text = format!("this service has no method with the id {:016x}", method.0);
            self.refuse(id, method, &Failure::not_started(Code::Unimplemented, text), runner);
        }
        index
    }

    /// Runs the handler on the runner's arguments, and queues the reply.
    fn run(
        &mut self,
        (id, index, codec): (CallId, MethodIndex, Codec),
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
    ) {
        let room = Room { limit: self.settings.message_max, window: None };
        log::serve(log::Call::Frame(id));
        runner.run(index, (codec, Arguments::Copied), room, elsewhere);
        let status = runner.reply.status();
        let kind = Kind::Reply { id, status };
        let body = runner.reply.body();
        if body.len() < LARGE {
            frame::append(&mut self.outbox, kind, body);
            return runner.answered(index, Counter::TcpCalls, status);
        }
        let body_len = u32::try_from(body.len()).expect("message limits are below 4 GiB");
        self.outbox.extend_from_slice(&Header { kind, body_len }.to_bytes());
        self.leaving.push_back(Outgoing::Frames(mem::take(&mut self.outbox)));
        self.outbox = pool.small();
        runner.answered(index, Counter::TcpCalls, status);
        let body = runner.reply.replace_body(pool.large(self.settings.message_max));
        self.leaving.push_back(Outgoing::Body(body));
    }

    /// Answers a call that does not reach its handler.
    fn refuse(&mut self, id: CallId, method: MethodId, failure: &Failure, runner: &Runner) {
        let status = Status::Failed(failure.code, failure.outcome);
        frame::append(&mut self.outbox, Kind::Reply { id, status }, failure.wire_text().as_bytes());
        runner.meter.refused(runner.contract().index_of(method), Counter::TcpCalls, failure);
    }
}

fn too_late() -> Failure {
    Failure::not_started(Code::DeadlineExceeded, "the deadline passed before it started")
}
