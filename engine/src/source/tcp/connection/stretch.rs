//! Short calls that came together: what sets a call apart is asked of the first; those behind it that differ in
//! nothing go through in as few steps as there can be. Most of a call's cost over a socket was in being asked again
//! (decision 0066). Whatever differs ends the stretch, and is handled as any frame.

use speedysvc_protocol::byte_string::Tail;
use speedysvc_protocol::context::{self, CallName, Served};
use speedysvc_protocol::frame;
use speedysvc_protocol::ids::{CallId, Codec, MethodIndex};
use speedysvc_protocol::limits::FRAME_HEADER;
use speedysvc_protocol::stats::{Counter, Untimed};

use super::admit::NEAR_NS;
use super::turn::TURN_NS;
use super::{Connection, Stage};
use crate::budget::LARGE;
use crate::clock::now_ns;
use crate::dispatch::{Elsewhere, Runner};
use crate::source::tcp::pool::Pool;

impl Connection {
    /// Runs calls of the method that was called last, up to so many. How many it was.
    pub(super) fn run_stretch(
        &mut self,
        most: usize,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
    ) -> usize {
        let Some((method, index)) = self.last_method.filter(|(_, index)| self.goes_straight(*index, runner)) else {
            return 0;
        };
        // One moment is known for all of these.
        let (came_ns, came) = (self.arrivals.next_ns(), self.arrivals.together());
        let end = self.inbox.waiting().len().min(came);
        let soon_ns = self.looked_ns.saturating_add(NEAR_NS);
        runner.meter.peers().set_in_flight(self.row, self.away.len() as u64 + 1);
        let (mut at, mut count, mut alike) = (0, 0, Untimed::default());
        while count < most && !self.is_stuffed() {
            let Some(call) = frame::plain_call(&self.inbox.waiting()[at..end]) else { break };
            let deadline_ns = self.settings.deadline_ns(came_ns, call.left_us);
            let is_alike = call.method == method && call.codec == Codec::Rkyv && deadline_ns > soon_ns;
            if !is_alike || call.body_len > self.settings.message_max || self.order.check(call.id).is_err() {
                break;
            }
            let Some(arguments) = pool.arguments(call.body_len) else { break };
            let begin = at + FRAME_HEADER;
            at = begin + call.body_len;
            arguments.copy_from_slice(&self.inbox.waiting()[begin..at]);
            self.order.took(call.id);
            count += 1;
            context::serve(Served { call: CallName::Frame(call.id), peer: self.peer, deadline_ns, trace: None });
            runner.timing.frame(came_ns, false, now_ns);
            let limits = (self.settings.message_max, 0);
            runner.run_short(index, arguments, limits, |method| elsewhere.running(method));
            self.answer_short(call.id, index, &mut alike, runner, pool);
            if runner.timing.ended_ns().saturating_sub(self.turn_ns) > TURN_NS || runner.was_held_up() {
                break;
            }
        }
        self.handled(at);
        if alike.calls > 0 {
            runner.count_alike(index, Counter::TcpCalls, &alike);
        }
        runner.meter.peers().called(self.row, count as u64);
        count
    }

    /// Whether a call of this method that came now, with others and with much time left, would need nothing else than
    /// to be run.
    fn goes_straight(&self, index: MethodIndex, runner: &Runner) -> bool {
        let is_served = self.greeted && self.stage == Stage::Serving && self.large.is_none() && self.skip == 0;
        let is_simple = self.is_plain() && self.trace.is_none();
        let is_new = !self.is_first && !self.took_long;
        is_served && is_simple && is_new && runner.is_short(index)
    }

    /// A byte string goes from where its method left it.
    #[inline]
    fn answer_short(
        &mut self,
        id: CallId,
        index: MethodIndex,
        alike: &mut Untimed,
        runner: &mut Runner,
        pool: &mut Pool,
    ) {
        let bytes = runner.reply.apart().filter(|bytes| bytes.len() < LARGE / 2);
        if let Some((bytes, tail)) = bytes.and_then(|bytes| Some((bytes, Tail::of(bytes.len())?))) {
            let status = runner.reply.status();
            frame::append_plain_byte_string(&mut self.outbox, id, status, bytes, &tail);
            runner.answered_alike(index, Counter::TcpCalls, status, alike);
            return;
        }
        runner.reply.join();
        self.answer(id, index, runner, pool);
    }
}

#[cfg(test)]
mod tests;
