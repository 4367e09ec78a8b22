//! Frames that are built once and sent as they are: what a server can do, whatever its client library costs. The same
//! client drives the floors with the very same bytes, and ours, as docs/protocol.md has them.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};

use super::engine::{self, Engine};
use super::floors::own_version;
use super::frames::{Frames, Polled, connect, fits};
use super::ours::{EPOLL_FILE, FILE};
use super::{Client, Contender, Does, Group, Shape};
use crate::floors::epoll;
use crate::floors::uring::{self, Turn};
use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;

const HEADER: usize = 48;
/// The end of an archive of a byte string: where its bytes are, and how many.
const TAIL: usize = 8;

/// Bytes of a frame with a byte string of this many.
fn framed(size: usize) -> usize {
    HEADER + size.next_multiple_of(4) + TAIL
}

pub(super) fn framed_shape(shape: Shape) -> Shape {
    Shape { size: framed(shape.size), ..shape }
}

/// A call of this method, with room for its id and its argument.
fn build(method: u64, size: usize) -> Vec<u8> {
    let body = u32::try_from(framed(size) - HEADER).expect("rows are small");
    let back = i32::try_from(size.next_multiple_of(4)).expect("rows are small");
    let mut frame = vec![0xF5, b'S', b'V', b'C', 1, 4, 0, 1];
    frame.extend([0; 8]);
    frame.extend(method.to_le_bytes());
    frame.extend(30_000_000_u64.to_le_bytes());
    frame.extend([body.to_le_bytes(), body.to_le_bytes()].concat());
    frame.extend([0; 8]);
    frame.resize(framed(size) - TAIL, 0);
    frame.extend((-back).to_le_bytes());
    frame.extend(u32::try_from(size).expect("rows are small").to_le_bytes());
    frame
}

/// Greets as an untyped client does; returns the method's id.
pub(super) fn greet(stream: &mut TcpStream) -> Result<u64> {
    let hello =
        br#"{"version_min":1,"version_max":1,"library":"bench","service":"echo","methods":[{"name":"echo_bytes"}]}"#;
    let mut frame = vec![0xF5, b'S', b'V', b'C', 1, 1, 0, 0];
    frame.resize(HEADER, 0);
    let len = u32::try_from(hello.len())?.to_le_bytes();
    frame[32..40].copy_from_slice(&[len, len].concat());
    frame.extend(hello);
    stream.write_all(&frame)?;
    let mut header = [0; HEADER];
    stream.read_exact(&mut header)?;
    ensure!(header[5] == 2, "the service did not say WELCOME but kind {}", header[5]);
    let len = u32::from_le_bytes([header[32], header[33], header[34], header[35]]);
    let mut body = vec![0; len as usize];
    stream.read_exact(&mut body)?;
    let welcome: serde_json::Value = serde_json::from_slice(&body)?;
    let id = welcome["methods"][0]["id"].as_str().context("WELCOME without an id")?;
    Ok(u64::from_str_radix(id, 16)?)
}

/// The client.
pub(super) struct Prebuilt<S> {
    frames: Frames<S>,
    request: Vec<u8>,
    reply: Vec<u8>,
    next: u64,
    /// The id of the reply that is due; floors only echo.
    due: Option<u64>,
}

impl<S: Read + Write> Prebuilt<S> {
    pub(super) fn new(stream: S, shape: Shape, method: Option<u64>) -> Self {
        let shape_framed = framed_shape(shape);
        Self {
            frames: Frames::new(stream, shape_framed),
            request: build(method.unwrap_or_default(), shape.size),
            reply: vec![0; shape_framed.size],
            next: 0,
            due: method.map(|_| 0),
        }
    }
}

impl<S: Read + Write> Client for Prebuilt<S> {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.request[8..16].copy_from_slice(&self.next.to_le_bytes());
        self.request[HEADER..HEADER + request.len()].copy_from_slice(request);
        self.next += 1;
        self.frames.send(&self.request)
    }

    fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()> {
        self.frames.receive(&mut self.reply)?;
        if let Some(due) = &mut self.due {
            let is_it = self.reply[5] == 5 && self.reply[8..16] == due.to_le_bytes() && self.reply[16..20] == [0; 4];
            if !is_it {
                return Err(io::Error::other(format!("no reply to call {due}: {:02x?}", &self.reply[..HEADER])));
            }
            *due += 1;
        }
        let len = reply.len();
        reply.copy_from_slice(&self.reply[HEADER..HEADER + len]);
        Ok(())
    }
}

