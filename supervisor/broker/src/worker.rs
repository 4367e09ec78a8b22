//! One worker's end of its control socket.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::control::{Order, Peers, Report, Start, VERSION};
use speedysvc_protocol::ids::{Incarnation, LinkId, WorkerId};
use speedysvc_protocol::shm::handover;

use crate::Look;
use crate::client::Client;
use crate::inner_bells::InnerBells;
use crate::service::{Link, Service};
use crate::watch::{Source, Watch};

/// A worker from its admission to its burial.
pub(crate) struct Worker {
    pub(crate) socket: OwnedFd,
    pub(crate) token: u64,
    pub(crate) incarnation: Incarnation,
    /// What could not be sent yet, because the worker is slow to read. At most one entry for each link, and a few.
    outbox: VecDeque<Queued>,
    /// It outlives us.
    has_legacy: bool,
}

enum Queued {
    Link(LinkId),
    Unlink(LinkId),
    Level(Level),
    Drain,
}

/// What a look at a worker's socket found.
pub(crate) enum Heard {
    Nothing,
    Report(Report),
    Gone,
}

impl Worker {
    pub(crate) fn hear(&self) -> Heard {
        match handover::receive::<Report>(&self.socket, 0) {
            Ok(Some((report, _))) => Heard::Report(report),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Heard::Nothing,
            _ => Heard::Gone,
        }
    }

    fn send(&self, service: &Shared<'_>, queued: &Queued) -> io::Result<()> {
        match queued {
            Queued::Drain => handover::send(&self.socket, &Order::Drain, &[]),
            Queued::Level(level) => handover::send(&self.socket, &Order::Level { level: *level }, &[]),
            Queued::Unlink(link) => handover::send(&self.socket, &Order::Unlink { link: *link }, &[]),
            Queued::Link(id) => {
                // A client that went away in the meantime needs no introduction.
                let Some(link) = service.links.get(id) else { return Ok(()) };
                let Link { geometry, inner_bell, peer, .. } = *link;
                let order = Order::Link { link: *id, geometry, uid: peer.uid, pid: peer.pid, inner_bell };
                let Some(inner_bell) = service.inner_bells.bell(inner_bell) else { return Ok(()) };
                let mut descriptors = vec![link.request.as_fd(), link.reply.as_fd(), link.bell.as_fd(), inner_bell];
                // Without us the client is to notice nothing as long as somebody serves.
                let theirs = service.clients.get(&link.client).filter(|_| self.has_legacy);
                descriptors.extend(theirs.map(|client| client.socket.as_fd()));
                handover::send(&self.socket, &order, &descriptors)
            }
        }
    }

    /// Sends what it can. A worker that is gone is found so by its socket, not here.
    fn flush(&mut self, service: &Shared<'_>, watch: &Watch) {
        while let Some(queued) = self.outbox.front() {
            match self.send(service, queued) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                _ => self.outbox.pop_front(),
            };
        }
        // It fails only for a descriptor that is not watched, and then the worker is on its way out.
        let _unwatched = watch.want_write(&self.socket, self.token, !self.outbox.is_empty());
    }
}

/// What of a service its workers' messages are made from.
struct Shared<'a> {
    links: &'a HashMap<LinkId, Link>,
    clients: &'a HashMap<u64, Client>,
    inner_bells: &'a InnerBells,
}

impl Service {
    pub(crate) fn admit(&mut self, number: WorkerId, watch: &mut Watch) -> io::Result<OwnedFd> {
        let incarnation = self
            .incarnations
            .allot()
            .ok_or_else(|| io::Error::other("all lines of the service's board are taken: too many workers at once"))?;
        let (ours, theirs) = handover::pair()?;
        let start = Order::Start(self.start(number, incarnation));
        let stats = self.meters.make_page(number)?;
        let mut descriptors: Vec<BorrowedFd<'_>> = vec![self.board_file.as_fd(), self.pool_bell.as_fd(), stats.as_fd()];
        let rendezvous = self.rendezvous.as_ref().map(|(rendezvous, _)| rendezvous.socket.as_fd());
        let outlives = self.heirs.as_ref().map(|heirs| heirs.socket.as_fd()).zip(rendezvous);
        descriptors.extend(outlives.into_iter().flat_map(|(heirs, rendezvous)| [rendezvous, heirs]));
        descriptors.extend(self.options.listeners.iter().map(AsFd::as_fd));
        let told = handover::send(&ours, &start, &descriptors);
        let watched = told.and_then(|()| watch.add(&ours, Source::Worker(self.key, number)));
        let token = watched.inspect_err(|_| self.meters.retire(number, |_| false))?;
        let outbox = self.links.keys().map(|link| Queued::Link(*link)).collect();
        let has_legacy = outlives.is_some();
        self.workers.insert(number, Worker { socket: ours, token, incarnation, outbox, has_legacy });
        self.flush(number, watch);
        Ok(theirs)
    }

    fn start(&self, worker: WorkerId, incarnation: Incarnation) -> Start {
        let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Start {
            version: VERSION,
            service: self.options.name.clone(),
            worker,
            incarnation,
            shm_message_max: self.options.shm_message_max,
            tcp_message_max: self.options.tcp_message_max,
            deadline_us: micros(self.options.deadline),
            spin_us: micros(self.options.spin),
            trust: self.options.trust,
            driver: self.options.driver,
            compression: self.options.compression,
            log_level: self.options.log_level,
            peers: Peers { uids: self.options.allow.uids.clone(), gids: self.options.allow.gids.clone() },
            legacy: self.options.legacy.clone().filter(|_| self.heirs.is_some() && self.rendezvous.is_some()),
        }
    }

    pub(crate) fn flush(&mut self, number: WorkerId, watch: &Watch) {
        let shared = Shared { links: &self.links, clients: &self.clients, inner_bells: &self.inner_bells };
        if let Some(worker) = self.workers.get_mut(&number) {
            worker.flush(&shared, watch);
        }
    }

    pub(crate) fn announce(&mut self, link: LinkId, watch: &Watch) {
        self.tell_all(|| Queued::Link(link), watch);
    }

    pub(crate) fn retract(&mut self, link: LinkId, watch: &Watch) {
        self.tell_all(|| Queued::Unlink(link), watch);
    }

    pub(crate) fn drain(&mut self, number: WorkerId, watch: &mut Watch) {
        if let Some(worker) = self.workers.get_mut(&number) {
            worker.outbox.push_back(Queued::Drain);
        }
        self.flush(number, watch);
    }

    /// From now on its workers log from this level up.
    pub(crate) fn set_level(&mut self, level: Level, watch: &Watch) {
        self.options.log_level = level;
        self.tell_all(|| Queued::Level(level), watch);
    }

    /// What a worker's loop is doing now.
    pub(crate) fn look(&self, number: WorkerId) -> Option<Look> {
        let worker = self.workers.get(&number)?;
        let line = self.board.line(worker.incarnation.0.get());
        let method = self.methods_running(line);
        Some(Look { mode: line.mode(worker.incarnation.0.get()), method, turns: self.meters.turns(number) })
    }

    fn tell_all(&mut self, what: impl Fn() -> Queued, watch: &Watch) {
        let shared = Shared { links: &self.links, clients: &self.clients, inner_bells: &self.inner_bells };
        for worker in self.workers.values_mut() {
            worker.outbox.push_back(what());
            worker.flush(&shared, watch);
        }
    }
}
