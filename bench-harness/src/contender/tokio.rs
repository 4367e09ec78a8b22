//! tokio over TCP, on current-thread runtimes.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::rc::Rc;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use super::frames::{Frames, READ, fits};
use super::{Contender, Does, Group, Shape, version_of};
use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;

/// A runtime for one processor: no thread but this one.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().build()
}

/// tokio without anything on top.
pub(super) struct Tokio;

impl Contender for Tokio {
    fn name(&self) -> &'static str {
        "tokio-tcp"
    }

    fn group(&self) -> Group {
        Group::Plain
    }

    fn what(&self) -> &'static str {
        "tokio::net, a task per connection with read and write_all, current-thread runtimes on both sides, TCP_NODELAY"
    }

    fn version(&self) -> String {
        version_of("tokio")
    }

    fn takes(&self, shape: Shape) -> bool {
        fits(shape)
    }

    fn does(&self, what: Does) -> bool {
        matches!(what, Does::Echo | Does::Idle)
    }

    fn serve(&self, shape: Shape, parent: &Parent) -> Result<Infallible> {
        runtime()?.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            parent.end_with_it()?;
            parent.ready(&listener.local_addr()?.to_string(), &[std::process::id()])?;
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::spawn(echo(stream, shape));
            }
        })
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        let runtime = Rc::new(runtime()?);
        job.run(|| {
            let stream = runtime.block_on(TcpStream::connect(address))?;
            stream.set_nodelay(true)?;
            Ok(Frames::new(Driven { runtime: Rc::clone(&runtime), stream }, job.shape))
        })
    }
}

/// Answers whole frames, as many as have come, until the client goes.
async fn echo(mut stream: TcpStream, shape: Shape) -> io::Result<()> {
    let mut buffer = vec![0; (shape.size * shape.depth).max(READ)];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let whole = filled - filled % shape.size;
        if whole > 0 {
            stream.write_all(&buffer[..whole]).await?;
            buffer.copy_within(whole..filled, 0);
            filled -= whole;
        }
    }
}

/// A stream of tokio's whose every step runs the runtime until the step is done.
struct Driven {
    runtime: Rc<Runtime>,
    stream: TcpStream,
}

impl Read for Driven {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.stream.read(into))
    }
}

impl Write for Driven {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.runtime.block_on(self.stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.runtime.block_on(self.stream.flush())
    }
}
