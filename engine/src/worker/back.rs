//! What comes back: calls that ran beside the loop, and the loop itself from a long handler.

use speedysvc_protocol::ids::LinkId;
use speedysvc_protocol::stats::Counter;

use super::Worker;
use crate::beside::ReplyTo;

impl Worker {
    /// A handler took so long that others were told to look at our links; it is over. What came meanwhile has rung.
    pub(super) fn come_back(&mut self) {
        if self.watcher.has_spoken() && self.draining.is_none() {
            self.links.say_again();
            self.rang = true;
            self.runner.meter.count(Counter::Overdue);
        }
    }

    /// Phase: calls that ran beside the loop are back, and their callers are answered.
    pub(super) fn take_back(&mut self) -> bool {
        let worked = self.runner.beside.has_done();
        while let Some(back) = self.runner.take_back() {
            match back.to {
                ReplyTo::Slot { .. } => self.links.take_back(&back, &mut self.runner, self.now_ns),
                ReplyTo::Frame { tag, .. } | ReplyTo::Http { tag } => {
                    self.connections.take_back(tag, &back, &mut self.runner);
                }
            }
        }
        worked
    }

    /// A link rang: something is to be claimed there, or its client has given up what is away.
    pub(super) fn hear_link(&mut self, link: LinkId) {
        self.runner.beside.look_for_cancels(link, false);
        if self.draining.is_none() {
            self.links.client_rang(link, self.now_ns, &self.bells);
        } else {
            self.links.look_for_fetches(link);
        }
    }
}
