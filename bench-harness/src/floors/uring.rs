//! Raw io_uring echo over TCP: multishot accept and receive into provided buffers; whole frames are sent from where
//! they arrived. As small as it can be with the flags that ours uses.

use std::convert::Infallible;
use std::io;
use std::mem;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use io_uring::types::Fd;
use io_uring::{cqueue, opcode};
use rustix::io::Errno;
use rustix::net::{SendFlags, sockopt};
use slab::Slab;

use super::chunks::{self, Chunks};
use super::queue::Queue;
pub(crate) use super::queue::{Rung, Turn};
use crate::contender::Shape;

/// Bytes of a buffer: the row's calls in flight, within these limits.
const CHUNK_MIN: usize = 4 * 1024;
const CHUNK_MAX: usize = 64 * 1024;
/// Buffers: two for each connection, and as many as one of the largest calls needs.
const CHUNKS_MIN: usize = 32;
/// Clients beyond it are turned away.
const CONNECTIONS_MAX: usize = 16 * 1024;
/// From `linux/socket.h`: a send goes on until all is sent, so that a short one is rare.
const MSG_WAITALL: u32 = 0x100;

/// What a completion is of: the low two bits of its user data; the rest is the connection.
const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;

fn data(key: usize, kind: u64) -> u64 {
    (key as u64) << 2 | kind
}

/// One client.
struct Connection {
    socket: OwnedFd,
    /// What arrived while a reply was under way, or is no whole frame yet: at most what the row has in flight.
    kept: Vec<u8>,
    /// The reply under way. There is never more than one, so that replies keep their order.
    reply: Option<Reply>,
    /// The last reply's memory, to be used again.
    spare: Vec<u8>,
    /// It has closed: it goes when no reply is under way.
    is_over: bool,
}

/// Bytes that the kernel sends, and how far it is.
struct Reply {
    source: Source,
    sent: usize,
    len: usize,
}

enum Source {
    Chunk(u16),
    Kept(Vec<u8>),
}

struct Echo {
    queue: Queue,
    chunks: &'static mut Chunks,
    connections: Slab<Connection>,
    listener: i32,
    frame: usize,
    in_flight_max: usize,
    /// Connections whose receiving ended because no buffer was left.
    starved: Vec<usize>,
}

/// Answers for ever.
pub(crate) fn serve(listener: &TcpListener, shape: Shape, turn: Turn) -> io::Result<Infallible> {
    serve_with(listener, shape, turn, Rung::NoSqArray)
}

/// The same with other flags.
pub(crate) fn serve_with(listener: &TcpListener, shape: Shape, turn: Turn, rung: Rung) -> io::Result<Infallible> {
    let queue = Queue::new(rung)?;
    let in_flight_max = shape.size * shape.depth;
    let len = in_flight_max.clamp(CHUNK_MIN, CHUNK_MAX).next_multiple_of(CHUNK_MIN);
    let chunks = Chunks::provide(&queue.submitter, CHUNKS_MIN.max(shape.connections * 2), len)?;
    // Never dropped: a reply may still be under way when something fails.
    let echo = Box::leak(Box::new(Echo {
        queue,
        chunks,
        connections: Slab::with_capacity(shape.connections),
        listener: listener.as_raw_fd(),
        frame: shape.size,
        in_flight_max,
        starved: vec![],
    }));
    echo.accept()?;
    loop {
        echo.queue.turn(turn)?;
        while let Some(completion) = echo.queue.next() {
            echo.completed(&completion)?;
        }
        for key in mem::take(&mut echo.starved) {
            echo.receive(key)?;
        }
    }
}

impl Echo {
    fn accept(&mut self) -> io::Result<()> {
        let entry = opcode::AcceptMulti::new(Fd(self.listener)).build().user_data(ACCEPT);
        // SAFETY: it names no memory of ours.
        unsafe { self.queue.push(&entry) }
    }

    fn receive(&mut self, key: usize) -> io::Result<()> {
        let socket = Fd(self.connections[key].socket.as_raw_fd());
        let entry = opcode::RecvMulti::new(socket, chunks::GROUP).build().user_data(data(key, RECEIVE));
        // SAFETY: it names no memory but that of the provided buffers, which is never unmapped.
        unsafe { self.queue.push(&entry) }
    }

    fn completed(&mut self, completion: &cqueue::Entry) -> io::Result<()> {
        let (data, flags) = (completion.user_data(), completion.flags());
        let result = usize::try_from(completion.result());
        let result = result.map_err(|_| Errno::from_raw_os_error(-completion.result()));
        let key = usize::try_from(data >> 2).map_err(io::Error::other)?;
        match data & 3 {
            ACCEPT => self.accepted(result, cqueue::more(flags)),
            RECEIVE => self.received(key, result, cqueue::buffer_select(flags), cqueue::more(flags)),
            _ => self.sent(key, result),
        }
    }

