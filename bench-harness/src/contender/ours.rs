//! speedysvc as users get it: a supervisor, a worker, a typed client. The argument is borrowed, the reply owned.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;

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
    fn echo(&self, text: &str) -> String;
    /// The same bytes.
    fn echo_bytes(&self, bytes: &[u8]) -> Vec<u8>;
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

/// One transport of ours.
pub(super) struct Ours {
    name: &'static str,
    file: &'static str,
    what: &'static str,
    address: fn(&Engine) -> Result<String>,
}

pub(super) const SHM: Ours = Ours {
    name: "speedysvc-shm",
    file: FILE,
    what: "ours over shared memory: speedysvc-engine with one worker, builtin echo, typed (rkyv), default settings",
    address: |engine| Ok(engine.shm_address("echo")),
};
pub(super) const SHM_ASLEEP: Ours = Ours {
    name: "speedysvc-shm-asleep",
    file: ASLEEP,
    what: "ours over shared memory with `spin = \"0\"`: neither worker nor client ever looks before it sleeps",
    address: |engine| Ok(engine.shm_address("echo")),
};
pub(super) const TCP: Ours = Ours {
    name: "speedysvc-tcp",
    file: FILE,
    what: "the same service and client over TCP on loopback",
    address: |engine| engine.tcp_address("echo"),
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
        // Asleep it is what paced calls are compared to, and nothing that anybody would use.
        self.file == FILE || (shape.depth, shape.connections) == (1, 1)
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
        job.run(|| Started::next_of(&mut next))
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

    /// One call, whose reply is compared.
    pub(crate) fn call(&mut self, bytes: &[u8]) -> Result<()> {
        anyhow::ensure!(self.0.echo_bytes(bytes)? == bytes, "the reply is not what was sent");
        Ok(())
    }
}

/// One call at a time is the blocking call of the generated client: it has no halves.
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
}

/// Several are started and waited for, as one thread of a user's would: what is started goes out when it waits.
pub(super) struct Started<'a> {
    starter: EchoStarter<'a>,
    open: VecDeque<Pending<Vec<u8>>>,
}

impl<'a> Started<'a> {
    pub(super) fn next_of(clients: &mut impl Iterator<Item = &'a EchoClient>) -> Result<Self> {
        let client = clients.next().context("as many connections as the shape has")?;
        Ok(Self { starter: client.start(), open: VecDeque::new() })
    }
}

impl Client for Started<'_> {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.open.push_back(self.starter.echo_bytes(request));
        Ok(())
    }

    fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()> {
        let oldest = self.open.pop_front().ok_or(io::ErrorKind::InvalidInput)?;
        *reply = oldest.wait().map_err(io::Error::other)?;
        Ok(())
    }
}
