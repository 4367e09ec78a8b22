//! TCP by tokio-uring on both sides, as plain as it can be used: frames have the row's size, and no header.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::Result;
use bench_harness::{Client, Job, Outcome, Parent, Shape};
use tokio_uring::Runtime;
use tokio_uring::buf::BoundedBuf;
use tokio_uring::net::{TcpListener, TcpStream};

use crate::peer::{self, Peer};

/// Room for what is read at once when several calls are in flight.
const READ: usize = 64 * 1024;

pub const PEER: Peer =
    Peer { name: "tokio-uring", version: concat!("tokio-uring ", env!("VERSION_TOKIO_URING")), serve, drive };

fn room(shape: Shape) -> usize {
    (shape.size * shape.depth).max(READ)
}

/// Reads behind what is filled already, and says how far it is filled now.
async fn read(stream: &TcpStream, buffer: Vec<u8>, filled: usize) -> io::Result<(Vec<u8>, usize)> {
    let (read, slice) = stream.read(buffer.slice(filled..)).await;
    match read? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        read => Ok((slice.into_inner(), filled + read)),
    }
}

/// Answers whole frames, as many as have come, until the client goes.
async fn echo(stream: TcpStream, shape: Shape) -> io::Result<Infallible> {
    let mut buffer = vec![0; room(shape)];
    let mut filled = 0;
    loop {
        (buffer, filled) = read(&stream, buffer, filled).await?;
        let whole = filled - filled % shape.size;
        if whole > 0 {
            let (written, slice) = stream.write_all(buffer.slice(..whole)).await;
            written?;
            buffer = slice.into_inner();
            buffer.copy_within(whole..filled, 0);
            filled -= whole;
        }
    }
}

fn serve(shape: Shape, parent: &Parent) -> Result<Infallible> {
    let listener = peer::listen(parent)?;
    tokio_uring::start(async {
        let listener = TcpListener::from_std(listener);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio_uring::spawn(echo(stream, shape));
        }
    })
}

fn drive(address: &str, job: &Job) -> Result<Outcome> {
    let address: SocketAddr = address.parse()?;
    let runtime = Rc::new(Runtime::new(&tokio_uring::builder())?);
    job.run(|| {
        let stream = runtime.block_on(TcpStream::connect(address))?;
        stream.set_nodelay(true)?;
        let (unsent, input) = (vec![], vec![0; if job.shape.depth == 1 { 0 } else { room(job.shape) }]);
        Ok(Frames { runtime: Rc::clone(&runtime), stream, shape: job.shape, unsent, input, taken: 0, filled: 0 })
    })
}

/// The client's side. With several calls in flight on one connection alone, requests are gathered until there is no
/// reply left to read, as with the harness's plain sockets.
struct Frames {
    stream: TcpStream,
    runtime: Rc<Runtime>,
    shape: Shape,
    unsent: Vec<u8>,
    input: Vec<u8>,
    taken: usize,
    filled: usize,
}

impl Frames {
    /// Writes what is unsent. Buffers go into the kernel and come back.
    fn flush(&mut self) -> io::Result<()> {
        let (written, unsent) = self.runtime.block_on(self.stream.write_all(mem::take(&mut self.unsent)));
        self.unsent = unsent;
        self.unsent.clear();
        written
    }

    fn fill(&mut self) -> io::Result<()> {
        self.input.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
        while self.filled < self.shape.size {
            if !self.unsent.is_empty() {
                self.flush()?;
            }
            let reading = read(&self.stream, mem::take(&mut self.input), self.filled);
            (self.input, self.filled) = self.runtime.block_on(reading)?;
        }
        Ok(())
    }
}

impl Client for Frames {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.unsent.extend_from_slice(request);
        if self.shape.depth == 1 || self.shape.connections > 1 { self.flush() } else { Ok(()) }
    }

    fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()> {
        if self.shape.depth == 1 {
            let mut filled = 0;
            while filled < self.shape.size {
                let reading = read(&self.stream, mem::take(reply), filled);
                (*reply, filled) = self.runtime.block_on(reading)?;
            }
            return Ok(());
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
