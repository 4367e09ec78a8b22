//! Calls of a connection that run beside the loop.

use speedysvc_protocol::ids::CallId;

use super::Connection;
use crate::beside::{ReplyTo, Ticket, TicketId, Way};
use crate::dispatch::Runner;
use crate::source::tcp::pool::Pool;

/// A call that runs beside the loop.
pub(super) struct Away {
    /// HTTP has none, and one call at a time.
    pub(super) id: Option<CallId>,
    pub(super) ticket: TicketId,
    pub(super) way: Way,
}

impl Connection {
    /// Whether a call that is to run so must wait until another of this connection is back: of those that run one at a
    /// time each connection has one away, so that they take turns.
    pub(super) fn must_wait(&self, way: Option<Way>) -> bool {
        way == Some(Way::InTurn) && self.away.iter().any(|away| away.way == Way::InTurn)
    }

    /// The client waits for this call no more.
    pub(super) fn cancel(&self, id: CallId, runner: &Runner) {
        let cancelled = self.away.iter().filter(|away| away.id == Some(id));
        cancelled.for_each(|away| runner.beside.cancel(away.ticket));
    }

    /// A call that ran beside the loop is back: the runner has its reply.
    pub(in crate::source::tcp) fn take_back(&mut self, back: &Ticket, runner: &mut Runner, pool: &mut Pool) {
        match back.to {
            ReplyTo::Frame { id, .. } => {
                self.away.retain(|away| away.id != Some(id) || away.way != back.way);
                self.answer(id, back.method, runner, pool);
                runner.meter.peers().called(self.row, 1);
            }
            ReplyTo::Http { .. } => {
                self.away.clear();
                self.answer_request(back.method, runner, pool);
            }
            ReplyTo::Slot { .. } => {}
        }
    }

    /// The connection has ended: nobody waits for what is away.
    pub(in crate::source::tcp) fn forget_away(&self, runner: &Runner) {
        self.away.iter().for_each(|away| runner.beside.cancel(away.ticket));
    }
}
