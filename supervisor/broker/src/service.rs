//! One service: its name, its board, its workers, its clients and their links.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{Shutdown, SocketFlags};
use speedysvc_protocol::contract::Contract;
use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::control::{DriverWish, Legacy, Report};
use speedysvc_protocol::hello::Refusal;
use speedysvc_protocol::ids::{LinkId, WorkerId};
use speedysvc_protocol::shm::doorbell;
use speedysvc_protocol::shm::in_place::Trust;
use speedysvc_protocol::shm::layout::Geometry;
use speedysvc_protocol::shm::link::Board;
use speedysvc_protocol::shm::segment::Access;
use speedysvc_protocol::stats::Counter;
use speedysvc_protocol::status::Code;
use speedysvc_protocol::wire::Compression;

use crate::access::Allow;
use crate::addresses::Addresses;
use crate::attaching::now_ns;
use crate::client::{self, Client, State};
use crate::heirs::Heirs;
use crate::incarnations::Incarnations;
use crate::inner_bells::InnerBells;
use crate::meters::Meters;
use crate::paces::Paces;
use crate::processes::{ProcessKey, Processes};
use crate::rendezvous::{Rendezvous, TakeError};
use crate::watch::{Source, Watch};
use crate::worker::{self, Worker};
use crate::{Event, Peer, ServiceKey};

/// What a broker needs to know of a service.
#[derive(Debug)]
pub struct ServiceOptions {
    /// The name that clients connect to.
    pub name: String,
    /// Where its socket and lock lie: `<run folder>/<namespace>`.
    pub folder: PathBuf,
    /// Slots of each link.
    pub slots: u16,
    /// Largest message over shared memory, in bytes.
    pub shm_message_max: u64,
    /// Largest message over TCP, in bytes.
    pub tcp_message_max: u64,
    /// Deadline of calls that bring none.
    pub deadline: Duration,
    /// Longest busy wait of a loop before it sleeps.
    pub spin: Duration,
    /// How its loops wait for sockets.
    pub driver: DriverWish,
    /// What workers agree on with clients over sockets that offer it.
    pub compression: Option<Compression>,
    /// Workers log from here up.
    pub log_level: Level,
    /// Who may attach beside the own user and root.
    pub allow: Allow,
    /// Whose large requests workers read in place.
    pub trust: Trust,
    /// TCP sockets that listen already; every worker accepts from them.
    pub listeners: Vec<OwnedFd>,
    /// What workers keep for the next owner of this name, should this process die.
    pub legacy: Option<Legacy>,
}

/// What the workers of a dead owner of the name gave us: see [`crate::inherit`].
#[derive(Debug)]
pub struct Inherited {
    /// Clients that connect are in its backlog.
    pub rendezvous: OwnedFd,
    /// Where those workers listen for us. Shutting it down sends them home.
    pub heirs: OwnedFd,
}

/// A client's memory, from its attaching to its leaving.
pub(crate) struct Link {
    pub(crate) request: OwnedFd,
    pub(crate) reply: OwnedFd,
    pub(crate) bell: OwnedFd,
    /// The number of the bell by which workers tell each other of this link.
    pub(crate) inner_bell: u16,
    /// The service's at the time: a reload may have changed that.
    pub(crate) geometry: Geometry,
    pub(crate) client: u64,
    pub(crate) peer: Peer,
    /// Some worker did not listen to its bell for a while, which was said.
    pub(crate) is_muted: bool,
}

pub(crate) struct Service {
    pub(crate) key: ServiceKey,
    pub(crate) options: ServiceOptions,
    pub(crate) geometry: Geometry,
    pub(crate) rendezvous: Option<(Rendezvous, u64)>,
    pub(crate) addresses: Option<Addresses>,
    /// Where our workers listen for a successor of ours.
    pub(crate) heirs: Option<Heirs>,
    /// The workers of a dead owner still serve; what came from them is to be taken at the first listening.
    pub(crate) inherited: Option<Inherited>,
    /// Where they wait to be sent home.
    pub(crate) predecessors: Option<OwnedFd>,
    accepting_paused: bool,
    pub(crate) board: Board,
    pub(crate) board_file: OwnedFd,
    pub(crate) board_read_only: OwnedFd,
    pub(crate) pool_bell: OwnedFd,
    pub(crate) incarnations: Incarnations,
    pub(crate) meters: Arc<Meters>,
    /// What the program offers; known once a worker has been ready.
    pub(crate) contract: Option<Contract>,
    pub(crate) workers: HashMap<WorkerId, Worker>,
    pub(crate) clients: HashMap<u64, Client>,
    pub(crate) links: HashMap<LinkId, Link>,
    pub(crate) processes: Processes,
    pub(crate) inner_bells: InnerBells,
    pub(crate) paces: Paces,
    next_client: u64,
}

