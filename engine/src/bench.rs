//! For `benches/dispatch.rs` only: what the loop does with a call between its source and its answer, and with the calls
//! that a pass over shared memory finds, or a chunk from a socket brings.

mod frames;

use std::io;
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use speedysvc_protocol::context::{CallName, Context, Peer, Served};
use speedysvc_protocol::ids::{Codec, Incarnation, LinkId, MethodIndex};
use speedysvc_protocol::service::{OwnedCall, Service};
use speedysvc_protocol::shm::board::Mode;
use speedysvc_protocol::shm::doorbell;
use speedysvc_protocol::shm::in_place::Trust;
use speedysvc_protocol::shm::layout::{Geometry, INLINE, RequestHead};
use speedysvc_protocol::shm::link::{Board, ClientLink, LinkFiles, WorkerLink};
use speedysvc_protocol::shm::segment::Access;
use speedysvc_protocol::shm::seq::Seq;
use speedysvc_protocol::shm::slot::Post;
use speedysvc_protocol::shm::stats_page::create_page;
use speedysvc_protocol::standard::Standard;
use speedysvc_protocol::stats::Counter;
use speedysvc_protocol::status::Failure;
#[cfg(test)]
use speedysvc_protocol::status::Status;

use crate::beside::{Asks, Beside, Caller, Names, ReplyTo, Ticket, Way};
use crate::dispatch::{Arguments, Elsewhere, Room, Runner};
use crate::driver::Tag;
use crate::meter::Meter;
use crate::source::shm::{LinkBells, Links};

pub use frames::Frames;

const MESSAGE_MAX: usize = 1 << 20;
const ME: Incarnation = Incarnation(NonZeroU16::MIN);
/// As many as a link usually has.
const SLOTS: u16 = 64;

/// A loop's dispatch without its sources.
pub struct Dispatch(Runner);

/// No link and no connection waits here.
struct Alone;

impl Elsewhere for Alone {
    fn step_aside(&mut self) {}
    fn step_back(&mut self) {}
    fn running(&self) -> impl Fn(Option<MethodIndex>) {
        |_| {}
    }
}

impl Dispatch {
    /// Dispatches to this service, metered in a page that nobody reads.
    ///
    /// # Errors
    /// What the kernel says of the page's memory.
    pub fn new(service: Arc<dyn Service>) -> io::Result<Self> {
        Ok(Self(runner(service)?))
    }

    /// One call of a pass of its own, with its accounts; returns the reply's length.
    ///
    /// # Errors
    /// [`Failure`] when the arguments are over the limit.
    pub fn call(&mut self, method: MethodIndex, arguments: &[u8]) -> Result<usize, Failure> {
        self.0.timing.pass();
        self.0.take_arguments(arguments.len(), MESSAGE_MAX)?.copy_from_slice(arguments);
        let room = Room { limit: MESSAGE_MAX, window: None };
        self.0.run(method, (Codec::Rkyv, Arguments::Copied), room, &mut Alone);
        self.0.answered(method, Counter::ShmCalls, self.0.reply.status());
        Ok(self.0.reply.body().len())
    }
}

fn runner(service: Arc<dyn Service>) -> io::Result<Runner> {
    runner_in(service, &create_page()?.0)
}

/// One that counts there.
fn runner_in(service: Arc<dyn Service>, page: &OwnedFd) -> io::Result<Runner> {
    let meter = Meter::new(page, service.contract().methods.len() + Standard::ALL.len())?;
    let names = Names { board: None, me: ME };
    let beside = Beside::new(Arc::clone(&service), None, names)?;
    Ok(Runner::new(service, beside, Rc::new(meter)))
}

/// Adds a link of this user's, with so many slots, that this loop polls.
fn attach(links: &mut Links, id: LinkId, uid: u32, slots: u16) -> io::Result<ClientLink> {
    let geometry = Geometry::new(slots, 1 << 16).map_err(io::Error::other)?;
    let files = LinkFiles::create(geometry)?;
    let client = ClientLink::map(geometry, &files.request, &files.reply_read_only)?;
    let worker = WorkerLink::map(geometry, &files.request, &files.reply)?;
    let (theirs, ours) = (doorbell::bell()?, doorbell::bell()?);
    let _watched_by_nobody = links.inner_bells.meet(0, ours);
    links.add(id, uid, worker, LinkBells { theirs, inner: None, _client: None }, 0);
    links.adopt_belled(id, 0);
    Ok(client)
}

/// A loop's passes over one link, whose client is in the same thread: no line has to come from elsewhere.
pub struct Passes {
    links: Links,
    runner: Runner,
    client: ClientLink,
    seq: Seq,
}

