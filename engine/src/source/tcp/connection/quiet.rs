//! A connection on which nothing is under way: what must be remembered of it.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use speedysvc_protocol::context::Peer;
use speedysvc_protocol::frame::Order;
use speedysvc_protocol::shm::peer_rows::PeerRow;
use speedysvc_protocol::wire::Wire;

use super::speech::Tongue;
use super::{Connection, Settings, Stage};
use crate::driver::Tag;

/// See the module. It speaks frames, has been greeted, and is received from.
pub(in crate::source::tcp) struct Quiet {
    socket: Rc<OwnedFd>,
    tag: Tag,
    peer: Peer,
    row: PeerRow,
    wire: Wire,
    /// The calls that were taken: none is taken again because nothing was under way for a while.
    order: Order,
}

impl Quiet {
    pub(in crate::source::tcp) fn tag(&self) -> Tag {
        self.tag
    }

    /// The connection as it was.
    pub(in crate::source::tcp) fn wake(&self, settings: Settings) -> Connection {
        let mut connection = Connection::new(Rc::clone(&self.socket), (self.peer, self.row), self.tag, settings);
        connection.stage = Stage::Serving;
        connection.tongue = Tongue::Native;
        (connection.greeted, connection.receiving) = (true, true);
        connection.wire = self.wire;
        connection.order = self.order;
        connection
    }
}

impl Connection {
    /// What must be remembered of this connection, when nothing is under way on it and it speaks frames.
    pub(in crate::source::tcp) fn quiet(&self) -> Option<Quiet> {
        let serves = self.stage == Stage::Serving && self.greeted && matches!(self.tongue, Tongue::Native);
        let listens = self.receiving && !self.stopping && !self.waits && !self.dirty;
        let is_quiet = serves && listens && self.trace.is_none() && self.is_quiet();
        let Self { tag, peer, row, wire, order, .. } = *self;
        is_quiet.then(|| Quiet { socket: Rc::clone(&self.socket), tag, peer, row, wire, order })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::RECEIVE_BUFFER;
    use crate::driver::Outgoing;
    use crate::meter::Meter;
    use crate::source::tcp::pool::Pool;
    use speedysvc_protocol::ids::CallId;
    use speedysvc_protocol::shm::peer_rows::Who;
    use speedysvc_protocol::shm::stats_page::create_page;
    use speedysvc_protocol::wire::Compression;

    fn served() -> Connection {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let settings = Settings { message_max: 1 << 20, deadline_us: 1_000_000, compression: None };
        let (page, _reader) = create_page().unwrap();
        let row = Meter::new(&page, 0).unwrap().peers().arrive(Who::Socket(Peer::User(7)));
        let mut connection = Connection::new(Rc::new(ours.into()), (Peer::User(7), row), Tag(1 << 16), settings);
        assert!(connection.quiet().is_none(), "it was not greeted");
        connection.stage = Stage::Serving;
        connection.tongue = Tongue::Native;
        (connection.greeted, connection.receiving) = (true, true);
        connection
    }

    #[test]
    fn what_must_be_remembered_is() {
        let mut connection = served();
        connection.wire = Wire { compression: Some(Compression::Snappy), checksum: true, trace: true };
        connection.order.took(CallId(5));
        let quiet = connection.quiet().expect("nothing is under way");
        let again = quiet.wake(connection.settings);
        assert_eq!((again.tag, again.peer, again.row), (connection.tag, connection.peer, connection.row));
        assert_eq!((again.wire, again.order.check(CallId(5)).is_err()), (connection.wire, true));
        assert!(Rc::ptr_eq(&again.socket, &connection.socket) && again.quiet().is_some());
    }

    #[test]
    fn whatever_is_under_way_keeps_it_awake() {
        let changes: [fn(&mut Connection); 8] = [
            |connection| connection.inbox.arrive(&[1], &mut Pool::default()),
            |connection| connection.outbox.push(1),
            |connection| connection.leaving.push_back(Outgoing::Frames(vec![1])),
            |connection| connection.skip = RECEIVE_BUFFER,
            |connection| connection.dirty = true,
            |connection| connection.receiving = false,
            |connection| connection.stopping = true,
            |connection| connection.stage = Stage::Closing,
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut connection = served();
            assert!(connection.quiet().is_some());
            change(&mut connection);
            assert!(connection.quiet().is_none(), "change {number}");
        }
    }
}
