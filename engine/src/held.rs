//! Replies that were larger than their callers' buffers, until they are fetched. Rule 27 of the slot protocol.

use std::collections::HashMap;

use speedysvc_protocol::ids::LinkId;
use speedysvc_protocol::status::Status;

/// Where a held reply belongs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Place {
    pub(crate) link: LinkId,
    pub(crate) slot: usize,
}

/// A reply that waits.
#[derive(Debug)]
pub(crate) struct HeldReply {
    pub(crate) status: Status,
    pub(crate) body: Vec<u8>,
    expires_ns: u64,
}

/// How long a reply waits for its fetch. A client fetches at once, or not at all.
const PATIENCE_NS: u64 = 30_000_000_000;

#[derive(Debug)]
pub(crate) struct Held {
    replies: HashMap<Place, HeldReply>,
    bytes: usize,
    bytes_max: usize,
}

impl Held {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { replies: HashMap::new(), bytes: 0, bytes_max }
    }

    /// Keeps a reply. `false` when that would take more memory than there is for all of them; those whose time is over
    /// make room first.
    pub(crate) fn keep(&mut self, place: Place, status: Status, body: &[u8], now_ns: u64) -> bool {
        self.take(place);
        if self.bytes + body.len() > self.bytes_max {
            self.drop_where(|_, reply| reply.expires_ns <= now_ns);
        }
        if self.bytes + body.len() > self.bytes_max {
            return false;
        }
        self.bytes += body.len();
        let reply = HeldReply { status, body: body.to_vec(), expires_ns: now_ns.saturating_add(PATIENCE_NS) };
        self.replies.insert(place, reply);
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    /// Hands a reply out, once.
    pub(crate) fn take(&mut self, place: Place) -> Option<HeldReply> {
        let reply = self.replies.remove(&place)?;
        self.bytes -= reply.body.len();
        Some(reply)
    }

    /// Forgets what a client that has left would have fetched.
    pub(crate) fn forget(&mut self, link: LinkId) {
        self.drop_where(|place, _| place.link == link);
    }

    fn drop_where(&mut self, unwanted: impl Fn(&Place, &HeldReply) -> bool) {
        let gone: Vec<Place> =
            self.replies.iter().filter(|(place, reply)| unwanted(place, reply)).map(|(place, _)| *place).collect();
        for place in gone {
            self.take(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(link: u64, slot: usize) -> Place {
        Place { link: LinkId(link), slot }
    }

    #[test]
    fn replies_are_bounded_together_and_handed_out_once() {
        let mut held = Held::new(100);
        assert!(held.keep(place(1, 0), Status::Ok, &[1; 60], 0));
        assert!(!held.keep(place(1, 1), Status::Ok, &[1; 41], 0));
        assert!(held.keep(place(1, 1), Status::Ok, &[1; 40], 0));
        assert_eq!(held.take(place(1, 0)).unwrap().body.len(), 60);
        assert!(held.take(place(1, 0)).is_none());
        assert!(held.keep(place(1, 2), Status::Ok, &[1; 60], 0));
    }

    #[test]
    fn the_dead_and_the_late_make_room() {
        let mut held = Held::new(100);
        assert!(held.keep(place(1, 0), Status::Ok, &[1; 100], 0));
        assert!(!held.keep(place(2, 0), Status::Ok, &[1; 1], PATIENCE_NS - 1));
        assert!(held.keep(place(2, 0), Status::Ok, &[1; 1], PATIENCE_NS));
        held.forget(LinkId(2));
        assert_eq!((held.bytes, held.replies.len()), (0, 0));
    }

    #[test]
    fn a_newer_reply_of_the_same_slot_replaces_the_older() {
        let mut held = Held::new(10);
        assert!(held.keep(place(1, 0), Status::Ok, &[1; 10], 0));
        assert!(held.keep(place(1, 0), Status::Application, &[2; 10], 0));
        assert_eq!(held.take(place(1, 0)).unwrap().status, Status::Application);
        assert_eq!(held.bytes, 0);
    }
}
