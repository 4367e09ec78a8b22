//! Plain sockets, as one would write them with the standard library. Frames have the row's size: no header.

use std::convert::Infallible;
use std::hint;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::thread;

use anyhow::Result;

use super::floors::own_version;
use super::{Client, Contender, Group, Shape};
use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;

/// Room for what is read at once when several calls are in flight.
const READ: usize = 64 * 1024;
/// A thread that reads and writes needs little.
const STACK: usize = 64 * 1024;

/// A socket that is never waited for: a read or a write that cannot go on is tried again at once.
struct Polled<S>(S);

fn again<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => hint::spin_loop(),
            done => return done,
        }
    }
}

impl<S: Read> Read for Polled<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        again(|| self.0.read(into))
    }
}

impl<S: Write> Write for Polled<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        again(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        again(|| self.0.flush())
    }
}

/// Answers whole frames, as many as have come, until the client goes.
fn echo(stream: &mut (impl Read + Write), shape: Shape) -> io::Result<()> {
    let mut buffer = vec![0; (shape.size * shape.depth).max(READ)];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let whole = filled - filled % shape.size;
        if whole > 0 {
            stream.write_all(&buffer[..whole])?;
            buffer.copy_within(whole..filled, 0);
            filled -= whole;
        }
    }
}

/// The client's side. With several calls in flight, requests are gathered until there is no reply left to read.
struct Frames<S> {
    stream: S,
    shape: Shape,
    unsent: Vec<u8>,
    input: Vec<u8>,
    taken: usize,
    filled: usize,
}

impl<S> Frames<S> {
    fn new(stream: S, shape: Shape) -> Self {
        let input = if shape.depth == 1 { vec![] } else { vec![0; (shape.size * shape.depth).max(READ)] };
        Self { stream, shape, unsent: vec![], input, taken: 0, filled: 0 }
    }
}

impl<S: Read + Write> Frames<S> {
    fn fill(&mut self) -> io::Result<()> {
        self.input.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
        while self.filled < self.shape.size {
            self.stream.write_all(&self.unsent)?;
            self.unsent.clear();
            match self.stream.read(&mut self.input[self.filled..])? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                read => self.filled += read,
            }
        }
        Ok(())
    }
}

impl<S: Read + Write> Client for Frames<S> {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        if self.shape.depth == 1 {
            return self.stream.write_all(request);
        }
        self.unsent.extend_from_slice(request);
        Ok(())
    }

    fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()> {
        if self.shape.depth == 1 {
            return self.stream.read_exact(reply);
        }
        if self.filled - self.taken < self.shape.size {
            self.fill()?;
        }
        let end = self.taken + self.shape.size;
        reply.copy_from_slice(&self.input[self.taken..end]);
        self.taken = end;
        Ok(())
    }
}

fn serve_tcp(shape: Shape, parent: &Parent, is_polled: bool) -> Result<Infallible> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    parent.end_with_it()?;
    parent.ready(&listener.local_addr()?.to_string(), &[std::process::id()])?;
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(is_polled)?;
        if is_polled { echo(&mut Polled(stream), shape)? } else { serve_one(stream, shape)? }
    }
}

/// Blocking servers have a thread for each connection, and none for a single one.
fn serve_one(mut stream: impl Read + Write + Send + 'static, shape: Shape) -> io::Result<()> {
    if shape.connections == 1 {
        return echo(&mut stream, shape);
    }
    thread::Builder::new().stack_size(STACK).spawn(move || echo(&mut stream, shape))?;
    Ok(())
}

fn connect_tcp(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Bytes in flight that fit into any socket's buffers, so that two sides that both write cannot block each other.
fn fits(shape: Shape) -> bool {
    shape.depth == 1 || shape.size * shape.depth <= READ
}

/// Blocking TCP.
pub(super) struct Tcp;

impl Contender for Tcp {
    fn name(&self) -> &'static str {
        "std-tcp"
    }

    fn group(&self) -> Group {
        Group::Plain
    }

    fn what(&self) -> &'static str {
        "std::net, blocking read and write_all over loopback, TCP_NODELAY"
    }

    fn version(&self) -> String {
        own_version()
    }

    fn takes(&self, shape: Shape) -> bool {
        fits(shape)
    }

    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible> {
        serve_tcp(shape, parent, false)
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        job.run(|| Ok(Frames::new(connect_tcp(address)?, job.shape)))
    }
}

/// TCP that never waits.
pub(super) struct TcpPoll;

impl Contender for TcpPoll {
    fn name(&self) -> &'static str {
        "std-tcp-poll"
    }

    fn group(&self) -> Group {
        Group::Floor
    }

    fn what(&self) -> &'static str {
        "std::net, non-blocking and tried again at once, on both sides; over loopback, TCP_NODELAY"
    }

    fn version(&self) -> String {
        own_version()
    }

    fn takes(&self, shape: Shape) -> bool {
        shape.connections == 1 && fits(shape)
    }

    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible> {
        serve_tcp(shape, parent, true)
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        job.run(|| {
            let stream = connect_tcp(address)?;
            stream.set_nonblocking(true)?;
            Ok(Frames::new(Polled(stream), job.shape))
        })
    }
}

/// Blocking Unix stream sockets.
pub(super) struct Unix;

impl Contender for Unix {
    fn name(&self) -> &'static str {
        "std-unix"
    }

    fn group(&self) -> Group {
        Group::Plain
    }

    fn what(&self) -> &'static str {
        "std::os::unix::net, blocking read and write_all over a stream socket"
    }

    fn version(&self) -> String {
        own_version()
    }

    fn takes(&self, shape: Shape) -> bool {
        fits(shape)
    }

    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible> {
        // An abstract name: there is no file that could stay behind.
        let name = format!("bench-harness-{}", std::process::id());
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        parent.end_with_it()?;
        parent.ready(&name, &[std::process::id()])?;
        loop {
            serve_one(listener.accept()?.0, shape)?;
        }
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        job.run(|| {
            let stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(address)?)?;
            Ok(Frames::new(stream, job.shape))
        })
    }
}
