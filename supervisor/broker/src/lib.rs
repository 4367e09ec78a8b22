//! Makes shared-memory links and hands them out: where a service's clients and workers meet.
//!
//! Used by the supervisor, and by a service that runs alone (embedded). It is one epoll descriptor and one verb,
//! [`Broker::turn`], which handles what is ready and never waits; whoever owns it decides when to call it.
//!
//! Invariant: the broker is never on a call's way. It sees attaching, detaching and dying.
//! Invariant: memory is made here only, sealed; no client holds a descriptor that can write what workers write.
#![forbid(unsafe_code)]

mod access;
mod addresses;
mod attaching;
mod burial;
mod client;
mod doors;
mod heirs;
mod incarnations;
mod inner_bells;
mod meters;
mod paces;
mod processes;
mod rendezvous;
mod service;
mod watch;
mod worker;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::ids::{LinkId, WorkerId};
use speedysvc_protocol::shm::board::Mode;
use speedysvc_protocol::shm::link::WorkerLink;

pub use access::Allow;
pub use heirs::{InheritError, Inheritance, inherit};
pub use meters::Meters;
pub use rendezvous::{TakeError, lock};
use service::Service;
pub use service::{Inherited, ServiceOptions};
use watch::{Source, Watch};

/// A service of this broker, in the order of [`Broker::add_service`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ServiceKey(pub usize);

/// A client's process, as the kernel told it when the client connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its process id.
    pub pid: i32,
    /// Its user id.
    pub uid: u32,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} (user {})", self.pid, self.uid)
    }
}

/// What happened, for whoever owns the broker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A worker serves from now on.
    Ready {
        /// Its service.
        service: ServiceKey,
        /// Its number.
        worker: WorkerId,
        /// The driver in use.
        driver: String,
        /// Why, and with which features.
        why: String,
    },
    /// A worker is not ready yet, and needs time.
    Starting {
        /// Its service.
        service: ServiceKey,
        /// Its number.
        worker: WorkerId,
        /// So long from now.
        more: Duration,
        /// What it does meanwhile, in its own words.
        what: String,
    },
    /// A worker says that it cannot serve; it exits.
    Failed {
        /// Its service.
        service: ServiceKey,
        /// Its number.
        worker: WorkerId,
        /// What it says.
        why: String,
    },
    /// A worker closed its control socket: it is exiting, or closed its standard input.
    HungUp {
        /// Its service.
        service: ServiceKey,
        /// Its number.
        worker: WorkerId,
    },
    /// A client has attached.
    Attached {
        /// The service.
        service: ServiceKey,
        /// Its link.
        link: LinkId,
        /// Who it is.
        peer: Peer,
    },
    /// A client may not attach, or there is no room for it.
    Refused {
        /// The service.
        service: ServiceKey,
        /// Who it is.
        peer: Peer,
        /// What it was told.
        why: String,
    },
    /// A client was hung up on, because its user has too many that connected and have no link.
    Crowded {
        /// The service.
        service: ServiceKey,
        /// Who it is.
        peer: Peer,
    },
    /// A user's clients attach so often that they have to wait for their turns. Once, until it has rested.
    HeldBack {
        /// The service.
        service: ServiceKey,
        /// The first of them.
        peer: Peer,
    },
    /// A client is gone.
    Detached {
        /// The service.
        service: ServiceKey,
        /// What was its link.
        link: LinkId,
    },
    /// A worker has no room for a link; its client was hung up on.
    CannotServe {
        /// The service.
        service: ServiceKey,
        /// The worker.
        worker: WorkerId,
        /// What was the client's link.
        link: LinkId,
        /// Who it is.
        peer: Peer,
        /// What the worker says.
        why: String,
    },
    /// A client rang in vain so often that a worker does not listen to its bell for a while. Once for each link.
    Muted {
        /// The service.
        service: ServiceKey,
        /// Its link.
        link: LinkId,
        /// Who it is.
        peer: Peer,
    },
    /// A client broke the protocol, and has lost its link.
    Misbehaved {
        /// The service.
        service: ServiceKey,
        /// What was its link.
        link: LinkId,
        /// Who it is.
        peer: Peer,
        /// Which rule was broken.
        rule: String,
    },
}

/// What was found when a dead worker was buried.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Burial {
    /// Calls that it had taken and not answered: their callers were told "unknown".
    pub unknown: usize,
    /// The method that it ran last, if it was running one.
    pub last_method: Option<String>,
    /// The clients whose calls these were, the oldest link first.
    pub callers: Vec<Peer>,
}

/// What a worker's loop is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Look {
    /// As it says itself.
    pub mode: Mode,
    /// The method that it runs.
    pub method: Option<String>,
    /// How often it has turned: a loop that is awake and does not turn is in a handler, or hangs.
    pub turns: u64,
}

/// See the crate's text.
pub struct Broker {
    watch: Watch,
    services: Vec<Service>,
    next_link: u64,
}

impl Broker {
    /// A broker without services.
    ///
    /// # Errors
    /// What the kernel says: too many open files.
    pub fn new() -> io::Result<Self> {
        Ok(Self { watch: Watch::new()?, services: Vec::new(), next_link: 1 })
    }

    /// Takes a service's name in its folder, and listens for clients. They wait until a worker is ready.
    ///
    /// # Errors
    /// [`TakeError`] when another process holds the name, or the folder cannot be written.
    pub fn add_service(&mut self, options: ServiceOptions) -> Result<ServiceKey, TakeError> {
        self.take_over(options, None)
    }

