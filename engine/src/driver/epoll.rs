//! The driver for where io_uring is forbidden: hears by epoll which sockets are ready, and reads and writes them
//! itself.
//!
//! Sockets are watched edge-triggered in both directions, so that each costs one `epoll_ctl` in its life. An edge makes
//! a socket *ready*; it stays so until a call has found nothing more there.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::mem;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::{Chunk, Completion, Driver, Outgoing, Tag};
use crate::budget::Sizes;

/// Events that are taken at once.
const EVENTS: usize = 256;
/// The watched epoll descriptor's name among the tags, which count up from 1 << 16.
const WATCHED: u64 = 0;
/// Of so many looks while there is other work, one asks the kernel: a look costs a system call here, about 0.3 us.
const ASK_EVERY: u32 = 16;

struct Socket {
    fd: Rc<OwnedFd>,
    receiving: bool,
    /// Something may be there to be read.
    readable: bool,
    /// The peer, or we, have ended something: reads go on until they say what.
    ended: bool,
    /// What could not be sent at once, and how far it is.
    sending: Option<Box<(Outgoing, usize)>>,
    /// How it is sent.
    flags: SendFlags,
    /// In the list of those to be gone on with.
    queued: bool,
}

pub(crate) struct Epoll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    sockets: HashMap<u64, Socket>,
    /// Sockets on which something can be done without waiting.
    runnable: VecDeque<u64>,
    ready: VecDeque<Completion>,
    memory: Vec<u8>,
    chunk: usize,
    free: Vec<u16>,
    looks: u32,
}

impl Epoll {
    pub(crate) fn new(sizes: Sizes) -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(EVENTS),
            sockets: HashMap::new(),
            runnable: VecDeque::new(),
            ready: VecDeque::new(),
            memory: vec![0; usize::from(sizes.buffers) * sizes.buffer],
            chunk: sizes.buffer,
            free: (0..sizes.buffers).collect(),
            looks: 0,
        })
    }

    /// The socket of this tag, watched from now on.
    fn socket(&mut self, fd: &Rc<OwnedFd>, tag: Tag) -> io::Result<&mut Socket> {
        if !self.sockets.contains_key(&tag.0) {
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&self.epoll, fd, EventData::new_u64(tag.0), flags)?;
        }
        Ok(self.sockets.entry(tag.0).or_insert_with(|| Socket {
            fd: Rc::clone(fd),
            receiving: false,
            readable: false,
            ended: false,
            sending: None,
            flags: SendFlags::empty(),
            queued: false,
        }))
    }

    fn queue(&mut self, key: u64) {
        if let Some(socket) = self.sockets.get_mut(&key).filter(|socket| !socket.queued) {
            socket.queued = true;
            self.runnable.push_back(key);
        }
    }

    /// Asks the kernel which sockets are ready.
    fn ask(&mut self, longest: Option<Duration>) -> io::Result<()> {
        self.looks = 0;
        let time = longest.map(|time| Timespec::try_from(time).unwrap_or_default());
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), time.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in mem::take(&mut self.events).drain(..) {
            self.heard(event);
        }
        self.events.reserve(EVENTS);
        Ok(())
    }

    fn heard(&mut self, event: epoll::Event) {
        let (key, flags) = (event.data.u64(), event.flags);
        if key == WATCHED {
            return self.ready.push_back(Completion::Watched { more: true });
        }
        let Some(socket) = self.sockets.get_mut(&key) else { return };
        let ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        socket.ended |= ended;
        socket.readable |= ended || flags.contains(EventFlags::IN);
        if (socket.receiving && socket.readable) || socket.sending.is_some() {
            self.queue(key);
        }
    }

    /// Goes on with each socket that is ready, once.
    fn go_on(&mut self) {
        for _ in 0..self.runnable.len() {
            let Some(key) = self.runnable.pop_front() else { return };
            if let Some(socket) = self.sockets.get_mut(&key) {
                socket.queued = false;
                self.send_on(key);
                self.read(key);
            }
        }
    }

    fn read(&mut self, key: u64) {
        let Some(socket) = self.sockets.get_mut(&key).filter(|socket| socket.receiving && socket.readable) else {
            return;
        };
        let Some(id) = self.free.pop() else {
            // All buffers wait to be reaped: it has its turn when they have been.
            return self.queue(key);
        };
        let start = usize::from(id) * self.chunk;
        let room = &mut self.memory[start..start + self.chunk];
        let received = rustix::net::recv(&socket.fd, room, RecvFlags::DONTWAIT).map(|(_, len)| len);
        if received != Ok(0) && received.is_ok() {
            // Less than there was room for: it is empty now, and an edge will say when it is not.
            socket.readable = socket.ended || received == Ok(self.chunk);
        }
        let (received, more) = match received {
            Ok(0) => (Ok(None), false),
            Ok(len) => (Ok(Some(Chunk { id, len })), true),
            Err(Errno::AGAIN) => {
                socket.readable = false;
                self.free.push(id);
                return;
            }
            Err(Errno::INTR) => {
                self.free.push(id);
                return self.queue(key);
            }
            Err(error) => (Err(error.into()), false),
        };
        socket.receiving = more;
        if !more {
            self.free.push(id);
        } else if socket.readable {
            self.queue(key);
        }
        self.ready.push_back(Completion::Received { tag: Tag(key), received, more });
    }

    fn send_on(&mut self, key: u64) {
        let rest = self.sockets.get_mut(&key).and_then(|socket| socket.sending.take());
        if let Some(rest) = rest {
            let (bytes, sent) = *rest;
            self.send_from(key, bytes, sent);
        }
    }

    fn send_from(&mut self, key: u64, bytes: Outgoing, mut sent: usize) {
        let Some(socket) = self.sockets.get_mut(&key) else { return };
        let result = loop {
            let rest = &bytes.bytes()[sent..];
            if rest.is_empty() {
                break Ok(());
            }
            match rustix::net::send(&socket.fd, rest, socket.flags) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    // An edge says when there is room.
                    socket.sending = Some(Box::new((bytes, sent)));
                    return;
                }
                Err(error) => break Err(error.into()),
            }
        };
        self.ready.push_back(Completion::Sent { tag: Tag(key), sent: bytes, result });
    }

    fn failed(&mut self, tag: Tag, error: io::Error) {
        self.ready.push_back(Completion::Received { tag, received: Err(error), more: false });
    }
}

