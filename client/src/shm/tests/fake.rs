//! A broker and a worker in this process, made of the protocol's own parts, that do just what a test says.

use std::num::NonZeroU16;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen, socket_with};
use speedysvc_protocol::control::Attached;
use speedysvc_protocol::hello::{Given, Hello, LIBRARY, VERSION, Welcome};
use speedysvc_protocol::ids::{Incarnation, LinkId, MethodId, MethodIndex};
use speedysvc_protocol::shm::board::Mode;
use speedysvc_protocol::shm::claim::{Look, Request};
use speedysvc_protocol::shm::layout::{Geometry, Grant, INLINE};
use speedysvc_protocol::shm::link::{Board, LinkFiles, WorkerLink};
use speedysvc_protocol::shm::segment::Access;
use speedysvc_protocol::shm::{doorbell, handover};
use speedysvc_protocol::status::Status;
use speedysvc_protocol::wire::Wire;
use tempfile::TempDir;

use crate::test_calls::wait_for_client;

/// The method of which the service says that it may be called twice.
pub const IDEMPOTENT: &str = "idempotent";
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a condition.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::yield_now();
    }
}

pub struct Broker {
    _folder: TempDir,
    pub path: PathBuf,
    listener: OwnedFd,
}

impl Broker {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fake.sock");
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&listener, 8).unwrap();
        Self { _folder: folder, path, listener }
    }

    /// Accepts one client and says nothing.
    pub fn accept(&self) -> (OwnedFd, Hello) {
        wait_for_client(&self.listener);
        let socket = accept(&self.listener).unwrap();
        let (hello, _) = handover::receive::<Hello>(&socket, 0).unwrap().unwrap();
        (socket, hello)
    }

    /// Accepts one client and gives it a link.
    pub fn attach(&self, slots: u16, message_max: u64) -> Worker {
        let (socket, hello) = self.accept();
        let geometry = Geometry::for_messages(slots, message_max).unwrap();
        let files = LinkFiles::create(geometry).unwrap();
        let bell = doorbell::bell().unwrap();
        let (board, board_read_only) = Board::create().unwrap();
        let methods = (0..).zip(&hello.methods).map(|(place, wanted)| Given {
            index: MethodIndex(place),
            id: MethodId(7),
            idempotent: wanted.name == IDEMPOTENT,
        });
        let welcome = Welcome {
            version: VERSION,
            library: LIBRARY.to_owned(),
            message_max,
            deadline_us: 20_000_000,
            methods: methods.collect(),
            wire: Wire::default(),
        };
        let answer = Attached::Welcome { welcome, link: LinkId(1), geometry, sleeps_at_once: false };
        let descriptors = [files.request.as_fd(), files.reply_read_only.as_fd(), bell.as_fd(), board_read_only.as_fd()];
        handover::send(&socket, &answer, &descriptors).unwrap();
        Worker {
            socket: Some(socket),
            link: WorkerLink::map(geometry, &files.request, &files.reply).unwrap(),
            board: Board::map(&board, Access::ReadWrite).unwrap(),
            bell,
            me: Incarnation(NonZeroU16::new(9).unwrap()),
        }
    }
}

pub struct Worker {
    socket: Option<OwnedFd>,
    pub link: WorkerLink,
    board: Board,
    bell: OwnedFd,
    pub me: Incarnation,
}

/// A claimed call.
#[derive(Clone, Copy)]
pub struct Taken {
    pub slot: usize,
    pub request: Request,
    pub grant: Grant,
}

impl Worker {
    /// The broker's end closes.
    pub fn hang_up(&mut self) {
        self.socket = None;
    }

    /// Says that this loop looks at the link all the time.
    pub fn poll_openly(&self) {
        self.board.line(self.me.0.get()).set(self.me, Mode::Scan);
        assert!(self.link.poller().adopt(self.me, |number| self.board.line(number)));
    }

    pub fn poll_no_more(&self) {
        self.link.poller().leave(self.me);
    }

    /// How often the bell was rung since the last look; a real worker never reads it.
    pub fn rings(&self) -> u64 {
        let mut count = [0; 8];
        rustix::io::read(&self.bell, &mut count).map_or(0, |_| u64::from_ne_bytes(count))
    }

    pub fn try_take(&self) -> Option<Taken> {
        (0..self.link.geometry().slots()).find_map(|slot| match self.link.slot(slot).claim(self.me, |_| true) {
            Look::Nothing | Look::Left(_) => None,
            Look::Taken(request) => Some(Taken { slot, request, grant: request.grant(self.link.geometry()).unwrap() }),
            Look::Broken(fault) => panic!("the client broke a rule: {fault}"),
        })
    }

    pub fn take(&self) -> Taken {
        until("a call", || self.try_take())
    }

    pub fn body(&self, taken: &Taken) -> Vec<u8> {
        let mut body = vec![0; taken.request.head.len as usize];
        if body.len() <= INLINE {
            self.link.slot(taken.slot).read_inline(&mut body);
        } else {
            self.link.copy_out(taken.grant, &mut body);
        }
        body
    }

    pub fn answer(&self, taken: &Taken, status: Status, body: &[u8]) {
        self.answer_silently(taken, status, body);
        self.link.slot(taken.slot).wake(taken.request.seq);
    }

    /// Publishes without looking whether somebody sleeps: a lost wake.
    pub fn answer_silently(&self, taken: &Taken, status: Status, body: &[u8]) {
        let inline = if body.len() <= INLINE { body } else { &[] };
        if inline.len() < body.len() {
            self.link.copy_in(taken.grant, body);
        }
        let len = u32::try_from(body.len()).unwrap();
        self.link.slot(taken.slot).publish(self.me, taken.request.seq, status, len, inline);
    }

    /// Publishes a length alone.
    pub fn announce(&self, taken: &Taken, status: Status, len: u32) {
        self.link.slot(taken.slot).publish(self.me, taken.request.seq, status, len, &[]);
        self.link.slot(taken.slot).wake(taken.request.seq);
    }

    /// Gives back what comes, until told to stop.
    pub fn echo(&self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            match self.try_take() {
                Some(taken) => self.answer(&taken, Status::Ok, &self.body(&taken)),
                None => thread::yield_now(),
            }
        }
    }
}
