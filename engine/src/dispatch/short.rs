//! Short calls: what can be left out for a method that takes no time. The accounts of those that came together and
//! differ in nothing are added up, and counted once: until then a reader of the numbers misses a few calls, whose
//! replies have not gone out either.

use std::panic::{AssertUnwindSafe, catch_unwind};

use speedysvc_protocol::contract::Runs;
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::service::{Body, Call};
use speedysvc_protocol::stats::{Counter, Untimed};
use speedysvc_protocol::status::Status;

use super::Runner;
use crate::budget::KEEP;

impl Runner {
    /// Whether this method is the service's own, runs on the loop, takes no time and gives no large replies.
    #[inline]
    pub(crate) fn is_short(&self, method: MethodIndex) -> bool {
        let index = usize::from(method.0);
        let is_here = self.runs.get(index).is_some_and(|runs| matches!(runs, Runs::OnTheLoop));
        is_here && !self.predictor.is_long(index) && !self.replies_largely(method)
    }

    /// Runs a method that [`Runner::is_short`] on an archive; as [`Runner::run`], without what such a call needs not. A
    /// byte string of at least `apart_from` bytes lies apart in the reply.
    #[inline]
    pub(crate) fn run_short(
        &mut self,
        method: MethodIndex,
        arguments: &[u8],
        (limit, apart_from): (usize, usize),
        running: impl Fn(Option<MethodIndex>),
    ) {
        let index = usize::from(method.0);
        self.reply.prepare(limit, KEEP, None);
        self.reply.let_apart(apart_from);
        let started = self.start(index);
        running(Some(method));
        let (body, scratch, reply) = (Body::Own(arguments), &mut self.scratch, &mut self.reply);
        let call = Call { codec: Codec::Rkyv, body, scratch, reply };
        // As in `call`.
        let ended = catch_unwind(AssertUnwindSafe(|| self.service.call(method, call)));
        self.end_call(ended);
        running(None);
        started.into_iter().for_each(|started| self.end(index, started));
        (self.bytes_in, self.bytes_out) = (arguments.len(), self.replied_bytes());
    }

    /// As [`Runner::answered`], but a call that went well and was not timed is only added to the others.
    #[inline]
    pub(crate) fn answered_alike(
        &mut self,
        method: MethodIndex,
        transport: Counter,
        status: Status,
        before: &mut Untimed,
    ) {
        if status != Status::Ok || self.timing.has_times() {
            self.answered(method, transport, status);
            return;
        }
        before.calls += 1;
        before.bytes_in += self.bytes_in as u64;
        before.bytes_out += self.bytes_out as u64;
        self.reply.let_go();
    }

    /// Counts what was added up.
    pub(crate) fn count_alike(&mut self, method: MethodIndex, transport: Counter, all: &Untimed) {
        if let Some(replied) = self.replied.get_mut(usize::from(method.0)) {
            *replied = self.bytes_out;
        }
        self.moved += all.bytes_in + all.bytes_out;
        self.meter.answered_alike(method, transport, all);
    }
}