impl Driver for Epoll {
    fn receive(&mut self, socket: &Rc<OwnedFd>, tag: Tag) {
        match self.socket(socket, tag) {
            Ok(socket) => {
                socket.receiving = true;
                if socket.readable {
                    self.queue(tag.0);
                }
            }
            Err(error) => self.failed(tag, error),
        }
    }

    fn stop_receiving(&mut self, tag: Tag) {
        if let Some(socket) = self.sockets.get_mut(&tag.0).filter(|socket| socket.receiving) {
            socket.receiving = false;
            self.failed(tag, Errno::CANCELED.into());
        }
    }

    fn send(&mut self, socket: &Rc<OwnedFd>, tag: Tag, bytes: Outgoing, more: bool) {
        match self.socket(socket, tag) {
            Ok(socket) => {
                let more = if more { SendFlags::MORE } else { SendFlags::empty() };
                socket.flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL | more;
                self.send_from(tag.0, bytes, 0);
            }
            Err(error) => self.ready.push_back(Completion::Sent { tag, sent: bytes, result: Err(error) }),
        }
    }

    fn forget(&mut self, socket: &Rc<OwnedFd>, tag: Tag) {
        if self.sockets.remove(&tag.0).is_some() {
            // Closing would do the same, unless something else holds the socket open.
            let _absent = epoll::delete(&self.epoll, socket);
        }
    }

    fn watch(&mut self, epoll: BorrowedFd<'_>) -> io::Result<()> {
        // Level-triggered: it is heard of until its own events have been taken.
        Ok(epoll::add(&self.epoll, epoll, EventData::new_u64(WATCHED), EventFlags::IN)?)
    }

    fn reap(&mut self) -> Option<Completion> {
        self.ready.pop_front()
    }

    fn bytes(&self, chunk: &Chunk) -> &[u8] {
        let start = usize::from(chunk.id) * self.chunk;
        &self.memory[start..start + chunk.len]
    }

    fn recycle(&mut self, chunk: Chunk) {
        self.free.push(chunk.id);
    }

    fn has_work(&mut self) -> bool {
        if !self.ready.is_empty() || !self.runnable.is_empty() {
            return true;
        }
        self.looks += 1;
        if self.looks < ASK_EVERY {
            return false;
        }
        // An error shows again when the loop waits.
        let _later = self.ask(Some(Duration::ZERO));
        !self.ready.is_empty() || !self.runnable.is_empty()
    }

    fn wants_submitting(&mut self) -> bool {
        self.looks += 1;
        !self.runnable.is_empty() || self.looks >= ASK_EVERY
    }

    fn submit(&mut self) -> io::Result<()> {
        self.ask(Some(Duration::ZERO))?;
        self.go_on();
        Ok(())
    }

    fn wait(&mut self, longest: Option<Duration>) -> io::Result<()> {
        let at_once = !self.ready.is_empty() || !self.runnable.is_empty();
        self.ask(if at_once { Some(Duration::ZERO) } else { longest })?;
        self.go_on();
        Ok(())
    }
}
