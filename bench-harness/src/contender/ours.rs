//! speedysvc as users get it: a supervisor, a worker, a typed client. The handler lends what it was given; the client's
//! argument is borrowed, its reply owned.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use anyhow::{Context, Result};
use speedysvc::Pending;

use super::engine::{self, Engine};
use super::{Client, Contender, Does, Group, Shape};
use crate::measure::job::{Job, Outcome};
use crate::measure::task::Load;
use crate::run::parent::Parent;

/// The engine's built-in service.
#[speedysvc::service]
pub(crate) trait Echo {
    /// The same text.
    fn echo<'a>(&self, text: &'a str) -> &'a str;
    /// The same bytes.
    fn echo_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8];
}

pub(super) const FILE: &str = "\
run_dir = \"run\"
[service.echo]
builtin = \"echo\"
listen = [\"tcp://127.0.0.1:0\"]
";

/// The same, and nobody looks before he sleeps.
const ASLEEP: &str = "\
run_dir = \"run\"
[service.echo]
builtin = \"echo\"
spin = \"0\"
listen = [\"tcp://127.0.0.1:0\"]
";

/// The same without io_uring.
pub(super) const EPOLL_FILE: &str = "\
run_dir = \"run\"
[service.echo]
builtin = \"echo\"
driver = \"epoll\"
listen = [\"tcp://127.0.0.1:0\"]
";

/// The same at a Unix socket beside the file.
const UNIX_FILE: &str = "\
run_dir = \"run\"
[service.echo]
builtin = \"echo\"
listen = [\"unix://{folder}/echo\"]
";

/// One transport of ours.
pub(super) struct Ours {
    name: &'static str,
    file: &'static str,
    what: &'static str,
    takes: fn(Shape) -> bool,
    address: fn(&Engine) -> Result<String>,
}

pub(super) const SHM: Ours = Ours {
    name: "speedysvc-shm",
    file: FILE,
    what: "ours over shared memory: speedysvc-engine with one worker, builtin echo, typed (rkyv), default settings",
    takes: |_| true,
    address: |engine| Ok(engine.shm_address("echo")),
};
pub(super) const SHM_ASLEEP: Ours = Ours {
    name: "speedysvc-shm-asleep",
    file: ASLEEP,
    what: "ours over shared memory with `spin = \"0\"`: neither worker nor client ever looks before it sleeps",
    // It is what paced calls are compared to, and nothing that anybody would use.
    takes: |shape| (shape.depth, shape.connections) == (1, 1),
    address: |engine| Ok(engine.shm_address("echo")),
};
pub(super) const TCP: Ours = Ours {
    name: "speedysvc-tcp",
    file: FILE,
    what: "the same service and client over TCP on loopback",
    takes: |_| true,
    address: |engine| engine.tcp_address("echo"),
};
pub(super) const TCP_EPOLL: Ours = Ours {
    name: "speedysvc-tcp-epoll",
    file: EPOLL_FILE,
    what: "speedysvc-tcp with `driver = \"epoll\"`: what containers get that forbid io_uring",
    takes: |_| true,
    address: |engine| engine.tcp_address("echo"),
};
pub(super) const TCP_LZ4: Ours = Ours {
    name: "speedysvc-tcp-lz4",
    file: FILE,
    what: "speedysvc-tcp with bodies compressed by LZ4, which its client asks for",
    takes: |shape| shape.size >= 64 * 1024 && (shape.depth, shape.connections) == (1, 1),
    address: |engine| Ok(engine.tcp_address("echo")? + "?compression=lz4"),
};
pub(super) const UNIX: Ours = Ours {
    name: "speedysvc-unix",
    file: UNIX_FILE,
    what: "the same service and client over a Unix socket",
    takes: |_| true,
    address: |engine| Ok(engine.in_folder("unix", "echo")),
};

impl Contender for Ours {
    fn name(&self) -> &'static str {
        self.name
    }

    fn group(&self) -> Group {
        Group::Ours
    }

    fn what(&self) -> &'static str {
        self.what
    }

    fn version(&self) -> String {
        engine::version().unwrap_or_else(|_| "not built".into())
    }

    fn takes(&self, shape: Shape) -> bool {
        (self.takes)(shape)
    }

    fn does(&self, what: Does) -> bool {
        matches!(what, Does::Echo | Does::Idle)
    }

    fn missing(&self) -> Option<String> {
        engine::program().err().map(|error| format!("{error:#}"))
    }

    fn serve(&self, _: Shape, parent: &Parent) -> Result<Infallible> {
        let engine = Engine::start(self.file)?;
        parent.ready(&(self.address)(&engine)?, &engine.processes()?)?;
        parent.wait_for_its_end();
        engine.stop();
        std::process::exit(0)
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        if (job.shape.depth, job.shape.connections) == (1, 1) || job.task.load == Load::Idle {
            return job.run(|| Ok(Calls::of(EchoClient::connect(address)?)));
        }
        let clients = (0..job.shape.connections).map(|_| EchoClient::connect(address));
        let clients = clients.collect::<Result<Vec<EchoClient>, speedysvc::Error>>()?;
        let mut next = clients.iter();
        job.run(|| Started::next_of(&mut next, job.shape))
    }
}

impl Engine {
    /// The built-in service with default settings.
    pub(crate) fn echo() -> Result<Self> {
        Self::start(FILE)
    }
}

/// The blocking client by itself.
pub(crate) struct OneByOne(EchoClient);

impl OneByOne {
    /// Connects to the built-in service.
    pub(crate) fn connect(address: &str) -> Result<Self> {
        Ok(Self(EchoClient::connect(address)?))
    }

    /// The same, whose calls may take so long.
    pub(crate) fn with_timeout(self, timeout: Duration) -> Self {
        Self(self.0.with_timeout(timeout))
    }

    /// One call, whose reply is compared.
    pub(crate) fn call(&mut self, bytes: &[u8]) -> Result<()> {
        anyhow::ensure!(self.0.echo_bytes(bytes)? == bytes, "the reply is not what was sent");
        Ok(())
    }
}

/// One call at a time is the blocking call of the generated client: it has no halves but where it must.
pub(super) struct Calls {
    client: EchoClient,
    reply: Vec<u8>,
}

impl Calls {
    pub(super) fn of(client: EchoClient) -> Self {
        Self { client, reply: vec![] }
    }
}

impl Client for Calls {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.reply = self.client.echo_bytes(request).map_err(io::Error::other)?;
        Ok(())
    }

    fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()> {
        *reply = std::mem::take(&mut self.reply);
        Ok(())
    }

    #[inline]
    fn call(&mut self, request: &[u8], reply: &mut Vec<u8>) -> io::Result<()> {
        *reply = self.client.echo_bytes(request).map_err(io::Error::other)?;
        Ok(())
    }
}

/// Several are started and waited for, as one thread of a user's would: on one connection what is started goes out when
/// it waits; on several each at once, as with the clients of plain sockets.
pub(super) struct Started<'a> {
    client: &'a EchoClient,
    gathers: Option<EchoStarter<'a>>,
    open: VecDeque<Pending<Vec<u8>>>,
}

impl<'a> Started<'a> {
    pub(super) fn next_of(clients: &mut impl Iterator<Item = &'a EchoClient>, shape: Shape) -> Result<Self> {
        let client = clients.next().context("as many connections as the shape has")?;
        let gathers = (shape.connections == 1).then(|| client.start());
        Ok(Self { client, gathers, open: VecDeque::new() })
    }
}

impl Client for Started<'_> {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let pending = match &self.gathers {
            Some(starter) => starter.echo_bytes(request),
            None => self.client.start().echo_bytes(request),
        };
        self.open.push_back(pending);
        Ok(())
    }

    fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()> {
        let oldest = self.open.pop_front().ok_or(io::ErrorKind::InvalidInput)?;
        *reply = oldest.wait().map_err(io::Error::other)?;
        Ok(())
    }
}
