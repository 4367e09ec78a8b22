//! What a connection speaks, and its part in it when that is not frames.

use speedysvc_protocol::ids::MethodIndex;
use speedysvc_protocol::stats::Counter;

use super::away::Away;
use super::{Connection, Next, Settings, Stage};
use crate::budget::{LARGE, unhandled};
use crate::clock::now_ns;
use crate::dispatch::{Elsewhere, Runner};
use crate::source::first_bytes::{Speech, TLS_REFUSAL, decide, say_once_that_tls_came};
use crate::source::http::{Arrived, Session, Step};
use crate::source::tcp::pool::Pool;

/// What is spoken here, once the first byte has decided it.
pub(super) enum Tongue {
    Undecided,
    Native,
    Http(Box<Session>),
}

impl Connection {
    /// By the first byte, once.
    pub(super) fn decide(&mut self, runner: &Runner) -> Next {
        let Some(speech) = decide(self.inbox.waiting()) else { return Next::Wait };
        match speech {
            // Whatever is none of the three breaks the rules of frames at once.
            Speech::Native | Speech::Unknown => self.tongue = Tongue::Native,
            Speech::Http => {
                let Settings { message_max, deadline_us, .. } = self.settings;
                self.tongue =
                    Tongue::Http(Box::new(Session::new(message_max, deadline_us, (self.peer, self.row), self.tag)));
                runner.meter.peers().speaks_http(self.row);
                if self.stage == Stage::Greeting {
                    self.stage = Stage::Serving;
                }
            }
            Speech::Tls => {
                say_once_that_tls_came();
                self.outbox.extend_from_slice(&TLS_REFUSAL);
                self.stage = Stage::Parting(Counter::ClosedRefused);
            }
        }
        Next::Frame
    }

    pub(super) fn handle_request(
        &mut self,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
    ) -> Next {
        let Tongue::Http(session) = &mut self.tongue else { return Next::Wait };
        if !self.away.is_empty() {
            // Answers come in the order of the requests.
            self.waits = true;
            return Next::Wait;
        }
        if session.is_quiet() {
            (self.since_ns, self.request) = (self.arrivals.next_ns(), 0);
        }
        let (used, step) = match self.large.take() {
            Some(mut large) if large.is_whole() => {
                let step = session.run(&mut large.body, large.since_ns, &mut self.outbox, runner, elsewhere);
                self.request += large.len;
                pool.keep_large(large.body);
                (0, step)
            }
            Some(large) => {
                self.large = Some(large);
                return Next::Wait;
            }
            None => {
                let arrived = Arrived { bytes: self.inbox.waiting(), at_ns: self.arrivals.next_ns() };
                session.step(&arrived, &mut self.outbox, runner, elsewhere)
            }
        };
        let is_apart = session.leaves_reply_apart();
        self.request += used;
        self.handled(used);
        if is_apart {
            self.follow_with_reply(runner, pool);
        }
        match step {
            Step::Again => Next::Frame,
            Step::Wait(whole) if whole >= LARGE => {
                self.begin_large_request(whole, pool);
                Next::Frame
            }
            Step::Wait(whole) => {
                self.missing = whole;
                self.inbox.expect(whole);
                Next::Wait
            }
            Step::Away(ticket, way) => {
                self.away.push(Away { id: None, ticket, way });
                self.waits = true;
                Next::Wait
            }
            Step::Close(why) => {
                self.stage = Stage::Parting(why);
                Next::Wait
            }
        }
    }

    /// The call that ran beside the loop is back: the runner has its reply.
    pub(super) fn answer_request(&mut self, method: MethodIndex, runner: &mut Runner, pool: &mut Pool) {
        let Tongue::Http(session) = &mut self.tongue else { return };
        let step = session.take_back(method, &mut self.outbox, runner);
        if session.leaves_reply_apart() {
            self.follow_with_reply(runner, pool);
        }
        if let (Step::Close(why), false) = (step, self.has_ended()) {
            self.stage = Stage::Parting(why);
        }
    }

    /// Tells HTTP that its next answer is the last. `false` when it is not spoken here.
    pub(super) fn drain_http(&mut self) -> bool {
        let Tongue::Http(session) = &mut self.tongue else { return false };
        session.drain();
        true
    }

    /// The peer has left something undone for too long. A request over HTTP that does not end is answered; else the
    /// connection just ends.
    pub(in crate::source::tcp) fn give_up(&mut self, runner: &Runner) {
        let begun = self.stage == Stage::Serving && self.sending.is_none() && self.outbox.is_empty();
        match &mut self.tongue {
            Tongue::Http(session) if begun => {
                session.give_up(&mut self.outbox, runner);
                self.stage = Stage::Parting(Counter::ClosedSlow);
                self.since_ns = now_ns();
            }
            _ => self.shut_down(Counter::ClosedSlow),
        }
    }

    pub(super) fn is_between_requests(&self) -> bool {
        if let Tongue::Http(session) = &self.tongue { session.is_quiet() } else { true }
    }

    /// A peer that goes on sending after the last answer is not waited for for ever.
    pub(super) fn part(&mut self) {
        if let Stage::Parting(why) = self.stage
            && self.ignored > unhandled(self.settings.message_max)
        {
            self.shut_down(why);
        }
    }
}
