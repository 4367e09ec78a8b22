//! Short calls that came together: what sets a call apart is asked of the first; those behind it that differ in
//! nothing go through in as few steps as there can be. Most of a call's cost over a socket was in being asked again
//! (decision 0066). Whatever differs ends the stretch, and is handled as any frame.

use std::mem;

use speedysvc_protocol::context::{self, CallName, Served};
use speedysvc_protocol::frame;
use speedysvc_protocol::ids::{CallId, Codec, MethodIndex};
use speedysvc_protocol::limits::FRAME_HEADER;
use speedysvc_protocol::stats::{Counter, Untimed};

use super::admit::NEAR_NS;
use super::turn::TURN_NS;
use super::{Connection, Stage};
use crate::budget::UNSENT;
use crate::clock::now_ns;
use crate::dispatch::{Elsewhere, Runner};
use crate::source::tcp::pool::Pool;

/// Most bytes of arguments: for more the way is no part of what a call takes.
const SHORT_MAX: usize = 4096;

/// Calls that were run, and the bytes of their frames.
#[derive(Default)]
pub(super) struct Stretch {
    pub(super) calls: usize,
    pub(super) bytes: usize,
}

/// What has become of calls that differ in nothing but their numbers and their arguments.
#[derive(Default)]
struct Ran {
    calls: usize,
    /// The last one has a reply that goes by another way.
    large: Option<CallId>,
    /// Others do not follow at once.
    ends: bool,
    /// Those that went well.
    well: Untimed,
}

impl Connection {
    /// As [`Connection::run_stretch`], of what is in the inbox. How many it was.
    pub(super) fn run_stretch_of_inbox(
        &mut self,
        most: usize,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
    ) -> usize {
        let inbox = mem::take(&mut self.inbox);
        let ran = self.run_stretch(inbox.waiting(), most, runner, elsewhere, pool);
        self.inbox = inbox;
        self.handled(ran.bytes);
        ran.calls
    }

    /// Runs calls of the method that was called last, up to so many, from the front of what arrived. None of these has
    /// been handled: that is left to who calls this.
    pub(super) fn run_stretch(
        &mut self,
        arrived: &[u8],
        most: usize,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
    ) -> Stretch {
        let Some((method, index)) = self.last_method.filter(|(_, index)| self.goes_straight(*index, runner)) else {
            return Stretch::default();
        };
        // One moment is known for all of these.
        let (came_ns, came) = (self.arrivals.next_ns(), self.arrivals.together());
        let end = arrived.len().min(came);
        let soon_ns = self.looked_ns.saturating_add(NEAR_NS);
        let body_max = self.settings.message_max.min(SHORT_MAX);
        runner.meter.peers().set_in_flight(self.row, self.away.len() as u64 + 1);
        runner.begin_alike(body_max, self.settings.message_max);
        let (mut at, mut count) = (0, 0);
        while count < most && !self.is_stuffed() {
            let Some(call) = frame::plain_call(&arrived[at..end]) else { break };
            let deadline_ns = self.settings.deadline_ns(came_ns, call.left_us);
            let is_alike = call.method == method && call.codec == Codec::Rkyv && deadline_ns > soon_ns;
            if !is_alike || call.body_len > body_max || self.order.check(call.id).is_err() {
                break;
            }
            context::serve(Served { call: CallName::Frame(call.id), peer: self.peer, deadline_ns, trace: None });
            let frame = FRAME_HEADER + call.body_len;
            let alone = self.is_first && at + frame == arrived.len();
            let (untimed, turn_ns) = (if alone { 0 } else { runner.untimed(index) }, self.turn_ns);
            let ran = if untimed == 0 {
                let clock = || if alone { turn_ns } else { now_ns() };
                let started_ns = runner.begin_timed(index, (came_ns, alone), clock);
                let ran = self.run_alike(&arrived[at..at + frame], frame, index, runner, elsewhere);
                started_ns.into_iter().for_each(|started_ns| runner.end_timed(index, started_ns));
                ran
            } else {
                let whole = (most - count).min(untimed as usize).saturating_mul(frame).min(end - at);
                let ran = self.run_alike(&arrived[at..at + whole], frame, index, runner, elsewhere);
                runner.ran_untimed(index, u32::try_from(ran.calls).unwrap_or(u32::MAX));
                ran
            };
            self.is_first = false;
            (at, count) = (at + ran.calls * frame, count + ran.calls);
            runner.count_alike(index, Counter::TcpCalls, &ran.well);
            if let Some(id) = ran.large {
                runner.join_alike(call.body_len);
                self.answer(id, index, runner, pool);
            }
            if ran.ends || runner.timing.ended_ns().saturating_sub(self.turn_ns) > TURN_NS {
                break;
            }
        }
        runner.meter.peers().called(self.row, count as u64);
        Stretch { calls: count, bytes: at }
    }

    /// Runs the calls that lie there in frames of so many bytes, as long as their headers are as that of the first.
    fn run_alike(
        &mut self,
        frames: &[u8],
        frame: usize,
        index: MethodIndex,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
    ) -> Ran {
        let Self { outbox, order, .. } = self;
        let (running, mut ran) = (elsewhere.running(), Ran::default());
        let Some(first) = frames.first_chunk::<FRAME_HEADER>() else { return ran };
        runner.reply.swap_frames(outbox);
        for frame in frames.chunks_exact(frame) {
            let Some((head, arguments)) = frame.split_first_chunk() else { break };
            let Some(id) = frame::another_call(head, first).filter(|id| order.check(*id).is_ok()) else { break };
            order.took(id);
            context::serve_another(CallName::Frame(id));
            running(Some(index));
            let bytes_out = runner.run_alike(index, id, arguments);
            ran.calls += 1;
            let Some(bytes_out) = bytes_out else {
                ran.large = Some(id);
                break;
            };
            runner.answered_alike(index, Counter::TcpCalls, (arguments.len(), bytes_out), &mut ran.well);
            if runner.was_held_up() || runner.reply.frames_len() > UNSENT {
                ran.ends = true;
                break;
            }
        }
        runner.reply.swap_frames(outbox);
        // Between two of them only the above was done.
        running(None);
        ran
    }

    /// Whether a call of this method that came now, with others and with much time left, would need nothing else than
    /// to be run.
    fn goes_straight(&self, index: MethodIndex, runner: &Runner) -> bool {
        let is_served = self.greeted && self.stage == Stage::Serving && self.large.is_none() && self.skip == 0;
        let is_simple = self.is_plain() && self.trace.is_none();
        is_served && is_simple && !self.took_long && runner.is_short(index)
    }
}

#[cfg(test)]
mod tests;
