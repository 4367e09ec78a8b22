//! The client's side of contenders that echo frames of one size over a stream, without any header.

use std::hint;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use anyhow::Result;

use super::{Client, Shape};

/// Room for what is read at once when several calls are in flight.
pub(super) const READ: usize = 64 * 1024;

/// Bytes in flight that fit into any socket's buffers, so that two sides that both write cannot block each other.
pub(super) fn fits(shape: Shape) -> bool {
    shape.depth == 1 || shape.size * shape.depth <= READ
}

pub(super) fn connect(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The same, to be polled.
pub(super) fn connect_polled(address: &str) -> Result<Polled<TcpStream>> {
    let stream = connect(address)?;
    stream.set_nonblocking(true)?;
    Ok(Polled(stream))
}

/// A socket that is never waited for: a read or a write that cannot go on is tried again at once.
pub(super) struct Polled<S>(pub(super) S);

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

/// A connection. With several calls in flight on it alone, requests are gathered until there is no reply left to read;
/// with several connections each is written at once, since the next reply may be one of another connection.
pub(super) struct Frames<S> {
    stream: S,
    shape: Shape,
    unsent: Vec<u8>,
    input: Vec<u8>,
    taken: usize,
    filled: usize,
}

impl<S> Frames<S> {
    pub(super) fn new(stream: S, shape: Shape) -> Self {
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
        if self.shape.depth == 1 || self.shape.connections > 1 {
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
