//! One TCP connection: greeting, calls, replies, end.

mod speech;

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use speedysvc_protocol::frame::{self, BadFrame, Header, Kind};
use speedysvc_protocol::hello::{Hello, LIBRARY, Refusal, Welcome};
use speedysvc_protocol::ids::{CallId, Codec, MethodId};
use speedysvc_protocol::limits::{FRAME_HEADER, HELLO_MAX};
use speedysvc_protocol::stats::Counter;
use speedysvc_protocol::status::{Code, Failure, Status};

use super::receive_buffer::ReceiveBuffer;
use crate::budget::{KEEP, unhandled, unsent};
use crate::clock::now_ns;
use crate::dispatch::{Arguments, Elsewhere, Room, Runner};
use crate::driver::{Chunk, Driver, Outgoing, Tag};
use crate::log;
use speech::Tongue;

/// What all connections of a service share.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) message_max: usize,
    pub(super) deadline_us: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The first frame must be a HELLO.
    Greeting,
    /// Calls come and replies go.
    Serving,
    /// The greeting was refused: that is sent, and nothing more is read.
    Refused,
    /// The peer sends no more: what it has asked is answered.
    Closing,
    /// The last answer is said, for the reason that this counts. What the peer still sends is thrown away until it
    /// closes too: ending at once could take the answer away from it (RFC 9112, section 9.6).
    Parting(Counter),
    /// Shut down, for the reason that this counts; operations under way are ending.
    Ended(Counter),
}

pub(super) struct Connection {
    socket: Rc<OwnedFd>,
    tag: Tag,
    settings: Settings,
    stage: Stage,
    tongue: Tongue,
    /// The handshake is done.
    greeted: bool,
    inbox: ReceiveBuffer,
    /// When the latest bytes came.
    arrived_ns: u64,
    /// Bytes of a refused body that are still to come, and are thrown away.
    skip: usize,
    /// Bytes thrown away since the last answer was said.
    ignored: usize,
    outbox: Vec<u8>,
    /// A spare buffer, the one that was sent last.
    spare: Vec<u8>,
    sending: bool,
    receiving: bool,
    stopping: bool,
    /// In the list of connections with something to do.
    pub(super) dirty: bool,
}

/// Frames handled in one turn before other connections have theirs.
const FRAMES_PER_TURN: usize = 64;

/// What to do after a frame.
enum Next {
    Frame,
    Wait,
}

impl Connection {
    pub(super) fn new(socket: Rc<OwnedFd>, tag: Tag, settings: Settings) -> Self {
        Self {
            socket,
            tag,
            settings,
            stage: Stage::Greeting,
            tongue: Tongue::Undecided,
            greeted: false,
            inbox: ReceiveBuffer::default(),
            arrived_ns: 0,
            skip: 0,
            ignored: 0,
            outbox: Vec::new(),
            spare: Vec::new(),
            sending: false,
            receiving: false,
            stopping: false,
            dirty: false,
        }
    }

    pub(super) fn tag(&self) -> Tag {
        self.tag
    }

    pub(super) fn start_receiving(&mut self, driver: &mut dyn Driver) {
        self.receiving = true;
        driver.receive(&self.socket, self.tag);
    }

    pub(super) fn received(&mut self, received: io::Result<Option<Chunk>>, more: bool, driver: &mut dyn Driver) {
        self.receiving = more;
        self.stopping &= more;
        match received {
            Ok(Some(chunk)) => {
                if matches!(self.stage, Stage::Greeting | Stage::Serving) {
                    self.arrived_ns = now_ns();
                    self.inbox.arrive(driver.bytes(&chunk));
                } else {
                    self.ignored += driver.bytes(&chunk).len();
                }
                driver.recycle(chunk);
                self.part();
            }
            Ok(None) if matches!(self.stage, Stage::Greeting | Stage::Serving) => self.stage = Stage::Closing,
            Ok(None) => {
                if let Stage::Parting(why) = self.stage {
                    self.shut_down(why);
                }
            }
            Err(error) if is_passing(&error) => {}
            Err(_) => self.shut_down(Counter::ClosedError),
        }
    }

