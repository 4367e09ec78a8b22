//! One TCP connection: greeting, calls, replies, end.

mod admit;
mod answers;
mod arriving;
mod away;
mod debts;
mod large;
mod native;
mod quiet;
mod speech;
mod stretch;
mod turn;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use speedysvc_protocol::context::Peer;
use speedysvc_protocol::frame::{self, Kind, Order, Sent};
use speedysvc_protocol::ids::{MethodId, MethodIndex};
use speedysvc_protocol::shm::peer_rows::PeerRow;
use speedysvc_protocol::stats::Counter;
use speedysvc_protocol::trace::TraceContext;
use speedysvc_protocol::wire::{Compression, Wire};

use super::arrivals::Arrivals;
use super::patience::Owed;
use super::pool::Pool;
use super::receive_buffer::ReceiveBuffer;
use crate::budget::{RECEIVE_BUFFER, UNSENT, unhandled};
use crate::clock::{lately_ns, now_ns};
use crate::dispatch::{Elsewhere, Runner};
use crate::driver::{Chunk, Driver, Outgoing, Tag};
use away::Away;
use large::Large;
pub(super) use quiet::Quiet;
use speech::Tongue;

/// What all connections of a service share.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) message_max: usize,
    pub(crate) deadline_us: u64,
    /// What is agreed with clients that offer it.
    pub(crate) compression: Option<Compression>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The first frame must be a HELLO.
    Greeting,
    /// Calls come and replies go.
    Serving,
    /// The greeting was refused: that is sent, and nothing more is read.
    Refused,
    /// The peer sends no more: what it has asked is answered.
    Closing,
    /// The last answer is said, for the reason that this counts. What the peer still sends is thrown away until it
    /// closes too: ending at once could take the answer away from it (RFC 9112, section 9.6).
    Parting(Counter),
    /// Shut down, for the reason that this counts; operations under way are ending.
    Ended(Counter),
}

pub(super) struct Connection {
    socket: Rc<OwnedFd>,
    peer: Peer,
    /// Where it is counted what passes.
    row: PeerRow,
    tag: Tag,
    settings: Settings,
    stage: Stage,
    tongue: Tongue,
    /// The handshake is done.
    greeted: bool,
    /// How frames are, since then.
    wire: Wire,
    /// Which the next call belongs to. In a box, as most connections never hear of one.
    trace: Option<Box<TraceContext>>,
    inbox: ReceiveBuffer,
    /// What came last, where the driver received it: nothing else waits then. Not for longer than until the next turn
    /// here, as the driver has few of these.
    held: Option<Chunk>,
    /// When what is in it came.
    arrivals: Arrivals,
    /// The calls that were taken.
    order: Order,
    /// The body that is arriving, when it is too large for the inbox.
    large: Option<Box<Large>>,
    /// Bytes that what is in the inbox needs to be whole; 0 while there is something to handle.
    missing: usize,
    /// Bytes of a refused body that are still to come, and are thrown away.
    skip: usize,
    /// Bytes thrown away since the last answer was said.
    ignored: usize,
    /// Frames that are put together, behind `leaving`.
    outbox: Vec<u8>,
    /// What goes out before: it was closed because a large body follows.
    leaving: VecDeque<Outgoing>,
    /// What is being sent, as the peer's debt: to take it.
    sending: Option<Owed>,
    /// When the greeting, or the half of a frame or request, began.
    since_ns: u64,
    /// Bytes of the request over HTTP that have been handled.
    request: usize,
    /// Calls that run beside the loop and will be answered here.
    away: Vec<Away>,
    /// A call waits in the inbox until another of its kind, which is away, is back.
    waits: bool,
    /// When this turn began, and whether no call has been found in it yet.
    pub(super) turn_ns: u64,
    is_first: bool,
    /// The latest time that is known in this turn.
    looked_ns: u64,
    /// The method that was called last, and its place.
    last_method: Option<(MethodId, MethodIndex)>,
    receiving: bool,
    stopping: bool,
    /// In the list of connections with something to do.
    pub(super) dirty: bool,
    /// Others have something to do in this turn, too.
    pub(super) others_wait: bool,
    /// The turn before this one took so long, or a call here has waited so long, that somebody may have given up
    /// meanwhile.
    pub(super) took_long: bool,
}

/// What to do after a frame.
enum Next {
    Frame,
    Wait,
}

impl Connection {
    pub(super) fn new(socket: Rc<OwnedFd>, (peer, row): (Peer, PeerRow), tag: Tag, settings: Settings) -> Self {
        Self {
            socket,
            peer,
            row,
            tag,
            settings,
            stage: Stage::Greeting,
            tongue: Tongue::Undecided,
            greeted: false,
            wire: Wire::default(),
            trace: None,
            inbox: ReceiveBuffer::default(),
            held: None,
            arrivals: Arrivals::default(),
            order: Order::default(),
            large: None,
            missing: 0,
            skip: 0,
            ignored: 0,
            outbox: Vec::new(),
            leaving: VecDeque::new(),
            sending: None,
            since_ns: now_ns(),
            request: 0,
            away: Vec::new(),
            waits: false,
            turn_ns: 0,
            is_first: false,
            looked_ns: 0,
            last_method: None,
            receiving: false,
            stopping: false,
            dirty: false,
            others_wait: false,
            took_long: false,
        }
    }

    pub(super) fn row(&self) -> PeerRow {
        self.row
    }

    pub(super) fn tag(&self) -> Tag {
        self.tag
    }

    pub(super) fn start_receiving(&mut self, driver: &mut dyn Driver) {
        self.receiving = true;
        driver.receive(&self.socket, self.tag);
    }

