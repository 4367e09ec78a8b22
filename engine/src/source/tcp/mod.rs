//! Calls from TCP: all connections of this loop, and the listeners that they came from.

mod connection;
mod receive_buffer;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::sockopt::set_tcp_nodelay;
use slab::Slab;

use crate::budget::CONNECTIONS;
use crate::dispatch::{Elsewhere, Runner};
use crate::uring::{Completion, Ring, Tag};
use connection::{Connection, Settings};

/// Tags from here on are listeners.
const LISTENER: u64 = 1 << 62;

pub(crate) struct Connections {
    listeners: Vec<OwnedFd>,
    /// Whether accepting is under way, for each listener.
    accepting: Vec<bool>,
    open: Slab<Connection>,
    /// Counts up with each connection, so that a tag never names a successor.
    generation: u64,
    /// Keys of connections with something to do.
    dirty: Vec<usize>,
    settings: Settings,
    draining: bool,
    /// Descriptors ran out: accepting waits until one is free, and clients in the listener's backlog.
    starved: bool,
}

impl Connections {
    pub(crate) fn new(listeners: Vec<OwnedFd>, message_max: usize, deadline_us: u64) -> Self {
        let accepting = vec![false; listeners.len()];
        let settings = Settings { message_max, deadline_us };
        let (open, dirty) = (Slab::new(), Vec::new());
        Self { listeners, accepting, open, generation: 0, dirty, settings, draining: false, starved: false }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Starts accepting where that is not under way, unless all connections are taken or the worker drains.
    pub(crate) fn accept(&mut self, ring: &mut Ring) {
        if self.draining || self.starved || self.open.len() >= CONNECTIONS {
            return;
        }
        for (index, listener) in self.listeners.iter().enumerate() {
            if !std::mem::replace(&mut self.accepting[index], true) {
                ring.accept(listener.as_fd(), Tag(LISTENER + index as u64));
            }
        }
    }

    /// Takes a completion that concerns sockets.
    pub(crate) fn completed(&mut self, completion: Completion, ring: &mut Ring) {
        match completion {
            Completion::Accepted { tag, socket, more } => {
                let index = usize::try_from(tag.0 - LISTENER).expect("an index of ours");
                self.accepting[index] = more;
                // Errors of single connections end with them; if accepting ended too, the next turn starts it again.
                match socket {
                    Ok(socket) => self.greet(socket, ring),
                    Err(error) => self.starved = is_shortage(&error),
                }
            }
            Completion::Received { tag, received, more } => {
                let open = self.find(tag);
                match (open, received) {
                    (Some(key), received) => {
                        self.open[key].received(received, more, ring);
                        self.mark(key);
                    }
                    (None, Ok(Some(chunk))) => ring.recycle(chunk),
                    (None, _) => {}
                }
            }
            Completion::Sent { tag, buffer, result } => {
                if let Some(key) = self.find(tag) {
                    self.open[key].sent(buffer, result);
                    self.mark(key);
                }
            }
            Completion::Watched { .. } => {}
        }
    }

    fn greet(&mut self, socket: OwnedFd, ring: &mut Ring) {
        if self.draining || self.open.len() >= CONNECTIONS {
            return;
        }
        // Without it a reply could wait for an acknowledgement; failing means that the peer is gone already.
        let _gone = set_tcp_nodelay(&socket, true);
        self.generation += 1;
        let entry = self.open.vacant_entry();
        let tag = Tag(self.generation << 16 | entry.key() as u64);
        let mut connection = Connection::new(socket, tag, self.settings);
        connection.start_receiving(ring);
        entry.insert(connection);
    }

    fn find(&self, tag: Tag) -> Option<usize> {
        let key = usize::from(u16::try_from(tag.0 & 0xFFFF).expect("masked"));
        self.open.get(key).filter(|connection| connection.tag() == tag).map(|_| key)
    }

    fn mark(&mut self, key: usize) {
        if !self.open[key].dirty {
            self.open[key].dirty = true;
            self.dirty.push(key);
        }
    }

    /// Handles what has arrived and sends what is ready. Whether anything was done.
    pub(crate) fn serve(&mut self, runner: &mut Runner, elsewhere: &impl Elsewhere, ring: &mut Ring) -> bool {
        let dirty = std::mem::take(&mut self.dirty);
        let worked = !dirty.is_empty();
        for key in dirty {
            let connection = &mut self.open[key];
            connection.dirty = false;
            let again = connection.serve(runner, elsewhere, ring);
            if self.open[key].is_over() {
                self.open.remove(key);
                self.descriptor_freed();
            } else if again {
                self.mark(key);
            }
        }
        self.accept(ring);
        worked
    }

    /// A descriptor of this process was closed: accepting may work again.
    pub(crate) fn descriptor_freed(&mut self) {
        self.starved = false;
    }

    /// Takes no more connections, and says goodbye on those that are open.
    pub(crate) fn drain(&mut self, ring: &mut Ring) {
        self.draining = true;
        for index in 0..self.listeners.len() {
            if self.accepting[index] {
                ring.stop_accepting(Tag(LISTENER + index as u64));
            }
        }
        let all: Vec<usize> = self.open.iter().map(|(key, _)| key).collect();
        for key in all {
            self.open[key].say_goodbye();
            self.mark(key);
        }
    }

    /// Ends connections on which nothing is under way. Called again and again while draining, with pauses.
    pub(crate) fn close_quiet(&mut self) {
        let quiet: Vec<usize> =
            self.open.iter().filter(|(_, connection)| connection.is_quiet()).map(|(key, _)| key).collect();
        for key in quiet {
            self.open[key].shut_down();
            self.mark(key);
        }
    }
}

fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS))
}

/// Ends both directions of a socket, so that operations under way on it end too.
fn shutdown(socket: &OwnedFd) {
    // Not through the ring, where it would go to a kernel thread. It fails when the peer is gone: then nothing is left
    // to end.
    let _gone: Result<(), io::Error> = rustix::net::shutdown(socket, rustix::net::Shutdown::Both).map_err(Into::into);
}