/// A server, and how its client waits.
pub(super) struct Framed {
    name: &'static str,
    what: &'static str,
    server: Server,
    is_polled: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Server {
    /// With this file.
    Ours(&'static str),
    Epoll,
    Uring(Turn),
}

pub(super) const URING: Framed = Framed {
    name: "floor-uring-framed",
    what: "floor-uring with the bytes of our frames, its client with frames that were built before",
    server: Server::Uring(Turn::Sleeping),
    is_polled: false,
};
pub(super) const URING_SPIN: Framed = Framed {
    name: "floor-uring-spin-framed",
    what: "floor-uring-spin with the bytes of our frames, its client with frames that were built before",
    server: Server::Uring(Turn::Spinning),
    is_polled: true,
};
pub(super) const EPOLL: Framed = Framed {
    name: "floor-epoll-framed",
    what: "floor-epoll with the bytes of our frames, its client with frames that were built before",
    server: Server::Epoll,
    is_polled: false,
};
pub(super) const OURS: Framed = Framed {
    name: "speedysvc-tcp-framed",
    what: "our engine over TCP, with the client of floor-uring-framed",
    server: Server::Ours(FILE),
    is_polled: false,
};
pub(super) const OURS_POLLED: Framed = Framed {
    name: "speedysvc-tcp-framed-poll",
    what: "our engine over TCP, with the client of floor-uring-spin-framed",
    server: Server::Ours(FILE),
    is_polled: true,
};
pub(super) const OURS_EPOLL: Framed = Framed {
    name: "speedysvc-epoll-framed",
    what: "speedysvc-tcp-framed with `driver = \"epoll\"`",
    server: Server::Ours(EPOLL_FILE),
    is_polled: false,
};
pub(super) const OURS_EPOLL_POLLED: Framed = Framed {
    name: "speedysvc-epoll-framed-poll",
    what: "speedysvc-tcp-framed-poll with `driver = \"epoll\"`",
    server: Server::Ours(EPOLL_FILE),
    is_polled: true,
};

impl Server {
    fn is_ours(self) -> bool {
        matches!(self, Self::Ours(_))
    }
}

impl Contender for Framed {
    fn name(&self) -> &'static str {
        self.name
    }

    fn group(&self) -> Group {
        if self.server.is_ours() { Group::Ours } else { Group::Floor }
    }

    fn what(&self) -> &'static str {
        self.what
    }

    fn version(&self) -> String {
        match self.server {
            Server::Ours(_) => engine::version().unwrap_or_else(|_| "not built".into()),
            Server::Epoll | Server::Uring(_) => own_version(),
        }
    }

    fn takes(&self, shape: Shape) -> bool {
        fits(framed_shape(shape))
    }

    fn does(&self, what: Does) -> bool {
        what == Does::Echo
    }

    fn missing(&self) -> Option<String> {
        engine::program().err().filter(|_| self.server.is_ours()).map(|error| format!("{error:#}"))
    }

    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible> {
        if let Server::Ours(file) = self.server {
            let engine = Engine::start(file)?;
            let address = engine.tcp_address("echo")?.replace("tcp://", "");
            parent.ready(&address, &engine.processes()?)?;
            parent.wait_for_its_end();
            engine.stop();
            std::process::exit(0)
        }
        let listener = TcpListener::bind("127.0.0.1:0")?;
        parent.end_with_it()?;
        parent.ready(&listener.local_addr()?.to_string(), &[std::process::id()])?;
        match self.server {
            Server::Uring(turn) => Ok(uring::serve(&listener, framed_shape(shape), turn)?),
            Server::Epoll | Server::Ours(_) => Ok(epoll::serve(&listener, framed_shape(shape))?),
        }
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        let open = || -> Result<(TcpStream, Option<u64>)> {
            let mut stream = connect(address)?;
            let method = if self.server.is_ours() { Some(greet(&mut stream)?) } else { None };
            stream.set_nonblocking(self.is_polled)?;
            Ok((stream, method))
        };
        if self.is_polled {
            return job.run(|| open().map(|(stream, method)| Prebuilt::new(Polled(stream), job.shape, method)));
        }
        job.run(|| open().map(|(stream, method)| Prebuilt::new(stream, job.shape, method)))
    }
}
