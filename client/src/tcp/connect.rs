//! Making a connection: find, connect, greet.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use speedysvc_protocol::frame::{self, Kind, Sent};
use speedysvc_protocol::hello::{Hello, Refusal, Welcome};
use speedysvc_protocol::limits::{HELLO_MAX, MESSAGE_TEXT_MAX};
use speedysvc_protocol::status::{Code, Failure};

use super::TcpConnection;
use super::frames::Frame;
use super::socket::{self, Input, NoInput, SetTimeout, Wait};
use crate::address::Wishes;
use crate::call::Agreed;
use crate::clock::Deadline;
use crate::error::Error;

/// Connects to the first of the host's addresses that answers. Finding a host by name takes as long as the system's
/// resolver does; everything else ends at the deadline.
pub(crate) fn connect(
    (host, port): (&str, u16),
    wishes: Wishes,
    hello: &Hello,
    deadline: Deadline,
) -> Result<TcpConnection, Error> {
    let unknown_host = |why: String| {
        let message = format!("{host}:{port}: the host cannot be found: {why}");
        Error::not_started(Code::Unavailable, message)
    };
    let addresses = (host, port).to_socket_addrs().map_err(|error| unknown_host(error.to_string()))?;
    let mut last = None;
    for address in addresses {
        let hello = Hello { wire: wishes.offer(address.ip().is_loopback()), ..hello.clone() };
        match meet(|| reach(address, deadline), &hello, deadline) {
            Ok(met) => return met.map_err(|error| error.within(&address.to_string())),
            Err(unreached) => last = Some(unreached),
        }
    }
    Err(last.unwrap_or_else(|| unknown_host("it has no addresses".to_owned())))
}

/// How often a handshake that breaks off is begun again: a worker may die or drain between accepting and answering, and
/// another one listens on the same port.
const HANDSHAKES: u32 = 3;

/// Reaches and greets. The outer error is that nobody was reached there.
fn meet(
    reach: impl Fn() -> Result<TcpStream, Error>,
    hello: &Hello,
    deadline: Deadline,
) -> Result<Result<TcpConnection, Error>, Error> {
    let mut met = greet(reach()?, hello, deadline);
    for _ in 1..HANDSHAKES {
        match &met {
            // Nobody has judged the greeting: it was cut off.
            Err(error) if error.code() == Code::Unavailable => met = greet(reach()?, hello, deadline),
            _ => break,
        }
    }
    Ok(met)
}

fn reach(address: SocketAddr, deadline: Deadline) -> Result<TcpStream, Error> {
    let late = || Error::not_started(Code::DeadlineExceeded, format!("{address}: no answer in time"));
    let left = deadline.left().ok_or_else(late)?;
    TcpStream::connect_timeout(&address, left).map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => late(),
        io::ErrorKind::ConnectionRefused => {
            let message = format!("{address}: connection refused: nobody listens there; is the service running?");
            Error::not_started(Code::Unavailable, message)
        }
        _ => Error::not_started(Code::Unavailable, format!("{address}: {error}")),
    })
}

/// Connects to a Unix socket.
pub(crate) fn connect_unix(
    path: &Path,
    wishes: Wishes,
    hello: &Hello,
    deadline: Deadline,
) -> Result<TcpConnection, Error> {
    let hello = Hello { wire: wishes.offer(true), ..hello.clone() };
    meet(|| reach_unix(path, deadline), &hello, deadline)?
}

/// A Unix socket in the clothes of a TCP stream: of those nothing is used that other streams do not have.
fn reach_unix(path: &Path, deadline: Deadline) -> Result<TcpStream, Error> {
    let late = || Error::not_started(Code::DeadlineExceeded, format!("{}: no answer in time", path.display()));
    let left = deadline.left().ok_or_else(late)?;
    let reach = || {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        // Where the queue of a listener is full, connecting waits as sending does.
        set_socket_timeout(&socket, Timeout::Send, Some(left))?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(TcpStream::from(socket))
    };
    reach().map_err(|error| match error {
        Errno::AGAIN => late(),
        Errno::CONNREFUSED | Errno::NOENT => {
            let message = format!("{}: nobody listens there; is the service running?", path.display());
            Error::not_started(Code::Unavailable, message)
        }
        Errno::ACCESS => {
            let message = format!("{}: not allowed; `allow` of the service names who is", path.display());
            Error::not_started(Code::PermissionDenied, message)
        }
        _ => Error::not_started(Code::Unavailable, format!("{}: {error}", path.display())),
    })
}

fn greet(stream: TcpStream, hello: &Hello, deadline: Deadline) -> Result<TcpConnection, Error> {
    let broke = |why: &str| Error::not_started(Code::Unavailable, format!("the handshake failed: {why}"));
    // Calls are small and somebody waits for each: never hold one back to fill a packet.
    // Unix sockets do not know it, and a stream that is broken says so next.
    let _unknown = stream.set_nodelay(true);
    let text = serde_json::to_vec(hello).map_err(|error| broke(&error.to_string()))?;
    if text.len() > HELLO_MAX {
        let message = format!("the contract's greeting has {} bytes, over the limit of {HELLO_MAX}", text.len());
        return Err(Error::not_started(Code::ResourceExhausted, message));
    }
    let head = frame::head(Kind::Hello, Sent::plain(&text), false);
    socket::send(&stream, &mut SetTimeout::default(), [&head, &text], deadline).map_err(|unsent| match unsent {
        Some(error) => broke(&error.to_string()),
        None => late(),
    })?;
    let mut input = Input::new(HELLO_MAX);
    let frame = first_frame(&stream, &mut input, deadline)?;
    let body = frame.body.as_slice();
    match frame.kind {
        Kind::Welcome => {
            let welcome: Welcome = serde_json::from_slice(body).map_err(|error| broke(&error.to_string()))?;
            let agreed = Agreed::new(welcome, hello.methods.len())?;
            // Texts of errors may be longer than the messages of a service that allows very short ones only.
            input.frames.agree(agreed.message_max.saturating_add(MESSAGE_TEXT_MAX), agreed.wire);
            Ok(TcpConnection::new(stream, agreed, input))
        }
        Kind::Refused => {
            let refusal: Refusal = serde_json::from_slice(body).map_err(|error| broke(&error.to_string()))?;
            Err(Failure::from(refusal).into())
        }
        Kind::Goodbye => Err(broke("the worker takes no new calls")),
        _ => Err(broke("the service answered with a frame that is no answer")),
    }
}

/// The first frame alone: what comes behind it is left for the connection.
fn first_frame(stream: &TcpStream, input: &mut Input, deadline: Deadline) -> Result<Frame, Error> {
    let explain = |no_input| match no_input {
        NoInput::Lost(why) => Error::not_started(Code::Unavailable, format!("the handshake failed: {why}")),
        NoInput::Bad(bad) => {
            let message = format!("what answers there is not speedysvc: {bad}");
            Error::not_started(Code::FailedPrecondition, message)
        }
    };
    loop {
        if let Some(frame) = input.frames.next().map_err(|bad| explain(NoInput::Bad(bad)))? {
            return Ok(frame);
        }
        let left = deadline.left().ok_or_else(late)?;
        input.fill(stream, Wait::AtMost(left)).map_err(explain)?;
    }
}

fn late() -> Error {
    Error::not_started(Code::DeadlineExceeded, "the service did not answer the handshake in time")
}