    /// Bytes went out, or did not. Whether there is something to do now.
    pub(super) fn sent(&mut self, sent: Outgoing, result: &io::Result<()>, pool: &mut Pool) -> bool {
        self.sending = None;
        if result.is_err() {
            self.shut_down(Counter::ClosedError);
        }
        match sent {
            Outgoing::Frames(bytes) => pool.keep_small(bytes),
            Outgoing::Body(buffer) => pool.keep_large(buffer),
        }
        // Most often there is nothing: the calls that were answered were all that had come.
        self.stage != Stage::Serving || !self.receiving || !self.is_quiet()
    }

    /// Handles frames that have arrived, and sends. Whether there is more to handle at once.
    pub(super) fn serve(
        &mut self,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
        driver: &mut dyn Driver,
    ) -> bool {
        if self.outbox.capacity() == 0 {
            self.outbox = pool.small();
        }
        let again = self.handle(runner, elsewhere, pool, driver);
        runner.meter.peers().set_in_flight(self.row, self.away.len() as u64);
        self.flush(driver);
        self.regulate(driver);
        if self.outbox.is_empty() {
            pool.keep_small(mem::take(&mut self.outbox));
        }
        self.inbox.rest(pool);
        debug_assert_eq!(self.arrivals.left(), self.inbox.waiting().len(), "what came is handled or waits");
        self.arrivals.rest();
        again
    }

    /// Whether so much waits to be sent that the peer's calls wait, too.
    #[inline]
    fn is_stuffed(&self) -> bool {
        self.outbox.len() > UNSENT || (!self.leaving.is_empty() && self.unsent() > UNSENT)
    }

    fn unsent(&self) -> usize {
        let leaving: usize = self.leaving.iter().map(|outgoing| outgoing.bytes().len()).sum();
        leaving + self.outbox.len()
    }

    fn flush(&mut self, driver: &mut dyn Driver) {
        if self.sending.is_none() && !self.has_ended() {
            let next = self
                .leaving
                .pop_front()
                .or_else(|| (!self.outbox.is_empty()).then(|| Outgoing::Frames(mem::take(&mut self.outbox))));
            if let Some(next) = next {
                self.sending = Some(Owed { bytes: next.bytes().len(), since_ns: lately_ns() });
                let more = !self.leaving.is_empty();
                driver.send(&self.socket, self.tag, next, more);
            }
        }
        if self.is_silent() {
            match self.stage {
                Stage::Refused => self.shut_down(Counter::ClosedRefused),
                Stage::Closing if self.away.is_empty() => self.shut_down(Counter::ClosedByPeer),
                Stage::Parting(_) => super::half_close(&self.socket),
                Stage::Greeting | Stage::Serving | Stage::Closing | Stage::Ended(_) => {}
            }
        }
    }

    /// Whether nothing is to be sent.
    fn is_silent(&self) -> bool {
        self.outbox.is_empty() && self.leaving.is_empty() && self.sending.is_none()
    }

    /// Stops receiving from a peer that sends more than is handled, or takes none of its replies, and goes on when that
    /// has changed.
    fn regulate(&mut self, driver: &mut dyn Driver) {
        if !matches!(self.stage, Stage::Greeting | Stage::Serving | Stage::Parting(_)) {
            return;
        }
        let enough = match self.tongue {
            Tongue::Http(_) => unhandled(self.settings.message_max),
            Tongue::Native | Tongue::Undecided => self.missing.max(RECEIVE_BUFFER * 2),
        };
        let full =
            self.inbox.waiting().len() > enough || (self.is_stuffed() && !matches!(self.stage, Stage::Parting(_)));
        if full && self.receiving && !self.stopping {
            self.stopping = true;
            driver.stop_receiving(self.tag);
        } else if !full && !self.receiving {
            self.start_receiving(driver);
        }
    }

    /// Half of something has come: since when, and what it needs to be whole.
    fn note_missing(&mut self) {
        // Of a request over HTTP the beginning has been handled, and noted.
        if self.greeted {
            self.since_ns = self.arrivals.next_ns();
        }
        if let Some(large) = &self.large {
            self.missing = large.len;
            self.since_ns = if self.greeted { large.since_ns } else { self.since_ns };
        }
    }

    pub(super) fn say_goodbye(&mut self) {
        if self.drain_http() {
            return;
        }
        if self.stage == Stage::Serving {
            frame::append_sent(&mut self.outbox, Kind::Goodbye, Sent::plain(&[]), self.wire.checksum);
        } else if self.stage == Stage::Greeting {
            self.shut_down(Counter::ClosedDraining);
        }
    }

    /// Whether nothing is under way: no half of a frame has come, and no reply waits.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_silent()
            && self.away.is_empty()
            && self.large.is_none()
            && self.inbox.waiting().is_empty()
            && self.held.is_none()
            && self.skip == 0
            && self.is_between_requests()
    }

    /// Nothing is under way here any more.
    pub(super) fn forget(&self, driver: &mut dyn Driver) {
        driver.forget(&self.socket, self.tag);
    }

    fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    /// Ends the connection; the socket is closed when the driver has let go of it. `why` is the counter of the reason.
    pub(super) fn shut_down(&mut self, why: Counter) {
        if !self.has_ended() {
            self.stage = Stage::Ended(why);
            super::shutdown(&self.socket);
        }
    }

    /// Whether the socket can be closed, and the counter of the reason: closing it earlier would not stop the kernel's
    /// operations on it.
    pub(super) fn over(&self) -> Option<Counter> {
        match self.stage {
            Stage::Ended(why) if !self.receiving && self.sending.is_none() => Some(why),
            _ => None,
        }
    }
}
