//! Raw epoll echo over TCP: edge-triggered, one read and one write for each event when nothing is in the way.

use std::convert::Infallible;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use slab::Slab;

use crate::contender::Shape;

/// Events that are taken at once.
const EVENTS: usize = 256;
/// What a connection reads at once, at least.
const READ_MIN: usize = 4 * 1024;
/// Clients beyond it are turned away.
const CONNECTIONS_MAX: usize = 16 * 1024;
/// The listener's key. Connections have those of their places.
const LISTENER: u64 = u64::MAX;

/// Answers for ever.
pub(crate) fn serve(listener: &TcpListener, shape: Shape) -> io::Result<Infallible> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections = Slab::with_capacity(shape.connections);
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            match event.data.u64() {
                LISTENER => accept(&epoll, listener, &mut connections, shape)?,
                key => go_on(&mut connections, usize::try_from(key).map_err(io::Error::other)?),
            }
        }
    }
}

fn accept(epoll: &OwnedFd, listener: &TcpListener, connections: &mut Slab<Connection>, shape: Shape) -> io::Result<()> {
    let stream = match listener.accept() {
        Ok((stream, _)) => stream,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
        Err(error) => return Err(error),
    };
    if connections.len() < CONNECTIONS_MAX {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let entry = connections.vacant_entry();
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        epoll::add(epoll, &stream, EventData::new_u64(entry.key() as u64), flags)?;
        entry.insert(Connection::new(stream, shape));
    }
    Ok(())
}

/// Does what can be done on a connection, and closes it when that is its end.
fn go_on(connections: &mut Slab<Connection>, key: usize) {
    match connections[key].go_on() {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Ok(()) => {}
        // It has ended, or broke.
        Err(_) => drop(connections.remove(key)),
    }
}

/// One client.
struct Connection {
    stream: TcpStream,
    frame: usize,
    /// Room for all that the row has in flight: whole frames, of which some are sent, and the beginning of another.
    buffer: Vec<u8>,
    sent: usize,
    whole: usize,
    filled: usize,
}

impl Connection {
    fn new(stream: TcpStream, shape: Shape) -> Self {
        let buffer = vec![0; (shape.size * shape.depth).max(READ_MIN)];
        Self { stream, frame: shape.size, buffer, sent: 0, whole: 0, filled: 0 }
    }

    /// Until a read that brings less than there was room for has emptied the socket: another event says when more
    /// arrives.
    fn go_on(&mut self) -> io::Result<()> {
        loop {
            self.send()?;
            let room = &mut self.buffer[self.filled..];
            let asked = room.len();
            let read = self.stream.read(room)?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.filled += read;
            self.whole = self.filled - self.filled % self.frame;
            if read < asked {
                return self.send();
            }
        }
    }

    /// Sends what is whole, and moves what is not to the front.
    fn send(&mut self) -> io::Result<()> {
        while self.sent < self.whole {
            self.sent += self.stream.write(&self.buffer[self.sent..self.whole])?;
        }
        self.buffer.copy_within(self.whole..self.filled, 0);
        self.filled -= self.whole;
        (self.sent, self.whole) = (0, 0);
        Ok(())
    }
}
