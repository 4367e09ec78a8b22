//! One HTTP connection: requests to calls, replies to answers, one after the other in the order of their coming.

use std::mem;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::context::{self, CallName, Peer, Served};
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::shm::peer_rows::PeerRow;
use speedysvc_protocol::stats::Counter;
use speedysvc_protocol::status::{Code, Failure, Outcome, Status};
use speedysvc_protocol::trace::TraceContext;

use super::head::{Body, Head, Method};
use super::pages::page;
use super::reader::{Event, Reader};
use super::refusal::Refusal;
use super::reply::{self, Date, Manner};
use super::routes::Place;
use crate::beside::{Asks, Caller, ReplyTo, Ticket, TicketId, Way};
use crate::budget::LARGE;
use crate::clock::now_ns;
use crate::dispatch::{Arguments, Elsewhere, Room, Runner};
use crate::driver::Tag;

/// How much later than a client of ours one over HTTP is back: it sleeps while it waits, must be woken, and reads and
/// writes a head. With hyper's client 25 to 45 us pass, at which the loop had mostly just gone to sleep.
const BACK_LATER_NS: u64 = 60_000;

pub(crate) struct Session {
    reader: Reader,
    answers: Answers,
}

/// What has arrived on the connection.
pub(crate) struct Arrived<'a> {
    pub(crate) bytes: &'a [u8],
    /// When the latest of them came.
    pub(crate) at_ns: u64,
}

/// What to do after a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Again,
    /// More must arrive: so many bytes in all, if that is known.
    Wait(usize),
    /// The call runs beside the loop; nothing more is to be handled until it is back.
    Away(TicketId, Way),
    /// Answer what is in the outbox and end the connection, for the reason that this counts.
    Close(Counter),
}

/// The answering half.
struct Answers {
    message_max: usize,
    deadline_us: u64,
    peer: Peer,
    /// Where it is counted what passes.
    row: PeerRow,
    tag: Tag,
    /// The call whose body is coming.
    call: Option<Asked>,
    /// How the call is to be answered that runs beside the loop.
    away: Option<Manner>,
    /// The body of the last answer is the runner's reply, and not in the outbox.
    apart: bool,
    date: Date,
    draining: bool,
}

/// A call without its body.
#[derive(Clone, Copy)]
struct Asked {
    method: MethodIndex,
    left_us: u64,
    trace: Option<TraceContext>,
    manner: Manner,
}

impl Session {
    pub(crate) fn new(message_max: usize, deadline_us: u64, (peer, row): (Peer, PeerRow), tag: Tag) -> Self {
        let (call, away, apart, date, draining) = (None, None, false, Date::default(), false);
        let answers = Answers { message_max, deadline_us, peer, row, tag, call, away, apart, date, draining };
        Self { reader: Reader::new(message_max), answers }
    }

    /// The next answer is the last.
    pub(crate) fn drain(&mut self) {
        self.answers.draining = true;
    }

    /// Whether the runner's reply, as it is, is to follow what is in the outbox. Asked behind each step, and told once.
    pub(crate) fn leaves_reply_apart(&mut self) -> bool {
        mem::take(&mut self.answers.apart)
    }

    /// Whether no request has begun.
    pub(crate) fn is_quiet(&self) -> bool {
        self.reader.is_between()
    }

    /// The request that has begun does not end: says so (RFC 9110, section 15.5.9). It is the last answer.
    pub(crate) fn give_up(&mut self, out: &mut Vec<u8>, runner: &Runner) {
        let method = self.answers.call.take().map(|call| call.method);
        let manner = Manner { close: true, ..Manner::default() };
        self.answers.refuse(&Refusal::too_slow(), method, manner, out, runner);
    }

    /// The call that ran beside the loop is back: the runner has its reply.
    pub(crate) fn take_back(&mut self, method: MethodIndex, out: &mut Vec<u8>, runner: &mut Runner) -> Step {
        let Some(manner) = self.answers.away.take() else { return Step::Again };
        // The drain may have begun meanwhile.
        let manner = Manner { close: manner.close || self.answers.draining, ..manner };
        self.answers.finish(method, manner, out, runner)
    }

