//! Whether a call that has come may begin, and what is said before it does.

use std::mem;

use speedysvc_protocol::context::{self, CallName, Served};
use speedysvc_protocol::frame::{self, Kind};
use speedysvc_protocol::ids::{CallId, MethodId, MethodIndex};
use speedysvc_protocol::limits::FRAME_HEADER;
use speedysvc_protocol::stats::Counter;
use speedysvc_protocol::status::{Code, Failure};

use super::native::Asked;
use super::{Connection, Settings};
use crate::beside::Way;
use crate::clock::{self, lately_ns};
use crate::dispatch::{Runner, in_vain};

/// Frames behind a call among which its CANCEL is looked for.
const LOOK_AHEAD: usize = 64;
/// A deadline that is so near is judged by a later time than that of the turn's last look at the clock. For others it
/// makes no difference: when one handler takes that long, the thread that watches over the loop says so, and the clock
/// is looked at (decision 0062).
pub(super) const NEAR_NS: u64 = 1_000_000_000;

impl Settings {
    /// When a call ends that came then and had so much left. What it waited in the socket is not known, so the error is
    /// on the caller's side: a call is rather begun too late than refused too early.
    #[inline]
    pub(super) fn deadline_ns(&self, came_ns: u64, left_us: u64) -> u64 {
        let left_us = if left_us == 0 { self.deadline_us } else { left_us };
        came_ns.saturating_add(left_us.saturating_mul(1_000))
    }
}

impl Connection {
    /// Where a call's method has its place in the service, and which way it runs; refuses one that comes too late, that
    /// would run in vain or that asks for none. Of a call in the inbox it is known where it ends there.
    pub(super) fn admit(
        &mut self,
        call: Asked,
        came_ns: u64,
        body_ends: Option<usize>,
        runner: &mut Runner,
    ) -> Option<(MethodIndex, Option<Way>)> {
        let deadline_ns = self.settings.deadline_ns(came_ns, call.left_us);
        if self.is_past(deadline_ns) {
            let late = Failure::not_started(Code::DeadlineExceeded, "the deadline passed before it started");
            self.refuse(call, &late, runner);
            return None;
        }
        if self.took_long && body_ends.is_some_and(|ends| self.is_taken_back(call.id, ends)) {
            // Nobody waits for a reply.
            runner.meter.count(Counter::Cancelled);
            return None;
        }
        let Some(index) = self.index_of(call.method, runner) else {
            let text = format!("this service has no method with the id {:016x}", call.method.0);
            self.refuse(call, &Failure::not_started(Code::Unimplemented, text), runner);
            return None;
        };
        let is_last = body_ends.is_none_or(|ends| self.inbox.waiting().len() == ends);
        let others_wait = body_ends.is_some() && (self.others_wait || !is_last);
        if others_wait && runner.is_in_vain(index, deadline_ns.saturating_sub(self.looked_ns)) {
            self.refuse(call, &in_vain(Some(came_ns), self.looked_ns), runner);
            return None;
        }
        let (alone, turn_ns) = (mem::take(&mut self.is_first) && is_last, self.turn_ns);
        runner.timing.frame(came_ns, alone, || if alone { turn_ns } else { clock::now_ns() });
        let trace = self.trace.as_deref().copied();
        context::serve(Served { call: CallName::Frame(call.id), peer: self.peer, deadline_ns, trace });
        Some((index, runner.way_of_socket(index)))
    }

    /// Whether this moment has passed. A short call is not worth a look at the exact clock, and one that has much time
    /// left not even at the kernel's last tick.
    #[inline]
    fn is_past(&mut self, moment_ns: u64) -> bool {
        if moment_ns < self.looked_ns.saturating_add(NEAR_NS) {
            self.looked_ns = self.looked_ns.max(lately_ns());
        }
        self.looked_ns > moment_ns
    }

    /// A client calls the same method again and again, mostly.
    #[inline]
    fn index_of(&mut self, method: MethodId, runner: &Runner) -> Option<MethodIndex> {
        if let Some((_, index)) = self.last_method.filter(|(last, _)| *last == method) {
            return Some(index);
        }
        let index = runner.contract().index_of(method)?;
        self.last_method = Some((method, index));
        Some(index)
    }

    /// Whether the client has taken back a call that waited: its CANCEL lies behind it. Asked only when calls may have
    /// waited for so long that somebody gave them up. Not looked for behind any number of others: what is not found
    /// runs, and nobody reads its reply.
    fn is_taken_back(&self, id: CallId, body_ends: usize) -> bool {
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
}