    pub(super) fn sent(&mut self, sent: Outgoing, result: &io::Result<()>) {
        self.sending = false;
        if result.is_err() {
            self.shut_down(Counter::ClosedError);
        }
        match sent {
            Outgoing::Frames(mut buffer) if buffer.capacity() <= KEEP => {
                buffer.clear();
                self.spare = buffer;
            }
            _ => {}
        }
    }

    /// Handles frames that have arrived, and sends. Whether there is more to handle at once.
    pub(super) fn serve(
        &mut self,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        driver: &mut dyn Driver,
    ) -> bool {
        let again = self.handle_frames(runner, elsewhere);
        self.flush(driver);
        self.regulate(driver);
        again
    }

    fn handle_frames(&mut self, runner: &mut Runner, elsewhere: &mut impl Elsewhere) -> bool {
        for _ in 0..FRAMES_PER_TURN {
            // When the peer reads too slowly, its calls wait; it can only hold up itself.
            let deaf = matches!(self.stage, Stage::Refused | Stage::Parting(_) | Stage::Ended(_));
            if deaf || self.outbox.len() > unsent(self.settings.message_max) {
                return false;
            }
            let next = match self.tongue {
                Tongue::Undecided => Ok(self.decide()),
                Tongue::Native => self.handle_frame(runner, elsewhere),
                Tongue::Http(_) => Ok(self.handle_request(runner, elsewhere)),
            };
            match next {
                Ok(Next::Frame) => {}
                Ok(Next::Wait) => return false,
                Err(_bad) => {
                    // Nothing after a broken frame can be understood. The peer sees the end of the connection.
                    self.shut_down(Counter::ClosedBroken);
                    return false;
                }
            }
        }
        true
    }

    fn handle_frame(&mut self, runner: &mut Runner, elsewhere: &mut impl Elsewhere) -> Result<Next, BadFrame> {
        if self.skip > 0 {
            let now = self.skip.min(self.inbox.waiting().len());
            self.inbox.handle(now);
            self.skip -= now;
        }
        let Some(header) = frame::peek(self.inbox.waiting())? else { return Ok(Next::Wait) };
        let body_len = header.body_len as usize;
        if body_len > self.body_max() {
            return self.refuse_body(header, runner);
        }
        if self.inbox.waiting().len() < FRAME_HEADER + body_len {
            self.inbox.expect(FRAME_HEADER + body_len);
            return Ok(Next::Wait);
        }
        let body_ends = FRAME_HEADER + body_len;
        match (self.stage, header.kind) {
            (Stage::Greeting | Stage::Closing, Kind::Hello) if !self.greeted => self.greet(body_ends, runner),
            (Stage::Serving | Stage::Closing, Kind::Call { id, method, codec, left_us }) if self.greeted => {
                let now_ns = now_ns();
                if self.is_late(left_us, now_ns) {
                    let text = "the deadline passed before it started";
                    self.refuse(id, method, &Failure::not_started(Code::DeadlineExceeded, text), runner);
                } else {
                    runner.timing.frame(self.arrived_ns, now_ns);
                    self.call(id, method, codec, body_ends, runner, elsewhere);
                }
            }
            // Handlers run one after the other here: what a client cancels has run by then, or will not be read.
            (Stage::Serving | Stage::Closing, Kind::Cancel { .. } | Kind::Goodbye) => {}
            _ => return Err(BadFrame::Reserved),
        }
        self.inbox.handle(body_ends);
        Ok(Next::Frame)
    }