    /// The body that was waited for has arrived, apart, and began to at this time.
    pub(crate) fn run(
        &mut self,
        body: &mut Buffer,
        since_ns: u64,
        out: &mut Vec<u8>,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
    ) -> Step {
        self.reader.took_body();
        mem::swap(&mut runner.arguments, body);
        let step = self.answers.run(since_ns, out, runner, elsewhere);
        mem::swap(&mut runner.arguments, body);
        step
    }

    /// Handles the next piece of what has arrived: how many bytes are done with, and what to do.
    pub(crate) fn step(
        &mut self,
        arrived: &Arrived<'_>,
        out: &mut Vec<u8>,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
    ) -> (usize, Step) {
        let Self { reader, answers } = self;
        let (used, event) = match reader.next(arrived.bytes) {
            Ok(found) => found,
            Err(refusal) => {
                answers.refuse(&refusal, None, Manner { close: true, ..Manner::default() }, out, runner);
                return (arrived.bytes.len(), Step::Close(Counter::ClosedBroken));
            }
        };
        let step = match event {
            Event::Wait(whole) => Step::Wait(whole),
            Event::Nothing => Step::Again,
            Event::Body(body) => match runner.take_arguments(body.len(), answers.message_max) {
                Ok(arguments) => {
                    arguments.copy_from_slice(body);
                    answers.run(arrived.at_ns, out, runner, elsewhere)
                }
                Err(failure) => answers.too_large(&Refusal::of(failure), false, out, runner),
            },
            Event::TooLarge => answers.too_large(&Refusal::too_large(None, answers.message_max), false, out, runner),
            Event::Head(head) => {
                let (body, expects) = (head.body, head.expects && arrived.bytes.len() == used);
                match answers
                    .begin(&head, out, runner)
                    .map_or_else(|| reader.accept(body).map(|()| None), |s| Ok(Some(s)))
                {
                    Ok(Some(answered)) => answered,
                    Ok(None) => {
                        if expects {
                            reply::append_continue(out);
                        }
                        Step::Again
                    }
                    Err(refusal) => answers.too_large(&refusal, expects, out, runner),
                }
            }
        };
        (used, step)
    }
}

impl Answers {
    /// A request begins. `None` when it is a call, whose body is wanted; else it has been answered.
    fn begin(&mut self, head: &Head<'_>, out: &mut Vec<u8>, runner: &Runner) -> Option<Step> {
        let manner = Manner {
            // Whether a body still comes is not known when its sender hears an answer instead of "continue".
            close: head.close || self.draining || (head.expects && head.body != Body::Length(0)),
            is_1_0: head.is_1_0,
            headless: head.method == Method::Head,
        };
        let place = match Place::find(head.path, runner.contract()) {
            Ok(place) => place,
            Err(refusal) => return Some(self.refuse(&refusal, None, manner, out, runner)),
        };
        let method = if let Place::Call(method) = place { Some(method) } else { None };
        if let Err(refusal) = place.takes(head) {
            return Some(self.refuse(&refusal, method, manner, out, runner));
        }
        if let (Some(method), Method::Post) = (method, head.method) {
            let manner = Manner { close: head.close || self.draining, ..manner };
            self.call = Some(Asked { method, left_us: head.left_us, trace: head.trace, manner });
            return None;
        }
        if head.method == Method::Options {
            let allow = format!("Allow: {}\r\n", place.allows());
            reply::append_empty(out, 204, &allow, manner, &mut self.date);
        } else {
            let content = page(place, runner.spec());
            reply::append(out, 200, "", &[&content], manner, &mut self.date);
        }
        Some(self.after(manner))
    }

