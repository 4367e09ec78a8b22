//! What a connection says: replies, compressed where that was agreed and pays, and refusals.

use std::mem;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::frame::{self, BadFrame, Kind, Sent};
use speedysvc_protocol::hello::Refusal;
use speedysvc_protocol::ids::{CallId, MethodIndex};
use speedysvc_protocol::stats::Counter;
use speedysvc_protocol::status::{Code, Failure, Status};

use super::away::Away;
use super::native::Asked;
use super::{Connection, Stage};
use crate::beside::{Asks, Caller, ReplyTo, Ticket, Way};
use crate::budget::LARGE;
use crate::dispatch::{Arguments, Elsewhere, Room, Runner};
use crate::driver::Outgoing;
use crate::source::tcp::pool::Pool;

impl Connection {
    /// Runs the handler on the runner's arguments, and queues the reply; or hands the call over.
    pub(super) fn run(
        &mut self,
        call: Asked,
        (index, way): (MethodIndex, Option<Way>),
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
    ) {
        let room = Room { limit: self.settings.message_max, window: None };
        if let Some(way) = way {
            return self.send_away(call, index, way, room, runner);
        }
        runner.meter.peers().set_in_flight(self.row, self.away.len() as u64 + 1);
        runner.run(index, (call.codec, Arguments::Copied), room, elsewhere);
        self.answer(call.id, index, runner, pool);
        runner.meter.peers().called(self.row, 1);
    }

    /// Whether frames are neither compressed here nor carry checksums.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.wire.compression.is_none() && !self.wire.checksum
    }

    /// Queues the runner's reply, and counts the call: as its peer's the caller does.
    #[inline]
    pub(super) fn answer(&mut self, id: CallId, index: MethodIndex, runner: &mut Runner, pool: &mut Pool) {
        let status = runner.reply.status();
        let body = runner.reply.body();
        if self.is_plain() && body.len() < LARGE {
            frame::append_plain_reply(&mut self.outbox, id, status, body);
        } else {
            self.reply(id, status, runner, pool);
        }
        runner.answered(index, Counter::TcpCalls, status);
    }

    fn send_away(&mut self, call: Asked, index: MethodIndex, way: Way, room: Room, runner: &mut Runner) {
        let (to, came_ns) = (ReplyTo::Frame { tag: self.tag, id: call.id }, self.arrivals.next_ns());
        let asks = Asks { way, caller: Caller::of(&to), now_ns: self.turn_ns };
        let ticket = |context| Ticket::new(to, index, way, came_ns, context);
        if let Err(full) = runner.admit(&asks, runner.arguments.as_slice().len(), room.limit) {
            return self.refuse(call, &full.into(), runner);
        }
        let ticket = runner.send_away((call.codec, Arguments::Copied), room, ticket);
        self.away.push(Away { id: Some(call.id), ticket, way });
    }

    /// Queues a reply that may be compressed, checked or large. A large body leaves from where it lies.
    #[inline(never)]
    fn reply(&mut self, id: CallId, status: Status, runner: &mut Runner, pool: &mut Pool) {
        let (kind, body) = (Kind::Reply { id, status }, runner.reply.body());
        let packed = self.wire.compression.and_then(|how| pool.pack(how, body, &runner.meter));
        let sent = match &packed {
            Some(packed) => Sent { bytes: packed.as_slice(), full_len: body.len() },
            None => Sent::plain(body),
        };
        if sent.bytes.len() < LARGE {
            frame::append_sent(&mut self.outbox, kind, sent, self.wire.checksum);
            packed.into_iter().for_each(|packed| pool.keep_large(packed));
            return;
        }
        self.outbox.extend_from_slice(&frame::head(kind, sent, self.wire.checksum));
        match packed {
            Some(packed) => self.follow(packed, pool),
            None => self.follow_with_reply(runner, pool),
        }
    }

    /// The runner's reply goes out behind what is in the outbox, from where it lies.
    pub(super) fn follow_with_reply(&mut self, runner: &mut Runner, pool: &mut Pool) {
        let body = runner.reply.replace_body(pool.large(self.settings.message_max));
        self.follow(body, pool);
    }

    fn follow(&mut self, body: Buffer, pool: &mut Pool) {
        self.leaving.push_back(Outgoing::Frames(mem::replace(&mut self.outbox, pool.small())));
        self.leaving.push_back(Outgoing::Body(body));
    }

    /// Answers a call that does not reach its handler.
    pub(super) fn refuse(&mut self, call: Asked, failure: &Failure, runner: &Runner) {
        let status = failure.status();
        let (kind, text) = (Kind::Reply { id: call.id, status }, failure.wire_text());
        frame::append_sent(&mut self.outbox, kind, Sent::plain(text.as_bytes()), self.wire.checksum);
        runner.meter.refused(runner.contract().index_of(call.method), Counter::TcpCalls, self.row, status);
    }

    pub(super) fn say<T: serde::Serialize>(&mut self, kind: Kind, message: &T) {
        let text = serde_json::to_vec(message).expect("messages of ours have a JSON form");
        frame::append_sent(&mut self.outbox, kind, Sent::plain(&text), self.wire.checksum);
    }

    /// Nothing after a broken frame can be understood. A peer of another version, one that counts wrongly, or one whose
    /// words were changed on their way, is told so; any other one sees the end of the connection.
    pub(super) fn end_for(&mut self, bad: BadFrame) {
        let (code, why) = match bad {
            BadFrame::Version(_) => (Code::FailedPrecondition, Counter::ClosedRefused),
            BadFrame::Order { .. } => (Code::InvalidArgument, Counter::ClosedBroken),
            bad if bad.is_corrupt() => (Code::DataLoss, Counter::ClosedCorrupt),
            _ => return self.shut_down(Counter::ClosedBroken),
        };
        // What came behind it is thrown away, too.
        self.handled(self.inbox.waiting().len());
        self.say(Kind::Refused, &Refusal::new(code, bad.to_string()));
        self.stage = Stage::Parting(why);
    }
}
