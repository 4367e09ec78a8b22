//! Calls from TCP: all connections of this loop, and the listeners that they came from.

mod accept;
mod arrivals;
mod connection;
mod open;
mod patience;
mod peers;
mod pool;
mod receive_buffer;

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::net::sockopt::set_tcp_nodelay;
use speedysvc_protocol::context::Peer;
use speedysvc_protocol::control::Peers;
use speedysvc_protocol::shm::peer_rows::Who;
use speedysvc_protocol::stats::Counter;

use crate::beside::Ticket;
use crate::clock::now_ns;
use crate::dispatch::{Elsewhere, Runner};
use crate::driver::{Completion, Driver, Tag};
use crate::meter::Meter;
use crate::share::accepting::GivesWay;
pub(crate) use accept::Neighbours;
use accept::keep_alive;
use connection::Connection;
pub(crate) use connection::Settings;
use open::Open;
use pool::Pool;

/// How often peers that owe something are looked at.
const CHECK_NS: u64 = 1_000_000_000;

/// After a turn that took longer than this callers may have given up what waited.
const LONG_TURN_NS: u64 = 100_000;
/// Turns with work behind a long one in which that is so: what came during it is read in the next one or, by epoll, in
/// that after it.
const WARY_TURNS: u32 = 3;

pub(crate) struct Connections {
    listeners: Vec<OwnedFd>,
    /// Who may connect to those that are Unix sockets.
    peers: Peers,
    /// Somebody may be waiting in a listener's backlog.
    knocked: bool,
    gives_way: GivesWay,
    neighbours: Neighbours,
    open: Open,
    /// Counts up with each connection, so that a tag never names a successor.
    generation: u64,
    /// Keys of connections with something to do.
    dirty: VecDeque<usize>,
    /// When the last turn with work began.
    turned_ns: u64,
    /// Turns with work in which callers may have given up what waited.
    wary: u32,
    /// When the bytes came that have been reaped since.
    came_ns: Option<u64>,
    pool: Pool,
    /// When peers that owe something are looked at next; none does when there is no time.
    check_ns: Option<u64>,
    owing: bool,
    draining: bool,
    /// Descriptors ran out: accepting waits until one is free, and clients in the listener's backlog.
    starved: bool,
    meter: Rc<Meter>,
}