/// Most clients that have connected and have no link yet. When one more comes, the longest waiting one of the user that
/// has most of them is dropped: a client that never greets holds nobody up.
const UNATTACHED_MAX: usize = 1024;
/// Most links of one user that is neither ours nor root, so that it leaves descriptors to the others.
pub(crate) const LINKS_OF_ANOTHER_USER_MAX: usize = 1024;
/// Most clients accepted in one turn.
const ACCEPTS_MAX: usize = 64;

impl Service {
    pub(crate) fn new(
        key: ServiceKey,
        options: ServiceOptions,
        inherited: Option<Inherited>,
    ) -> Result<Self, TakeError> {
        let invalid = |error: &dyn fmt::Display| no_memory(&options.name, error);
        let geometry = geometry(&options)?;
        let (board_file, board_read_only) = Board::create().map_err(|error| invalid(&error))?;
        let board = Board::map(&board_file, Access::ReadWrite).map_err(|error| invalid(&error))?;
        let pool_bell = doorbell::bell().map_err(|error| invalid(&error))?;
        Ok(Self {
            key,
            options,
            geometry,
            rendezvous: None,
            addresses: None,
            heirs: None,
            inherited,
            predecessors: None,
            accepting_paused: false,
            board,
            board_file,
            board_read_only,
            pool_bell,
            incarnations: Incarnations::default(),
            meters: Arc::default(),
            contract: None,
            workers: HashMap::new(),
            clients: HashMap::new(),
            links: HashMap::new(),
            processes: Processes::default(),
            inner_bells: InnerBells::default(),
            paces: Paces::default(),
            next_client: 0,
        })
    }

    /// New links and workers are made by these options. Those which are there keep theirs.
    pub(crate) fn renew(&mut self, options: ServiceOptions) -> Result<(), TakeError> {
        self.geometry = geometry(&options)?;
        self.options = options;
        if self.rendezvous.is_some() {
            self.tell_addresses()?;
        }
        self.meet_heirs()
    }

