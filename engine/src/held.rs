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
    uid: u32,
    expires_ns: u64,
}

/// How long a reply waits for its fetch. A client fetches at once, or not at all.
const PATIENCE_NS: u64 = 30_000_000_000;

/// Each user has a bound of its own, so that nobody's replies are refused because of what others do not fetch.
#[derive(Debug)]
pub(crate) struct Held {
    replies: HashMap<Place, HeldReply>,
    /// Bytes that are held for each user; no entry for none.
    by_user: HashMap<u32, usize>,
    user_max: usize,
}

impl Held {
    /// With so many bytes for each user.
    pub(crate) fn new(user_max: usize) -> Self {
        Self { replies: HashMap::new(), by_user: HashMap::new(), user_max }
    }

    /// Keeps a reply to a client of this user. `false` when that would take more memory than there is for all of the
    /// user's; those of them whose time is over make room first.
    pub(crate) fn keep(&mut self, place: Place, uid: u32, (status, body): (Status, &[u8]), now_ns: u64) -> bool {
        self.take(place);
        if !self.has_room(uid, body.len()) {
            self.drop_where(|_, reply| reply.uid == uid && reply.expires_ns <= now_ns);
        }
        if !self.has_room(uid, body.len()) {
            return false;
        }
        *self.by_user.entry(uid).or_default() += body.len();
        let reply = HeldReply { status, body: body.to_vec(), uid, expires_ns: now_ns.saturating_add(PATIENCE_NS) };
        self.replies.insert(place, reply);
        true
    }

    fn has_room(&self, uid: u32, bytes: usize) -> bool {
        self.by_user.get(&uid).copied().unwrap_or(0) + bytes <= self.user_max
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    /// Hands a reply out, once.
    pub(crate) fn take(&mut self, place: Place) -> Option<HeldReply> {
        let reply = self.replies.remove(&place)?;
        if let Some(bytes) = self.by_user.get_mut(&reply.uid) {
            *bytes -= reply.body.len();
            if *bytes == 0 {
                self.by_user.remove(&reply.uid);
            }
        }
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

    const UID: u32 = 1000;

    fn place(link: u64, slot: usize) -> Place {
        Place { link: LinkId(link), slot }
    }

    fn keep(held: &mut Held, place: Place, uid: u32, len: usize, now_ns: u64) -> bool {
        held.keep(place, uid, (Status::Ok, &vec![1; len]), now_ns)
    }

    #[test]
    fn replies_of_a_user_are_bounded_together_and_handed_out_once() {
        let mut held = Held::new(100);
        assert!(keep(&mut held, place(1, 0), UID, 60, 0));
        assert!(!keep(&mut held, place(2, 1), UID, 41, 0));
        assert!(keep(&mut held, place(2, 1), UID, 40, 0));
        assert_eq!(held.take(place(1, 0)).unwrap().body.len(), 60);
        assert!(held.take(place(1, 0)).is_none());
        assert!(keep(&mut held, place(1, 2), UID, 60, 0));
    }

    #[test]
    fn what_one_user_does_not_fetch_takes_no_room_from_another() {
        let mut held = Held::new(100);
        assert!(keep(&mut held, place(1, 0), UID, 100, 0));
        assert!(!keep(&mut held, place(1, 1), UID, 1, 0));
        assert!(keep(&mut held, place(2, 0), UID + 1, 100, 0));
        held.forget(LinkId(2));
        assert!(!keep(&mut held, place(1, 1), UID, 1, 0));
    }

    #[test]
    fn the_dead_and_the_late_make_room() {
        let mut held = Held::new(100);
        assert!(keep(&mut held, place(1, 0), UID, 100, 0));
        assert!(!keep(&mut held, place(2, 0), UID, 1, PATIENCE_NS - 1));
        assert!(keep(&mut held, place(2, 0), UID, 1, PATIENCE_NS));
        held.forget(LinkId(2));
        assert!(held.is_empty() && held.by_user.is_empty());
    }

    #[test]
    fn a_newer_reply_of_the_same_slot_replaces_the_older() {
        let mut held = Held::new(10);
        assert!(keep(&mut held, place(1, 0), UID, 10, 0));
        assert!(held.keep(place(1, 0), UID, (Status::Application, &[2; 10]), 0));
        assert_eq!(held.take(place(1, 0)).unwrap().status, Status::Application);
        assert!(held.by_user.is_empty());
    }
}
