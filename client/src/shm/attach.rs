//! Meeting a service's broker at its rendezvous socket.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use speedysvc_protocol::control::Attached;
use speedysvc_protocol::hello::Hello;
use speedysvc_protocol::shm::handover;
use speedysvc_protocol::shm::link::{Board, ClientLink};
use speedysvc_protocol::shm::segment::Access;
use speedysvc_protocol::status::{Code, Failure};

use super::learned::Sizes;
use super::looking::Looking;
use super::parks::Parks;
use super::queued::WaitingBytes;
use super::room::Room;
use super::slots::Slots;
use super::{Apart, Rescues, ShmConnection};
use crate::call::Agreed;
use crate::clock::{Deadline, now_ns};
use crate::error::Error;

/// Request segment, reply segment, bell, board.
const DESCRIPTORS: usize = 4;
/// How often a broker may die in the middle of a greeting before that is an error; it may also have hung up on us
/// because many do not greet.
const TRIES: u32 = 3;
/// Before the next try.
const PAUSE: Duration = Duration::from_millis(10);
const START_IT: &str = "is the service running? `speedysvc-engine --config FILE` starts it";

/// Attaches to the service whose rendezvous socket is at `path`.
pub(crate) fn attach(
    path: &Path,
    hello: &Hello,
    deadline: Deadline,
    rescues: &Arc<Rescues>,
) -> Result<Arc<ShmConnection>, Error> {
    let named = |error: Error| error.within(&path.display().to_string());
    let mut tries = 1;
    let (socket, answer) = loop {
        match greet(path, hello, deadline).map_err(named)? {
            Some((socket, answer)) => break (socket, answer),
            None if tries < TRIES => {
                tries += 1;
                std::thread::sleep(PAUSE.min(deadline.left().unwrap_or_default()));
            }
            None => return Err(named(Error::not_started(Code::Unavailable, "the service closed the connection"))),
        }
    };
    match answer {
        (Attached::Refused { refusal }, _) => Err(Failure::from(refusal).into()),
        (Attached::Welcome { welcome, geometry, sleeps_at_once, .. }, descriptors) => {
            let mut agreed = Agreed::new(welcome, hello.methods.len())?;
            // Whatever was said, what does not fit the link cannot be sent.
            agreed.message_max = agreed.message_max.min(usize::try_from(geometry.heap()).unwrap_or(usize::MAX));
            let made = |error: io::Error| named(unmapped(&error));
            let [request, reply, bell, board]: [OwnedFd; DESCRIPTORS] =
                descriptors.try_into().map_err(|_| made(io::ErrorKind::InvalidData.into()))?;
            let link = ClientLink::map(geometry, request, reply).map_err(made)?;
            let board = Board::map(board, Access::ReadOnly).map_err(made)?;
            Ok(Arc::new_cyclic(|me| ShmConnection {
                sizes: (0..agreed.methods()).map(|_| Sizes::default()).collect(),
                largest_reply: u32::try_from(agreed.message_max).unwrap_or(u32::MAX),
                agreed,
                board,
                bell,
                socket,
                slots: Slots::new(&link, now_ns()),
                link,
                room: Apart(Mutex::new(Room::new(geometry))),
                rescues: Arc::clone(rescues),
                broken_ns: AtomicU64::new(0),
                owes_look: Apart(AtomicBool::new(false)),
                parks: Apart(Parks::default()),
                waiting_bytes: WaitingBytes::default(),
                looking: Looking::new(sleeps_at_once),
                me: Weak::clone(me),
            }))
        }
    }
}

/// One greeting and its answer. `None` when the broker is gone before it has answered: another may be coming.
fn greet(path: &Path, hello: &Hello, deadline: Deadline) -> Result<Option<Greeted>, Error> {
    let socket = meet(path, deadline)?;
    match handover::send(&socket, hello, &[]) {
        Err(error) if is_gone(&error) => return Ok(None),
        sent => sent.map_err(|error| broken(&error))?,
    }
    wait_for_answer(&socket, deadline)?;
    match handover::receive::<Attached>(&socket, DESCRIPTORS) {
        Err(error) if is_gone(&error) => Ok(None),
        received => Ok(received.map_err(|error| broken(&error))?.map(|answer| (socket, answer))),
    }
}

/// A socket, and what came over it.
type Greeted = (OwnedFd, (Attached, Vec<OwnedFd>));

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn meet(path: &Path, deadline: Deadline) -> Result<OwnedFd, Error> {
    let late = || Error::not_started(Code::DeadlineExceeded, "the service did not accept the connection in time");
    let address = SocketAddrUnix::new(path)
        .map_err(|error| Error::not_started(Code::InvalidArgument, format!("no path of a socket: {error}")))?;
    let made = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let socket = made.map_err(no_way)?;
    loop {
        // Connecting waits while the broker's backlog is full, and the send timeout bounds that.
        let left = deadline.left().ok_or_else(late)?;
        set_socket_timeout(&socket, Timeout::Send, Some(left)).map_err(no_way)?;
        match connect(&socket, &address) {
            Ok(()) => return Ok(socket),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(no_way(error)),
        }
    }
}

fn no_way(error: Errno) -> Error {
    let unavailable = |text: String| Error::not_started(Code::Unavailable, text);
    match error {
        Errno::NOENT | Errno::NOTDIR => unavailable(format!("no such socket: {START_IT}")),
        Errno::CONNREFUSED => unavailable(format!("the socket is there and nobody listens on it: {START_IT}")),
        Errno::ACCESS | Errno::PERM => {
            let message = "this user may not connect: see `allow` in the service's file";
            Error::not_started(Code::PermissionDenied, message)
        }
        Errno::PROTOTYPE => unavailable("a socket of another kind is there: not speedysvc".to_owned()),
        other => unavailable(io::Error::from(other).to_string()),
    }
}

/// No memory is this process's own affair; anything else is wrong with what came.
fn unmapped(error: &io::Error) -> Error {
    let (code, whose) = match error.kind() {
        io::ErrorKind::OutOfMemory => (Code::ResourceExhausted, "this process has no memory for the link, which"),
        _ => (Code::Internal, "the link"),
    };
    Error::not_started(code, format!("{whose} cannot be mapped: {error}"))
}

fn broken(error: &io::Error) -> Error {
    Error::not_started(Code::Unavailable, format!("the handshake failed: {error}"))
}

fn wait_for_answer(socket: &OwnedFd, deadline: Deadline) -> Result<(), Error> {
    loop {
        let Some(left) = deadline.left() else {
            let message = "the service did not answer the handshake in time";
            return Err(Error::not_started(Code::DeadlineExceeded, message));
        };
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(socket, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(broken(&error.into())),
        }
    }
}