impl Connections {
    pub(crate) fn new(
        listeners: Vec<OwnedFd>,
        peers: Peers,
        settings: Settings,
        neighbours: Neighbours,
        meter: Rc<Meter>,
    ) -> Self {
        let (open, dirty, gives_way) = (Open::new(settings), VecDeque::new(), GivesWay::default());
        let (knocked, draining, starved) = (true, false, false);
        listeners.iter().for_each(keep_alive);
        neighbours.say(0);
        let (pool, check_ns, owing) = (Pool::default(), None, false);
        let generation = 0;
        Self {
            listeners,
            peers,
            knocked,
            gives_way,
            neighbours,
            open,
            generation,
            dirty,
            turned_ns: 0,
            wary: 0,
            came_ns: None,
            pool,
            check_ns,
            owing,
            draining,
            starved,
            meter,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The sockets that become readable when somebody connects.
    pub(crate) fn listeners(&self) -> &[OwnedFd] {
        &self.listeners
    }

    /// A listener became readable.
    pub(crate) fn knock(&mut self) {
        self.knocked = true;
    }

    /// Takes a completion that concerns sockets.
    pub(crate) fn completed(&mut self, completion: Completion, driver: &mut dyn Driver) {
        match completion {
            Completion::Received { tag, received, more } => {
                let open = self.open.find(tag);
                let bytes = received.as_ref().ok().and_then(Option::as_ref).map_or(0, |chunk| chunk.len);
                self.meter.add(Counter::TcpBytesIn, bytes as u64);
                match (open, received) {
                    (Some(key), received) => {
                        let connection = self.open.wake(key);
                        self.meter.peers().passed(connection.row(), bytes as u64, 0);
                        // What is reaped together came together: before the first of it was looked at.
                        let came_ns = *self.came_ns.get_or_insert_with(now_ns);
                        connection.received(received, (more, came_ns), &mut self.pool, driver);
                        self.mark(key);
                    }
                    (None, Ok(Some(chunk))) => driver.recycle(chunk),
                    (None, _) => {}
                }
            }
            Completion::Sent { tag, sent, result } => {
                let bytes = if result.is_ok() { sent.bytes().len() } else { 0 };
                self.meter.add(Counter::TcpBytesOut, bytes as u64);
                if let Some(key) = self.open.find(tag) {
                    let connection = self.open.wake(key);
                    self.meter.peers().passed(connection.row(), 0, bytes as u64);
                    if connection.sent(sent, &result, &mut self.pool) {
                        self.mark(key);
                    }
                }
            }
            Completion::Watched { .. } => {}
        }
    }

    fn greet(&mut self, socket: OwnedFd, peer: Peer, driver: &mut dyn Driver) {
        // Without it a reply could wait for an acknowledgement; failing means that the peer is gone already.
        let _gone = set_tcp_nodelay(&socket, true);
        self.generation += 1;
        // A greeting.
        self.owing = true;
        let (generation, row) = (self.generation << 16, self.meter.peers().arrive(Who::Socket(peer)));
        self.open.add(|key, settings| {
            let tag = Tag(generation | key as u64);
            let mut connection = Connection::new(Rc::new(socket), (peer, row), tag, settings);
            connection.start_receiving(driver);
            connection
        });
    }

    fn mark(&mut self, key: usize) {
        let connection = self.open.wake(key);
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push_back(key);
        }
    }

    /// Whether any connection waits for its turn.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Handles what has arrived and sends what is ready. Whether anything was done.
    pub(crate) fn serve(
        &mut self,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        driver: &mut dyn Driver,
    ) -> bool {
        // Who is marked from here on has the next turn.
        let mut waiting = self.dirty.len();
        let worked = waiting > 0;
        self.came_ns = None;
        runner.take_ran_long();
        let took_long = worked && self.took_long();
        let mut just_now = Some(self.turned_ns);
        while waiting > 0 {
            let Some(key) = self.dirty.pop_front() else { break };
            waiting -= 1;
            let connection = self.open.wake(key);
            connection.dirty = false;
            connection.others_wait = waiting > 0;
            connection.took_long = took_long;
            connection.turn_ns = just_now.take().unwrap_or_else(now_ns);
            let again = connection.serve(runner, elsewhere, &mut self.pool, driver);
            self.owing |= connection.owes();
            let over = connection.over();
            if let Some((why, closed)) = over.zip(over.and_then(|_| self.open.remove(key))) {
                closed.forget_away(runner);
                closed.forget(driver);
                self.meter.peers().leave(closed.row());
                self.meter.count(why);
                self.neighbours.say(self.open.len());
                self.descriptor_freed();
            } else if again {
                self.mark(key);
            }
            if runner.take_ran_long() {
                // The others have their turn after a look at everything else: what comes meanwhile is seen to come, and
                // this reply goes out. Those who waited are in front.
                self.settle(driver);
                break;
            }
        }
        self.accept(driver) || worked
    }

    /// Who waits here for the next turn leaves the driver's buffers to others.
    fn settle(&mut self, driver: &mut dyn Driver) {
        for key in &self.dirty {
            self.open.wake(*key).settle(&mut self.pool, driver);
        }
    }

    /// Whether so much time has passed since a turn with work, this one's last or one shortly before, that a caller may
    /// have given up meanwhile.
    fn took_long(&mut self) -> bool {
        let now_ns = now_ns();
        if now_ns.saturating_sub(std::mem::replace(&mut self.turned_ns, now_ns)) > LONG_TURN_NS {
            self.wary = WARY_TURNS;
        }
        let is_wary = self.wary > 0;
        self.wary = self.wary.saturating_sub(1);
        is_wary
    }

    /// A call that ran beside the loop is back, unless its connection has ended meanwhile.
    pub(crate) fn take_back(&mut self, tag: Tag, back: &Ticket, runner: &mut Runner) {
        if let Some(key) = self.open.find(tag) {
            self.open.wake(key).take_back(back, runner, &mut self.pool);
            self.mark(key);
        }
    }

    /// Ends connections whose peers have left something undone for too long. Whether there were any.
    pub(crate) fn tick(&mut self, now_ns: u64, runner: &Runner) -> bool {
        if !self.owing || now_ns < *self.check_ns.get_or_insert(now_ns + CHECK_NS) {
            return false;
        }
        let starved = std::mem::take(&mut self.starved);
        self.owing = false;
        let mut overdue = vec![];
        for (key, connection) in self.open.awake() {
            if connection.is_overdue(now_ns) {
                overdue.push(key);
            }
            self.owing |= connection.owes();
        }
        // Before the loop sleeps nobody asks again: without a time it would sleep until somebody else wakes it.
        self.check_ns = self.owing.then_some(now_ns + CHECK_NS);
        for key in &overdue {
            self.open.wake(*key).give_up(runner);
            self.mark(*key);
        }
        starved || !overdue.is_empty()
    }

    /// How long the loop may sleep at most, from now on.
    pub(crate) fn longest_sleep(&self, now_ns: u64) -> Option<Duration> {
        let next = [self.check_ns.filter(|_| self.owing), self.gives_way.until_ns()];
        let next_ns = next.into_iter().flatten().min()?;
        Some(Duration::from_nanos(next_ns.saturating_sub(now_ns).max(1)))
    }

    /// The loop is about to sleep: what is not needed until something comes is given back.
    pub(crate) fn rest(&mut self) {
        self.open.rest();
    }

    /// A descriptor of this process was closed: accepting may work again.
    pub(crate) fn descriptor_freed(&mut self) {
        self.starved = false;
    }

    /// Takes no more connections, and says goodbye on those that are open.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
        for key in self.open.keys() {
            self.open.wake(key).say_goodbye();
            self.mark(key);
        }
    }

    /// Ends connections on which nothing is under way. Called again and again while draining, with pauses.
    pub(crate) fn close_quiet(&mut self) {
        for key in self.open.quiet_keys() {
            self.open.wake(key).shut_down(Counter::ClosedDraining);
            self.mark(key);
        }
    }
}

/// Ends both directions of a socket, so that operations under way on it end too.
fn shutdown(socket: &OwnedFd) {
    // Not through io_uring, where it would go to a kernel thread. It fails when the peer is gone: then nothing is left
    // to end.
    let _gone: Result<(), io::Error> = rustix::net::shutdown(socket, rustix::net::Shutdown::Both).map_err(Into::into);
}

/// Ends our direction: the peer sees the end behind the last answer. Doing it twice does nothing.
fn half_close(socket: &OwnedFd) {
    // It fails when the peer is gone: then receiving ends, too.
    let _gone: Result<(), io::Error> = rustix::net::shutdown(socket, rustix::net::Shutdown::Write).map_err(Into::into);
}