    /// The call's body is among the runner's arguments.
    fn run(&mut self, arrived_ns: u64, out: &mut Vec<u8>, runner: &mut Runner, elsewhere: &mut impl Elsewhere) -> Step {
        let Some(Asked { method, left_us, trace, manner }) = self.call.take() else { return Step::Again };
        // The drain may have begun behind the head.
        let manner = Manner { close: manner.close || self.draining, ..manner };
        let (deadline_ns, now_ns) = (self.deadline_ns(left_us, arrived_ns), now_ns());
        if now_ns > deadline_ns {
            let late = Failure::not_started(Code::DeadlineExceeded, "the deadline passed before it started");
            return self.refuse(&Refusal::of(late), Some(method), manner, out, runner);
        }
        runner.timing.frame(arrived_ns, true, || now_ns);
        context::serve(Served { call: CallName::Http, peer: self.peer, deadline_ns, trace });
        let room = Room { limit: self.message_max, window: None };
        if let Some(way) = runner.way_of_socket(method) {
            let to = ReplyTo::Http { tag: self.tag };
            let asks = Asks { way, caller: Caller::of(&to), now_ns };
            let ticket = |context| Ticket::new(to, method, way, arrived_ns, context);
            if let Err(full) = runner.admit(&asks, runner.arguments.as_slice().len(), self.message_max) {
                return self.refuse(&Refusal::of(full.into()), Some(method), manner, out, runner);
            }
            self.away = Some(manner);
            return Step::Away(runner.send_away((Codec::Json, Arguments::Copied), room, ticket), way);
        }
        runner.meter.peers().set_in_flight(self.row, 1);
        runner.run(method, (Codec::Json, Arguments::Copied), room, elsewhere);
        self.finish(method, manner, out, runner)
    }

    /// Answers with the runner's reply.
    fn finish(&mut self, method: MethodIndex, manner: Manner, out: &mut Vec<u8>, runner: &mut Runner) -> Step {
        let status = runner.reply.status();
        self.answer(status, runner.reply.body(), manner, out);
        runner.answered(method, Counter::HttpCalls, status);
        runner.back_later(BACK_LATER_NS);
        runner.meter.peers().called(self.row, 1);
        self.after(manner)
    }

    /// As for frames: a call is rather begun too late than refused too early.
    fn deadline_ns(&self, left_us: u64, arrived_ns: u64) -> u64 {
        let left_us = if left_us == 0 { self.deadline_us } else { left_us };
        arrived_ns.saturating_add(left_us.saturating_mul(1_000))
    }

    fn answer(&mut self, status: Status, body: &[u8], manner: Manner, out: &mut Vec<u8>) {
        let date = &mut self.date;
        match status {
            Status::Ok if body.len() >= LARGE && !manner.headless => {
                reply::append_head(out, 200, "", body.len(), manner, date);
                self.apart = true;
            }
            Status::Ok => reply::append(out, 200, "", &[body], manner, date),
            Status::Application => {
                let before: &[u8] = br#"{"code":"APPLICATION","outcome":"done","error":"#;
                reply::append(out, 422, "", &[before, body, b"}"], manner, date);
            }
            Status::Failed(code, outcome) => {
                let refusal = Refusal::of(Failure::from_wire(code, outcome, body));
                reply::append_refusal(out, &refusal, manner, date);
            }
            Status::Later(code, after) => {
                let failure = Failure::from_wire(code, Outcome::NotStarted, body).later(after);
                reply::append_refusal(out, &Refusal::of(failure), manner, date);
            }
            Status::Need => unreachable!("there is no window over HTTP"),
        }
    }

    /// The body is over the limit, and is thrown away if it comes.
    fn too_large(&mut self, refusal: &Refusal, expects: bool, out: &mut Vec<u8>, runner: &Runner) -> Step {
        let Some(Asked { method, manner, .. }) = self.call.take() else { return Step::Again };
        let manner = Manner { close: manner.close || expects, ..manner };
        self.refuse(refusal, Some(method), manner, out, runner)
    }

    /// Answers a request that does not reach a handler.
    fn refuse(
        &mut self,
        refusal: &Refusal,
        method: Option<MethodIndex>,
        manner: Manner,
        out: &mut Vec<u8>,
        runner: &Runner,
    ) -> Step {
        reply::append_refusal(out, refusal, manner, &mut self.date);
        runner.meter.refused(method, Counter::HttpCalls, self.row, refusal.failure.status());
        self.after(manner)
    }

    fn after(&self, manner: Manner) -> Step {
        match manner.close {
            false => Step::Again,
            true if self.draining => Step::Close(Counter::ClosedDraining),
            true => Step::Close(Counter::ClosedByPeer),
        }
    }
}
