//! Taking in who connects, or leaving it to another loop that has fewer connections.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Once};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use speedysvc_protocol::ids::Incarnation;
use speedysvc_protocol::shm::link::Board;
use speedysvc_protocol::stats::Counter;

use super::{Connections, peers};
use crate::budget::CONNECTIONS;
use crate::clock::now_ns;
use crate::driver::Driver;

/// Connections accepted from one listener in one turn, before those that are open have theirs.
const ACCEPTS_PER_TURN: usize = 32;

/// The other loops of this service, as far as the board knows them.
pub(crate) struct Neighbours {
    pub(crate) board: Option<Arc<Board>>,
    pub(crate) me: Incarnation,
}

impl Neighbours {
    /// So many connections are here now.
    pub(super) fn say(&self, connections: usize) {
        if let Some(board) = &self.board {
            board.line(self.me.0.get()).set_connections(connections);
        }
    }

    fn fewest(&self) -> Option<usize> {
        self.board.as_ref()?.fewest_connections(self.me)
    }
}

impl Connections {
    /// Accepts whoever is waiting, unless all connections are taken, descriptors ran out, the worker drains, or another
    /// should have them. Whether anybody was accepted.
    pub(super) fn accept(&mut self, driver: &mut dyn Driver) -> bool {
        let is_full = self.starved || self.open.len() >= CONNECTIONS;
        if !self.knocked || self.draining || is_full {
            return false;
        }
        let was_waiting = self.gives_way.until_ns().is_some();
        let most = self.gives_way.most(self.open.len(), self.neighbours.fewest(), now_ns());
        if most == 0 {
            if !was_waiting && !self.anybody_waits() {
                self.gives_way.is_over();
                self.knocked = false;
            }
            return false;
        }
        let before = self.open.len();
        self.knocked = self.accept_up_to(most, driver);
        let accepted = self.open.len() - before;
        self.neighbours.say(self.open.len());
        accepted > 0
    }

    /// Accepts so many. Whether more may be waiting.
    fn accept_up_to(&mut self, mut most: usize, driver: &mut dyn Driver) -> bool {
        let mut more = false;
        for index in 0..self.listeners.len() {
            for accepts in 0.. {
                if self.starved || self.open.len() >= CONNECTIONS {
                    return true;
                }
                if most == 0 || accepts == ACCEPTS_PER_TURN {
                    more = true;
                    break;
                }
                match rustix::net::acceptfrom_with(&self.listeners[index], SocketFlags::CLOEXEC) {
                    Ok((socket, address)) => {
                        most -= 1;
                        self.meter.count(Counter::ConnectionsAccepted);
                        match peers::admit(&self.peers, &socket, address) {
                            Some(peer) => self.greet(socket, peer, driver),
                            None => self.meter.count(Counter::ClosedRefused),
                        }
                    }
                    Err(Errno::AGAIN) => break,
                    Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                        self.starve();
                    }
                    // Whoever it was has gone again, or a signal came.
                    Err(_) => {}
                }
            }
        }
        more
    }

    /// Whether somebody waits in a backlog. Asked once of each that is left to others, so that none of ours wakes for
    /// one that has been taken.
    fn anybody_waits(&self) -> bool {
        let mut listeners: Vec<_> = self.listeners.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        // When it cannot be asked, somebody may.
        poll(&mut listeners, Some(&Timespec::default())).map_or(true, |ready| ready > 0)
    }

    /// Descriptors, or the kernel's memory, have run out. Trying again at once would only spin: the next try comes when
    /// one of ours is closed, and with the next look at who owes something, as others may have closed theirs.
    fn starve(&mut self) {
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            eprintln!(
                "speedysvc: no descriptors are left: who connects waits in the backlog. Raise the limit of this \
                 process (ulimit -n; in systemd LimitNOFILE=)"
            );
        });
        (self.starved, self.owing) = (true, true);
        self.meter.count(Counter::AcceptsStarved);
    }
}

