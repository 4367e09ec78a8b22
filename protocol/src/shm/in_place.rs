//! Large requests, read where their clients wrote them, without a copy: of clients that are trusted not to touch them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::segment::Segment;
use super::window::Window;

/// Whose large requests a service reads in place.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Those of its own user and of root: they could change the memory of its workers anyway.
    #[default]
    SameUser,
    /// Nobody's: all requests are copied before they are looked at.
    Never,
}

impl Trust {
    /// Whether the client of this user is trusted by a service that runs as `own`; both as the kernel tells them.
    #[must_use]
    pub fn of(self, client: u32, own: u32) -> Option<Trusted> {
        (self == Self::SameUser && (client == own || client == 0)).then_some(Trusted(()))
    }
}

/// That a client does not write to a request, or to its buffer, between publishing it and the reply. Such a client
/// could trace this process, so what it can do beyond its own link's memory it could do without us.
#[derive(Clone, Copy, Debug)]
pub struct Trusted(());

/// A claimed request's buffer, as long as it is read.
#[derive(Debug)]
pub struct InPlace {
    segment: Arc<Segment>,
    offset: u64,
    capacity: usize,
    len: usize,
}

impl InPlace {
    /// `capacity` bytes at `offset` of a segment which has them, of which the first `len` are the request.
    pub(super) fn new(_: Trusted, segment: Arc<Segment>, offset: u64, capacity: usize, len: usize) -> Self {
        Self { segment, offset, capacity, len }
    }

    /// The request.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: nobody writes these bytes while the slice lives. Not their client: a `Trusted` was given for it. No
        // other process: only who has the claim writes into a request's buffer. And not this one, which has the claim:
        // it writes there through the window that takes this value's place, or after this value has gone; the slice
        // borrows from it.
        unsafe { self.segment.slice(self.offset, self.len) }
    }

    /// Ends the reading: the buffer as a place for the reply.
    #[must_use]
    pub fn into_window(self) -> Window {
        Window::new(self.segment, self.offset, self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Sink;
    use crate::shm::layout::{Geometry, Grant};
    use crate::shm::link::{ClientLink, LinkFiles, WorkerLink};

    #[test]
    fn only_who_could_trace_us_is_trusted_and_nobody_if_so_said() {
        for (trust, client, own, expected) in [
            (Trust::SameUser, 7, 7, true),
            (Trust::SameUser, 0, 7, true),
            (Trust::SameUser, 7, 0, false),
            (Trust::SameUser, 8, 7, false),
            (Trust::Never, 7, 7, false),
            (Trust::Never, 0, 0, false),
        ] {
            assert_eq!(trust.of(client, own).is_some(), expected, "{trust:?}: {client} at {own}");
        }
    }

    #[test]
    fn a_request_is_read_where_it_lies_and_the_reply_goes_over_it() {
        let geometry = Geometry::new(1, 1 << 14).unwrap();
        let files = LinkFiles::create(geometry).unwrap();
        let client = ClientLink::map(geometry, &files.request, &files.reply_read_only).unwrap();
        let worker = WorkerLink::map(geometry, &files.request, &files.reply).unwrap();
        let grant = Grant { offset: 64, capacity: 256 };
        client.copy_in(grant, b"a request");
        let trusted = Trust::SameUser.of(1, 1).unwrap();
        let place = worker.in_place(trusted, grant, 9, 1 << 20);
        assert_eq!(place.bytes(), b"a request");
        let mut window = place.into_window();
        window.append(b"the reply").unwrap();
        assert!(window.append(&[0; 256]).is_err(), "beyond the buffer");
        let mut reply = [0; 9];
        client.copy_out(grant, &mut reply);
        assert_eq!(&reply, b"the reply");
    }
}
