//! Frames of a connection: greeting, calls, replies.

use speedysvc_protocol::frame::{self, BadFrame, Header, Kind};
use speedysvc_protocol::hello::{Hello, LIBRARY, Refusal, Welcome};
use speedysvc_protocol::ids::{CallId, Codec, MethodId};
use speedysvc_protocol::limits::{FRAME_HEADER, HELLO_MAX};
use speedysvc_protocol::packing;
use speedysvc_protocol::status::{Code, Failure};

use super::{Connection, Next, Stage};
use crate::budget::LARGE;
use crate::dispatch::{Elsewhere, Runner};
use crate::source::tcp::pool::Pool;

/// What a CALL asks.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) id: CallId,
    pub(super) method: MethodId,
    pub(super) codec: Codec,
    pub(super) left_us: u64,
}

impl Asked {
    pub(super) fn of(kind: Kind) -> Option<Self> {
        let Kind::Call { id, method, codec, left_us } = kind else { return None };
        Some(Self { id, method, codec, left_us })
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
        let Some((index, way)) = self.admit(call, self.arrivals.next_ns(), Some(body_ends), runner) else {
            return Ok(true);
        };
        if self.must_wait(way) {
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
        self.run(call, (index, way), runner, elsewhere, pool);
        Ok(true)
    }

    /// Whether a call has not been taken before; what is no call always is. Asked when its frame is known to be whole.
    pub(super) fn is_new(&self, header: Header) -> Result<(), BadFrame> {
        Asked::of(header.kind).map_or(Ok(()), |call| self.order.check(call.id))
    }

    /// This call will not be taken again.
    pub(super) fn took(&mut self, header: Header) {
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
