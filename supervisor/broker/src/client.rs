//! One client's end of the rendezvous socket.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::UCred;
use speedysvc_protocol::control::Attached;
use speedysvc_protocol::hello::{Hello, LIBRARY, Refusal, Welcome};
use speedysvc_protocol::ids::LinkId;
use speedysvc_protocol::shm::link::LinkFiles;
use speedysvc_protocol::shm::{doorbell, handover};
use speedysvc_protocol::stats::Counter;
use speedysvc_protocol::status::Code;
use speedysvc_protocol::wire::Wire;

use crate::processes::ProcessKey;
use crate::service::{Link, Service};
use crate::watch::{Source, Watch};
use crate::{Event, Peer};

/// A connected client: first it greets, then it may wait for a worker, then it has a link.
pub(crate) struct Client {
    pub(crate) socket: OwnedFd,
    pub(crate) token: u64,
    pub(crate) peer: UCred,
    /// Its end is watched for, from its attaching on: its socket may live on in a child.
    pub(crate) process: Option<ProcessKey>,
    pub(crate) state: State,
}

pub(crate) enum State {
    /// It has not said what it wants.
    Greeting,
    /// It has, and no worker was ready yet.
    Waiting(Hello),
    /// It has, and its user has attached too often of late.
    HeldBack(Hello),
    /// It has this link.
    Attached(LinkId),
}

/// What a look at a client's socket found.
pub(crate) enum Heard {
    /// Nothing yet.
    Nothing,
    /// A greeting.
    Hello(Hello),
    /// It said what it must not say.
    Rude,
    /// It is gone.
    Gone,
}

impl Client {
    pub(crate) fn hear(&self) -> Heard {
        match (handover::receive::<Hello>(&self.socket, 0), &self.state) {
            (Ok(Some((hello, _))), State::Greeting) => Heard::Hello(hello),
            (Err(error), _) if error.kind() == io::ErrorKind::WouldBlock => Heard::Nothing,
            (Err(error), _) if error.kind() != io::ErrorKind::InvalidData => Heard::Gone,
            (Ok(None), _) => Heard::Gone,
            (Ok(Some(_)) | Err(_), _) => Heard::Rude,
        }
    }

    pub(crate) fn peer(&self) -> Peer {
        Peer { pid: self.peer.pid.as_raw_nonzero().get(), uid: self.peer.uid.as_raw() }
    }

    pub(crate) fn link(&self) -> Option<LinkId> {
        match self.state {
            State::Attached(link) => Some(link),
            _ => None,
        }
    }

    /// Says why not. The client may be gone already; then nobody is left to tell.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        let _gone = handover::send(&self.socket, &Attached::Refused { refusal }, &[]);
    }
}

impl Service {
    /// Makes the link that a greeting asks for, tells the workers, then the client. In this order: a client that calls
    /// at once must not depend on us any more.
    pub(crate) fn attach(&mut self, id: u64, hello: &Hello, link: LinkId, watch: &mut Watch) -> Result<Event, Refusal> {
        let contract = self.contract.as_ref().expect("greetings wait for a contract");
        let (version, methods) = hello.answer(contract)?;
        let no_memory =
            |error| Refusal::new(Code::ResourceExhausted, format!("the engine cannot make a link: {error}"));
        let geometry = if hello.in_order { self.geometry.with_one_slot() } else { self.geometry };
        let files = LinkFiles::create(geometry).map_err(no_memory)?;
        let bell = doorbell::bell().map_err(no_memory)?;
        self.watch_process(id, watch)?;
        let inner_bell = self.inner_bells.join().map_err(no_memory)?;
        let welcome = Welcome {
            version,
            library: LIBRARY.to_owned(),
            message_max: self.options.shm_message_max,
            deadline_us: u64::try_from(self.options.deadline.as_micros()).unwrap_or(u64::MAX),
            methods,
            wire: Wire::default(),
        };
        let sleeps_at_once = self.options.spin.is_zero();
        let answer = Attached::Welcome { welcome, link, geometry, sleeps_at_once };
        let client = self.clients.get_mut(&id).expect("the caller has just looked it up");
        client.state = State::Attached(link);
        let peer = client.peer();
        let LinkFiles { request, reply, reply_read_only } = files;
        self.links.insert(link, Link { geometry, request, reply, bell, inner_bell, client: id, peer, is_muted: false });
        self.meters.count(Counter::ClientsAttached, 1);
        self.announce(link, watch);
        let made = &self.links[&link];
        let descriptors =
            [made.request.as_fd(), reply_read_only.as_fd(), made.bell.as_fd(), self.board_read_only.as_fd()];
        handover::send(&self.clients[&id].socket, &answer, &descriptors)
            .map_err(|error| Refusal::new(Code::Unavailable, format!("the client does not listen: {error}")))?;
        Ok(Event::Attached { service: self.key, link, peer })
    }

    fn watch_process(&mut self, id: u64, watch: &mut Watch) -> Result<(), Refusal> {
        let client = self.clients.get_mut(&id).expect("the caller has just looked it up");
        let source = |process| Source::ClientEnd(self.key, process);
        let process = self.processes.watch(id, client.peer.pid, watch, source).map_err(|error| {
            Refusal::new(Code::ResourceExhausted, format!("cannot watch the client's process: {error}"))
        })?;
        client.process = Some(process);
        Ok(())
    }
}
