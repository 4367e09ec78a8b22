//! What a peer has begun and owes us the end of.

use super::{Connection, Stage};
use crate::source::tcp::patience::Owed;

impl Connection {
    /// Whether the peer has left something undone for too long: its greeting, a frame, or taking a reply.
    pub(in crate::source::tcp) fn is_overdue(&self, now_ns: u64) -> bool {
        self.owed().is_some_and(|owed| owed.is_overdue(now_ns))
            || self.sending.is_some_and(|owed| owed.is_overdue(now_ns))
    }

    /// What the peer has begun to send.
    fn owed(&self) -> Option<Owed> {
        let half =
            self.large.is_some() || !self.inbox.waiting().is_empty() || self.skip > 0 || !self.is_between_requests();
        // Of what comes in chunks, each buys time for the next.
        let bytes = self.missing.max(self.skip).saturating_add(self.request);
        match self.stage {
            Stage::Greeting | Stage::Parting(_) => Some(Owed { bytes, since_ns: self.since_ns }),
            // Whole frames that wait for their replies to be taken are no debt of sending.
            Stage::Serving if half && !self.waits && !self.is_stuffed() && self.receiving => {
                Some(Owed { bytes, since_ns: self.since_ns })
            }
            _ => None,
        }
    }

    /// Whether anything is begun, so that it may become overdue.
    pub(in crate::source::tcp) fn owes(&self) -> bool {
        self.owed().is_some() || self.sending.is_some()
    }
}
