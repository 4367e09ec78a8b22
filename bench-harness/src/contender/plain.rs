//! Plain sockets, as one would write them with the standard library. Frames have the row's size: no header.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::thread;

use anyhow::Result;

use super::floors::own_version;
use super::frames::{self, Frames, Polled, READ, fits};
use super::{Contender, Does, Group, Shape};
use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;

/// A thread that reads and writes needs little.
const STACK: usize = 64 * 1024;

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

    fn does(&self, what: Does) -> bool {
        matches!(what, Does::Echo | Does::Idle)
    }

    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible> {
        serve_tcp(shape, parent, false)
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        job.run(|| Ok(Frames::new(frames::connect(address)?, job.shape)))
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
        job.run(|| Ok(Frames::new(frames::connect_polled(address)?, job.shape)))
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

    fn does(&self, what: Does) -> bool {
        matches!(what, Does::Echo | Does::Idle)
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