    pub(crate) fn accept(&mut self, watch: &mut Watch, events: &mut Vec<Event>) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        for _ in 0..ACCEPTS_MAX {
            let Some((rendezvous, _)) = &self.rendezvous else { return };
            match rustix::net::accept_with(&rendezvous.socket, flags) {
                Ok(socket) => self.welcome(socket, watch, events),
                // Out of descriptors: somebody without a link goes, or the client waits until another has left.
                Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                    if !self.drop_a_waiting_client(watch, events) {
                        return self.accept_later(watch);
                    }
                }
                // Nobody is there any more.
                Err(_) => return,
            }
        }
    }

    /// Looks away from the rendezvous socket: it stays readable, and would wake us all the time.
    fn accept_later(&mut self, watch: &Watch) {
        if let Some((rendezvous, token)) = &self.rendezvous {
            self.accepting_paused = watch.want_read(&rendezvous.socket, *token, false).is_ok();
        }
    }

    /// A descriptor became free.
    fn accept_again(&mut self, watch: &Watch) {
        if let Some((rendezvous, token)) = self.rendezvous.as_ref().filter(|_| self.accepting_paused) {
            self.accepting_paused = watch.want_read(&rendezvous.socket, *token, true).is_err();
        }
    }

    fn welcome(&mut self, socket: OwnedFd, watch: &mut Watch, events: &mut Vec<Event>) {
        let id = self.next_client;
        let Ok(peer) = socket_peercred(&socket) else { return };
        let Ok(token) = watch.add(&socket, Source::Client(self.key, id)) else { return };
        self.next_client += 1;
        let client = Client { socket, token, peer, process: None, state: State::Greeting };
        self.clients.insert(id, client);
        if self.clients.len() - self.links.len() > UNATTACHED_MAX {
            self.drop_a_waiting_client(watch, events);
        }
    }

    /// Hangs up on the longest waiting client of the user that has most of them. `false` when nobody waits.
    fn drop_a_waiting_client(&mut self, watch: &mut Watch, events: &mut Vec<Event>) -> bool {
        let mut waiting: HashMap<u32, (usize, u64)> = HashMap::new();
        for (id, client) in self.clients.iter().filter(|(_, client)| client.link().is_none()) {
            let (count, oldest) = waiting.entry(client.peer().uid).or_insert((0, *id));
            (*count, *oldest) = (*count + 1, (*oldest).min(*id));
        }
        let Some((_, id)) = waiting.into_values().max() else { return false };
        events.push(Event::Crowded { service: self.key, peer: self.clients[&id].peer() });
        self.drop_client(id, watch);
        true
    }

    pub(crate) fn client_ready(&mut self, id: u64, next: &mut u64, watch: &mut Watch, events: &mut Vec<Event>) {
        let Some(client) = self.clients.get(&id) else { return };
        match client.hear() {
            client::Heard::Nothing => {}
            client::Heard::Hello(hello) => self.greeted(id, hello, next, watch, events),
            client::Heard::Rude => match client.link() {
                Some(link) => self.expel(link, "it sent something after its greeting".to_owned(), watch, events),
                None => {
                    let (peer, why) = (client.peer(), "this is no greeting: see docs/protocol.md".to_owned());
                    client.refuse(Refusal::new(Code::InvalidArgument, why.clone()));
                    events.push(Event::Refused { service: self.key, peer, why });
                    self.drop_client(id, watch);
                }
            },
            client::Heard::Gone => self.client_ended(id, watch, events),
        }
    }

    /// A process has ended, and its clients with it.
    pub(crate) fn process_ended(&mut self, process: ProcessKey, watch: &mut Watch, events: &mut Vec<Event>) {
        self.processes.clients(process).into_iter().for_each(|id| self.client_ended(id, watch, events));
    }

    /// A client has hung up, or its process has ended.
    pub(crate) fn client_ended(&mut self, id: u64, watch: &mut Watch, events: &mut Vec<Event>) {
        let link = self.clients.get(&id).and_then(Client::link);
        self.drop_client(id, watch);
        events.extend(link.map(|link| Event::Detached { service: self.key, link }));
    }

    /// A client broke a rule. Two may report the same link; the second finds it gone.
    fn expel(&mut self, link: LinkId, rule: String, watch: &mut Watch, events: &mut Vec<Event>) {
        let Some(Link { client, peer, .. }) = self.links.get(&link) else { return };
        let (client, peer) = (*client, *peer);
        self.meters.count(Counter::ClientsExpelled, 1);
        self.paces.lost(peer.uid, now_ns());
        self.drop_client(client, watch);
        events.push(Event::Misbehaved { service: self.key, link, peer, rule });
    }

    /// Workers do not listen to its bell. Each may say so; the first is enough.
    fn mute(&mut self, link: LinkId) -> Option<Event> {
        let Link { peer, is_muted, .. } = self.links.get_mut(&link)?;
        (!std::mem::replace(is_muted, true)).then_some(Event::Muted { service: self.key, link, peer: *peer })
    }

    /// Closes a client's socket, which tells it that its link is over, and takes the link from the workers.
    pub(crate) fn drop_client(&mut self, id: u64, watch: &mut Watch) {
        let Some(client) = self.clients.remove(&id) else { return };
        watch.remove(&client.socket, client.token);
        if let Some(process) = client.process {
            self.processes.leave(process, id, watch);
        }
        if let Some(link) = client.link() {
            if let Some(Link { inner_bell, .. }) = self.links.remove(&link) {
                self.inner_bells.leave(inner_bell);
            }
            // Workers have copies. It fails when the client is gone already.
            let _gone = rustix::net::shutdown(&client.socket, Shutdown::Both);
            self.meters.count(Counter::ClientsDetached, 1);
            self.meters.forget(link);
            self.retract(link, watch);
        }
        drop(client);
        self.accept_again(watch);
    }

    pub(crate) fn worker_ready(
        &mut self,
        number: WorkerId,
        next: &mut u64,
        watch: &mut Watch,
        events: &mut Vec<Event>,
    ) {
        self.flush(number, watch);
        let Some(worker) = self.workers.get(&number) else { return };
        let service = self.key;
        match worker.hear() {
            worker::Heard::Nothing => {}
            worker::Heard::Gone => {
                watch.remove(&worker.socket, worker.token);
                events.push(Event::HungUp { service, worker: number });
            }
            worker::Heard::Report(Report::Ready { contract, driver, why }) => {
                let names = contract.methods.iter().map(|method| method.name.clone()).collect();
                self.meters.name_methods(number, names);
                self.contract = Some(contract);
                events.push(Event::Ready { service, worker: number, driver, why });
                self.serve_waiting(next, watch, events);
            }
            worker::Heard::Report(Report::Starting { more_us, what }) => {
                let more = Duration::from_micros(more_us);
                events.push(Event::Starting { service, worker: number, more, what });
            }
            worker::Heard::Report(Report::Failed { why }) => {
                events.push(Event::Failed { service, worker: number, why });
            }
            worker::Heard::Report(Report::CannotServe { link, why }) => {
                let Some(Link { client, peer, .. }) = self.links.get(&link) else { return };
                let (client, peer) = (*client, *peer);
                self.drop_client(client, watch);
                events.push(Event::CannotServe { service, worker: number, link, peer, why });
            }
            worker::Heard::Report(Report::Misbehaved { link, rule }) => self.expel(link, rule, watch, events),
            worker::Heard::Report(Report::Muted { link }) => events.extend(self.mute(link)),
            worker::Heard::Report(Report::Later) => {}
        }
    }
}

fn geometry(options: &ServiceOptions) -> Result<Geometry, TakeError> {
    let made = Geometry::for_messages(options.slots, options.shm_message_max);
    made.map_err(|error| no_memory(&options.name, &error))
}

fn no_memory(name: &str, error: &dyn fmt::Display) -> TakeError {
    TakeError::Io { path: format!("shared memory for `{name}`"), error: std::io::Error::other(error.to_string()) }
}