    /// Whether a call waited here for longer than it had left. It is taken to have come with the latest bytes, so the
    /// error is on the caller's side: a call is rather begun too late than refused too early.
    fn is_late(&self, left_us: u64, now_ns: u64) -> bool {
        let left_us = if left_us == 0 { self.settings.deadline_us } else { left_us };
        now_ns.saturating_sub(self.arrived_ns) > left_us.saturating_mul(1_000)
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
        self.inbox.handle(FRAME_HEADER);
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
        id: CallId,
        method: MethodId,
        codec: Codec,
        body_ends: usize,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
    ) {
        let Some(index) = runner.contract().index_of(method) else {
            let text = format!("this service has no method with the id {:016x}", method.0);
            return self.refuse(id, method, &Failure::not_started(Code::Unimplemented, text), runner);
        };
        let body = &self.inbox.waiting()[FRAME_HEADER..body_ends];
        match runner.take_arguments(body.len(), self.settings.message_max) {
            Ok(arguments) => arguments.copy_from_slice(body),
            Err(failure) => return self.refuse(id, method, &failure, runner),
        }
        let room = Room { limit: self.settings.message_max, window: None };
        log::serve(log::Call::Frame(id));
        runner.run(index, (codec, Arguments::Copied), room, elsewhere);
        let status = runner.reply.status();
        frame::append(&mut self.outbox, Kind::Reply { id, status }, runner.reply.body());
        runner.answered(index, Counter::TcpCalls, status);
    }

    /// Answers a call that does not reach its handler.
    fn refuse(&mut self, id: CallId, method: MethodId, failure: &Failure, runner: &Runner) {
        let status = Status::Failed(failure.code, failure.outcome);
        frame::append(&mut self.outbox, Kind::Reply { id, status }, failure.wire_text().as_bytes());
        runner.meter.refused(runner.contract().index_of(method), Counter::TcpCalls, failure);
    }

    fn flush(&mut self, driver: &mut dyn Driver) {
        if !self.sending && !self.outbox.is_empty() && !self.has_ended() {
            self.sending = true;
            let buffer = std::mem::replace(&mut self.outbox, std::mem::take(&mut self.spare));
            driver.send(&self.socket, self.tag, Outgoing::Frames(buffer));
        }
        if !self.sending && self.outbox.is_empty() {
            match self.stage {
                Stage::Refused => self.shut_down(Counter::ClosedRefused),
                Stage::Closing => self.shut_down(Counter::ClosedByPeer),
                Stage::Parting(_) => super::half_close(&self.socket),
                Stage::Greeting | Stage::Serving | Stage::Ended(_) => {}
            }
        }
    }

    /// Stops receiving from a peer that sends more than it lets us answer, and goes on when there is room again.
    fn regulate(&mut self, driver: &mut dyn Driver) {
        if !matches!(self.stage, Stage::Greeting | Stage::Serving | Stage::Parting(_)) {
            return;
        }
        let full = self.inbox.waiting().len() > unhandled(self.settings.message_max);
        if full && self.receiving && !self.stopping {
            self.stopping = true;
            driver.stop_receiving(self.tag);
        } else if !full && !self.receiving {
            self.start_receiving(driver);
        }
    }

    pub(super) fn say_goodbye(&mut self) {
        if self.drain_http() {
            return;
        }
        if self.stage == Stage::Serving {
            frame::append(&mut self.outbox, Kind::Goodbye, &[]);
        } else if self.stage == Stage::Greeting {
            self.shut_down(Counter::ClosedDraining);
        }
    }

    /// Whether nothing is under way: no half of a frame has come, and no reply waits.
    pub(super) fn is_quiet(&self) -> bool {
        let is_silent = self.outbox.is_empty() && !self.sending;
        is_silent && self.inbox.waiting().is_empty() && self.skip == 0 && self.is_between_requests()
    }

    /// Nothing is under way here any more.
    pub(super) fn forget(&self, driver: &mut dyn Driver) {
        driver.forget(&self.socket, self.tag);
    }

    fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    /// Ends the connection; the socket is closed when the driver has let go of it. `why` is the counter of the reason.
    pub(super) fn shut_down(&mut self, why: Counter) {
        if !self.has_ended() {
            self.stage = Stage::Ended(why);
            super::shutdown(&self.socket);
        }
    }

    /// Whether the socket can be closed, and the counter of the reason: closing it earlier would not stop the kernel's
    /// operations on it.
    pub(super) fn over(&self) -> Option<Counter> {
        match self.stage {
            Stage::Ended(why) if !self.receiving && !self.sending => Some(why),
            _ => None,
        }
    }
}

/// Errors that end a multishot receive and not the connection: no buffer was free, it was cancelled by us, or a signal
/// came.
fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::NOBUFS | Errno::CANCELED | Errno::INTR | Errno::AGAIN))
}