    fn accepted(&mut self, result: Result<usize, Errno>, more: bool) -> io::Result<()> {
        let number = i32::try_from(result?).map_err(io::Error::other)?;
        // SAFETY: the kernel has just opened this descriptor for us, and nobody else knows it.
        let socket = unsafe { OwnedFd::from_raw_fd(number) };
        if self.connections.len() < CONNECTIONS_MAX {
            sockopt::set_tcp_nodelay(&socket, true)?;
            let connection = Connection { socket, kept: vec![], reply: None, spare: vec![], is_over: false };
            let key = self.connections.insert(connection);
            self.receive(key)?;
        }
        if more { Ok(()) } else { self.accept() }
    }

    fn received(&mut self, key: usize, result: Result<usize, Errno>, chunk: Option<u16>, more: bool) -> io::Result<()> {
        match (result, chunk) {
            (Ok(len), Some(id)) => {
                self.arrived(key, id, len)?;
                if more { Ok(()) } else { self.receive(key) }
            }
            (Err(Errno::NOBUFS), _) => {
                self.starved.push(key);
                Ok(())
            }
            // The end, or an error of this connection alone.
            (Ok(_) | Err(_), _) => {
                self.connections[key].is_over = true;
                self.end_if_over(key);
                Ok(())
            }
        }
    }

    /// Whole frames alone are sent from where they are; all else is put together first.
    fn arrived(&mut self, key: usize, id: u16, len: usize) -> io::Result<()> {
        let connection = &mut self.connections[key];
        if connection.reply.is_none() && connection.kept.is_empty() && len.is_multiple_of(self.frame) {
            connection.reply = Some(Reply { source: Source::Chunk(id), sent: 0, len });
            return self.send(key);
        }
        self.chunks.append(id, len, &mut connection.kept);
        self.chunks.give_back(id);
        if connection.kept.len() > self.in_flight_max {
            return Err(io::Error::other("a client has more in flight than its row says"));
        }
        self.send_kept(key)
    }

    /// Sends the whole frames that were kept, unless a reply is under way.
    fn send_kept(&mut self, key: usize) -> io::Result<()> {
        let connection = &mut self.connections[key];
        let len = connection.kept.len() - connection.kept.len() % self.frame;
        if connection.reply.is_some() || len == 0 {
            return Ok(());
        }
        let mut kept = mem::take(&mut connection.spare);
        kept.extend_from_slice(&connection.kept[len..]);
        let bytes = mem::replace(&mut connection.kept, kept);
        connection.reply = Some(Reply { source: Source::Kept(bytes), sent: 0, len });
        self.send(key)
    }

    /// Sends what is left of the reply that is under way.
    fn send(&mut self, key: usize) -> io::Result<()> {
        let connection = &self.connections[key];
        let Some(Reply { source, sent, len }) = &connection.reply else { return Ok(()) };
        let bytes = match source {
            Source::Chunk(id) => self.chunks.start(*id, *len).wrapping_add(*sent).cast_const(),
            Source::Kept(bytes) => bytes[*sent..*len].as_ptr(),
        };
        let left = u32::try_from(len - sent).map_err(io::Error::other)?;
        let flags = (SendFlags::NOSIGNAL.bits() | MSG_WAITALL).cast_signed();
        let entry = opcode::Send::new(Fd(connection.socket.as_raw_fd()), bytes, left).flags(flags).build();
        // SAFETY: the bytes are in a chunk, which is never unmapped, or in a `Vec` that the connection's reply owns and
        // nobody changes; `sent` takes the reply only after the completion, `end_if_over` spares connections that have
        // one, and `serve` never drops them.
        unsafe { self.queue.push(&entry.user_data(data(key, SEND))) }
    }

    fn sent(&mut self, key: usize, result: Result<usize, Errno>) -> io::Result<()> {
        let connection = &mut self.connections[key];
        let Some(mut reply) = connection.reply.take() else { return Ok(()) };
        match result {
            Ok(count) => reply.sent += count,
            // The connection is broken; its receiving ends, too, and says so.
            Err(_) => reply.sent = reply.len,
        }
        if reply.sent < reply.len {
            connection.reply = Some(reply);
            return self.send(key);
        }
        match reply.source {
            Source::Chunk(id) => self.chunks.give_back(id),
            Source::Kept(mut bytes) => {
                bytes.clear();
                connection.spare = bytes;
            }
        }
        self.send_kept(key)?;
        self.end_if_over(key);
        Ok(())
    }

    fn end_if_over(&mut self, key: usize) {
        if self.connections[key].is_over && self.connections[key].reply.is_none() {
            self.connections.remove(key);
        }
    }
}