/// Finds out about peers that vanished without a word, 60 seconds later at most: accepted sockets take this over from
/// their listeners.
pub(super) fn keep_alive(listener: &OwnedFd) {
    use rustix::net::sockopt;
    let (idle, between, probes) = (Duration::from_secs(30), Duration::from_secs(10), 3);
    // Other sockets than TCP's refuse it, and need it not.
    let _other: Result<(), Errno> = sockopt::set_socket_keepalive(listener, true)
        .and_then(|()| sockopt::set_tcp_keepidle(listener, idle))
        .and_then(|()| sockopt::set_tcp_keepintvl(listener, between))
        .and_then(|()| sockopt::set_tcp_keepcnt(listener, probes))
        // The same for what was sent and is not acknowledged.
        .and_then(|()| sockopt::set_tcp_user_timeout(listener, 60_000));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::num::NonZeroU16;
    use std::rc::Rc;
    use std::thread;

    use rustix::net::sockopt;
    use speedysvc_protocol::control::{DriverWish, Peers};
    use speedysvc_protocol::shm::board::Mode;
    use speedysvc_protocol::shm::segment::Access;
    use speedysvc_protocol::shm::stats_page::create_page;

    use crate::budget::Sizes;
    use crate::driver::choose;
    use crate::meter::Meter;
    use crate::source::tcp::Settings;

    const ONE: Incarnation = Incarnation(NonZeroU16::MIN);
    const TWO: Incarnation = Incarnation(NonZeroU16::MAX);

    /// The connections of one loop of a service.
    fn connections(listener: &TcpListener, board: &Arc<Board>, me: Incarnation) -> Connections {
        let settings = Settings { message_max: 1 << 20, deadline_us: 1_000_000, compression: None };
        let meter = Rc::new(Meter::new(&create_page().unwrap().0, 0).unwrap());
        let neighbours = Neighbours { board: Some(Arc::clone(board)), me };
        let listeners = vec![listener.try_clone().unwrap().into()];
        let connections = Connections::new(listeners, Peers::default(), settings, neighbours, meter);
        board.line(me.0.get()).set(me, Mode::Scan);
        connections
    }

    /// Decision 0059: the policy is tested by itself, in `share::accepting`.
    #[test]
    fn who_knocks_is_left_to_the_loop_that_has_fewer_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let board = Arc::new(Board::map(Board::create().unwrap().0, Access::ReadWrite).unwrap());
        let [mut one, mut two] = [ONE, TWO].map(|me| connections(&listener, &board, me));
        let mut driver = choose(DriverWish::Epoll, Sizes::default()).unwrap().driver;
        let knock = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _first = knock();
        assert!(one.accept(&mut *driver), "both have none");
        let _second = knock();
        assert!(!one.accept(&mut *driver) && one.longest_sleep(now_ns()).is_some(), "for a moment");
        assert!(two.accept(&mut *driver));
        assert_eq!((one.open.len(), two.open.len()), (1, 1));
        // Nobody waits any more: it does not look again.
        assert!(!two.accept(&mut *driver));
        one.accept(&mut *driver);
        let _third = knock();
        one.knock();
        assert!(one.accept(&mut *driver), "both have one");
        // The other one does not look.
        let _fourth = knock();
        one.knock();
        assert!(!one.accept(&mut *driver));
        while !one.accept(&mut *driver) {
            thread::yield_now();
        }
        board.line(TWO.0.get()).set(TWO, Mode::Busy);
        let _fifth = knock();
        one.knock();
        assert!(one.accept(&mut *driver), "the other one is in a handler");
        assert_eq!((one.open.len(), two.open.len()), (4, 1));
        board.line(TWO.0.get()).set(TWO, Mode::Scan);
        let _more: Vec<TcpStream> = (0..3).map(|_| knock()).collect();
        two.knock();
        assert!(two.accept(&mut *driver));
        assert_eq!((one.open.len(), two.open.len()), (4, 4), "as many as are fair at once");
    }

    /// Fault row C8. That the kernel keeps this promise is its own affair.
    #[test]
    fn accepted_sockets_find_out_about_peers_that_vanished() {
        let listener: OwnedFd = TcpListener::bind("127.0.0.1:0").unwrap().into();
        keep_alive(&listener);
        let listener = TcpListener::from(listener);
        let _theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let ours = listener.accept().unwrap().0;
        assert!(sockopt::socket_keepalive(&ours).unwrap());
        let (idle, between) = (sockopt::tcp_keepidle(&ours).unwrap(), sockopt::tcp_keepintvl(&ours).unwrap());
        assert!(idle + between * sockopt::tcp_keepcnt(&ours).unwrap() <= Duration::from_secs(60));
        assert_eq!(sockopt::tcp_user_timeout(&ours).unwrap(), 60_000);
    }
}
