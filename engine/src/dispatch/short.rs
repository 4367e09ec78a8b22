//! Short calls: what can be left out for a method that takes no time. The accounts of those that came together and
//! differ in nothing are added up, and counted once: until then a reader of the numbers misses a few calls, whose
//! replies have not gone out either.

use std::panic::{AssertUnwindSafe, catch_unwind};

use speedysvc_protocol::contract::Runs;
use speedysvc_protocol::ids::{CallId, Codec, MethodIndex};
use speedysvc_protocol::service::{Body, Call};
use speedysvc_protocol::stats::{Counter, Untimed};
use speedysvc_protocol::status::Status;

use super::Runner;
use crate::budget::{KEEP, LARGE};

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
        let started = self.start(index);
        running(Some(method));
        self.reply.let_apart(apart_from);
        self.call_short(method, arguments);
        running(None);
        started.into_iter().for_each(|started| self.end(index, started));
        (self.bytes_in, self.bytes_out) = (arguments.len(), self.replied_bytes());
    }

    #[inline]
    fn call_short(&mut self, method: MethodIndex, arguments: &[u8]) {
        let (body, scratch, reply) = (Body::Own(arguments), &mut self.scratch, &mut self.reply);
        let call = Call { codec: Codec::Rkyv, body, scratch, reply };
        // As in `call`.
        let ended = catch_unwind(AssertUnwindSafe(|| self.service.call(method, call)));
        self.end_call(ended);
    }

    /// Short calls of one method that came together begin, with arguments of at most so many bytes and such replies.
    /// Those may lie at any address.
    pub(crate) fn begin_alike(&mut self, arguments_max: usize, limit: usize) {
        self.reply.prepare(limit, KEEP, None);
        self.scratch.trim(KEEP);
        self.scratch.set_limit(arguments_max);
    }

    /// Runs one of them. Its reply goes behind the frames that were given for that, unless it is large; then nothing is
    /// told of its length.
    #[inline]
    pub(crate) fn run_alike(&mut self, method: MethodIndex, id: CallId, arguments: &[u8]) -> Option<usize> {
        self.reply.prepare_another();
        self.reply.let_straight(id, LARGE / 2);
        self.call_short(method, arguments);
        self.reply.go_straight(id, LARGE)
    }

    /// How many of the next ones are run without a look at the clock.
    #[inline]
    pub(crate) fn untimed(&self, method: MethodIndex) -> u32 {
        self.timing.untimed_frames().min(self.predictor.untimed(usize::from(method.0)))
    }

    /// So many have been.
    #[inline]
    pub(crate) fn ran_untimed(&mut self, method: MethodIndex, calls: u32) {
        self.timing.came_together(calls);
        self.predictor.ran_untimed(usize::from(method.0), calls);
    }

    /// One begins that is timed, and came then, alone or with others. When it began.
    pub(crate) fn begin_timed(
        &mut self,
        method: MethodIndex,
        (came_ns, alone): (u64, bool),
        clock: impl FnOnce() -> u64,
    ) -> Option<u64> {
        self.timing.frame(came_ns, alone, clock);
        self.start(usize::from(method.0))
    }

    /// It is over, and counted but for its times.
    pub(crate) fn end_timed(&mut self, method: MethodIndex, started_ns: u64) {
        self.end(usize::from(method.0), started_ns);
        self.timing.take().into_iter().for_each(|times| self.meter.timed(method, &times));
    }

    /// As [`Runner::answered`] for one of them, with so many bytes of arguments and reply; but a call that went well is
    /// only added to the others.
    #[inline]
    pub(crate) fn answered_alike(
        &mut self,
        method: MethodIndex,
        transport: Counter,
        (bytes_in, bytes_out): (usize, usize),
        others: &mut Untimed,
    ) {
        (self.bytes_in, self.bytes_out) = (bytes_in, bytes_out);
        let status = self.reply.status();
        if status != Status::Ok {
            self.answered(method, transport, status);
            return;
        }
        others.calls += 1;
        others.bytes_in += bytes_in as u64;
        others.bytes_out += bytes_out as u64;
    }

    /// Counts what was added up.
    pub(crate) fn count_alike(&mut self, method: MethodIndex, transport: Counter, all: &Untimed) {
        if let Some(replied) = self.replied.get_mut(usize::from(method.0)) {
            *replied = self.bytes_out;
        }
        self.moved += all.bytes_in + all.bytes_out;
        self.meter.answered_alike(method, transport, all);
    }

    /// One of them has a reply that does not go straight out, of arguments of so many bytes: it is answered as any is.
    #[cold]
    pub(crate) fn join_alike(&mut self, bytes_in: usize) {
        (self.bytes_in, self.bytes_out) = (bytes_in, self.replied_bytes());
    }
}