    /// The same, with what the workers of a dead owner of the name gave us. They go on serving until
    /// [`Broker::relieve`], or until they have waited for long enough.
    ///
    /// # Errors
    /// As [`Broker::add_service`].
    pub fn take_over(
        &mut self,
        options: ServiceOptions,
        inherited: Option<Inherited>,
    ) -> Result<ServiceKey, TakeError> {
        let key = ServiceKey(self.services.len());
        let mut service = Service::new(key, options, inherited)?;
        service.listen(&mut self.watch)?;
        self.services.push(service);
        Ok(key)
    }

    /// Makes the control socket of a new worker and says on it all that the worker needs. The returned end becomes the
    /// worker's standard input.
    ///
    /// # Errors
    /// What the kernel says; or that all lines of the board are taken.
    pub fn admit(&mut self, service: ServiceKey, worker: WorkerId) -> io::Result<OwnedFd> {
        self.services[service.0].admit(worker, &mut self.watch)
    }

    /// Handles what is ready. It never waits.
    pub fn turn(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let ready = self.watch.ready().unwrap_or_default();
        for source in ready {
            match source {
                Source::Timer => {
                    self.watch.quiet_timer();
                    for service in &mut self.services {
                        service.serve_waiting(&mut self.next_link, &mut self.watch, &mut events);
                    }
                }
                Source::Rendezvous(key) => self.services[key.0].accept(&mut self.watch, &mut events),
                Source::ClientEnd(key, process) => {
                    self.services[key.0].process_ended(process, &mut self.watch, &mut events);
                }
                Source::Client(key, id) => {
                    let next_link = &mut self.next_link;
                    self.services[key.0].client_ready(id, next_link, &mut self.watch, &mut events);
                }
                Source::Worker(key, worker) => {
                    let next_link = &mut self.next_link;
                    self.services[key.0].worker_ready(worker, next_link, &mut self.watch, &mut events);
                }
            }
        }
        events
    }

    /// Asks a worker to finish what it has begun and exit.
    pub fn drain(&mut self, service: ServiceKey, worker: WorkerId) {
        self.services[service.0].drain(worker, &mut self.watch);
    }

    /// Settles the affairs of a worker whose end has been seen by its pidfd (or whose loop has ended, when it ran in
    /// this process): callers of what it had taken are told "unknown", and the other workers look at its links.
    pub fn bury(&mut self, service: ServiceKey, worker: WorkerId) -> Burial {
        self.services[service.0].bury(worker, &mut self.watch)
    }

    /// What a worker's loop is doing now; `None` when there is no such worker.
    #[must_use]
    pub fn look(&self, service: ServiceKey, worker: WorkerId) -> Option<Look> {
        self.services[service.0].look(worker)
    }

    /// How many clients are attached to a service.
    #[must_use]
    pub fn clients(&self, service: ServiceKey) -> usize {
        self.services[service.0].links.len()
    }

    /// Who is attached to a service: by link, with its slots.
    #[must_use]
    pub fn links(&self, service: ServiceKey) -> Vec<(LinkId, Peer, usize)> {
        let links = self.services[service.0].links.iter();
        let mut links: Vec<_> = links.map(|(id, link)| (*id, link.peer, link.geometry.slots())).collect();
        links.sort_by_key(|(id, ..)| id.0);
        links
    }

    /// How many calls a client has in flight: as its slots say, so nobody counts for it. `None` when there is no such
    /// link any more, or no memory to look at it.
    #[must_use]
    pub fn in_flight(&self, service: ServiceKey, link: LinkId) -> Option<usize> {
        let link = self.services[service.0].links.get(&link)?;
        let mapped = WorkerLink::map(link.geometry, &link.request, &link.reply).ok()?;
        Some((0..mapped.slots_in_use()).filter(|slot| mapped.slot(*slot).is_in_flight()).count())
    }

    /// From now on the workers of a service log from this level up.
    pub fn set_level(&mut self, service: ServiceKey, level: Level) {
        self.services[service.0].set_level(level, &self.watch);
    }

    /// Other options for a service, under the same name: new links and new workers are made by them.
    ///
    /// # Errors
    /// [`TakeError`] when there is no such geometry; nothing has changed then.
    pub fn renew(&mut self, service: ServiceKey, options: ServiceOptions) -> Result<(), TakeError> {
        self.services[service.0].renew(options)
    }

    /// The workers of this broker serve: those of a dead owner of the name, if there were any, are sent home. Whether
    /// there were.
    ///
    /// # Errors
    /// [`TakeError`] when the folder cannot be written: they are sent home, and a successor would not find ours.
    pub fn relieve(&mut self, service: ServiceKey) -> Result<bool, TakeError> {
        self.services[service.0].relieve()
    }

    /// Whether workers of a dead owner of the name serve, and were not sent home.
    #[must_use]
    pub fn has_predecessors(&self, service: ServiceKey) -> bool {
        self.services[service.0].has_predecessors()
    }

    /// Takes clients again, after [`Broker::close`]; nothing when it does.
    ///
    /// # Errors
    /// As [`Broker::add_service`].
    pub fn open(&mut self, service: ServiceKey) -> Result<(), TakeError> {
        self.services[service.0].listen(&mut self.watch)
    }

    /// Where the numbers of a service can be read, from any thread.
    #[must_use]
    pub fn meters(&self, service: ServiceKey) -> Arc<Meters> {
        Arc::clone(&self.services[service.0].meters)
    }

    /// Takes no more clients, hangs up on those that are attached, and removes the service's files.
    pub fn close(&mut self, service: ServiceKey) {
        self.services[service.0].close(&mut self.watch);
    }
}

impl AsFd for Broker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.epoll.as_fd()
    }
}