impl Passes {
    /// Over a link to this service.
    ///
    /// # Errors
    /// What the kernel says of memory and descriptors.
    pub fn new(service: Arc<dyn Service>) -> io::Result<Self> {
        let (board, runner) = (Arc::new(Board::map(Board::create()?.0, Access::ReadWrite)?), runner(service)?);
        let meter = Rc::clone(&runner.meter);
        let mut links = Links::new(ME, board, doorbell::bell()?, (MESSAGE_MAX, Trust::Never), meter);
        links.say(Mode::Scan);
        let client = attach(&mut links, LinkId(1), 0, SLOTS)?;
        Ok(Self { links, runner, client, seq: Seq::NONE })
    }

    /// The same where all calls are short: the thread of a test may lose its processor in a handler, and what is known
    /// to take long is not swept up.
    #[cfg(test)]
    pub(crate) fn of_short_calls(service: Arc<dyn Service>) -> Self {
        let mut passes = Self::new(service).expect("there is memory for a link");
        passes.runner.learn_nothing();
        passes
    }

    /// Whether the next call goes the short way.
    #[cfg(test)]
    pub(crate) fn is_short(&self) -> bool {
        self.runner.is_short(MethodIndex(0))
    }

    /// The reply to one call, as its client reads it; of one that is held its length. What lies in the buffer before is
    /// of no use to anybody.
    #[cfg(test)]
    pub(crate) fn ask(&mut self, arguments: &[u8]) -> (Status, Vec<u8>) {
        let grant = self.client.geometry().slot_grant(0);
        self.client.copy_in(grant, &vec![0xAA; usize::try_from(grant.capacity).expect("it is small")]);
        self.client.copy_in(grant, arguments);
        self.call(1, arguments);
        let slot = self.client.slot(0);
        let head = slot.poll(self.seq).expect("it was answered");
        let mut body = vec![0; head.len as usize];
        match body.len() {
            ..=INLINE => slot.read_inline(&mut body),
            _ if head.status == Status::Need => {}
            _ => self.client.copy_out(grant, &mut body),
        }
        (head.status, body)
    }

    /// Asks in this slot; whether that is found where the last request was, without a pass.
    #[cfg(test)]
    pub(crate) fn ask_again(&mut self, slot: usize, arguments: &[u8]) -> bool {
        self.seq = self.seq.next().expect("there are numbers left");
        self.publish(slot, arguments);
        let found = self.links.serve_again(&mut self.runner, 1);
        // As in `call`.
        while found && self.client.slot(slot).poll(self.seq).is_none() {
            self.links.serve_next(&mut self.runner);
        }
        assert_eq!(self.client.slot(slot).poll(self.seq).is_some(), found);
        found
    }

    /// A pass over all; whether it found anything.
    #[cfg(test)]
    pub(crate) fn sweep(&mut self) -> bool {
        self.links.sweep(&mut self.runner, 1)
    }

    #[cfg(test)]
    pub(crate) fn looks_at_one_slot(&self) -> bool {
        self.links.looks_at_one_slot()
    }

    /// Another client comes: of this user, with so many slots.
    #[cfg(test)]
    pub(crate) fn another_comes(&mut self, uid: u32, slots: u16) {
        attach(&mut self.links, LinkId(2), uid, slots).expect("there is memory for another link");
    }

    /// The client leaves, or the other.
    #[cfg(test)]
    pub(crate) fn leave(&mut self, id: LinkId) {
        self.links.remove(id);
    }

    /// From now on there is no room for calls of the service's method, which blocks for ever.
    pub fn fill(&mut self) {
        let served = Served { call: CallName::Http, peer: Peer::Unknown, deadline_ns: 0, trace: None };
        for number in 0.. {
            let (to, way) = (ReplyTo::Http { tag: Tag(number) }, Way::Blocking);
            let asks = Asks { way, caller: Caller::of(&to), now_ns: 0 };
            if self.runner.admit(&asks, 0, MESSAGE_MAX).is_err() {
                return;
            }
            let ticket = Ticket::new(to, MethodIndex(0), way, 0, Context::new(served));
            self.runner.beside.begin(ticket, OwnedCall::default());
        }
    }

    /// Posts a request with these arguments in each of the first `slots` slots, and looks until all are answered.
    pub fn call(&mut self, slots: usize, inline: &[u8]) {
        self.seq = self.seq.next().expect("there are numbers left");
        (0..slots).for_each(|slot| self.publish(slot, inline));
        while (0..slots).any(|slot| self.client.slot(slot).poll(self.seq).is_none()) {
            self.links.sweep(&mut self.runner, 1);
            // A thread that lost its processor in a handler has a method that runs long: its calls are not swept up.
            self.links.serve_next(&mut self.runner);
        }
    }

    fn publish(&self, slot: usize, inline: &[u8]) {
        let len = u32::try_from(inline.len()).expect("it is short");
        // What is longer lies in the buffer already.
        let inline = if inline.len() <= INLINE { inline } else { &[] };
        let head = RequestHead { method: 0, codec: Codec::Rkyv as u8, fetch: false, traced: false, len };
        let grant = self.client.geometry().slot_grant(slot);
        self.client.slot(slot).post(self.seq, &Post { head, deadline_ns: u64::MAX, grant, inline });
    }
}
