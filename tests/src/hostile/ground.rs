//! Where and how long an attack goes on, and what it says.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::link::RawLink;

/// A service under attack.
#[derive(Debug)]
pub struct Ground {
    path: PathBuf,
    rounds: u64,
    until: Option<Instant>,
    /// A number that some attacks take.
    pub step: usize,
    /// As which user a child runs that is given a link.
    pub heir: Option<u32>,
    /// Processes that some attacks try to write.
    pub pids: Vec<u32>,
    /// What some controls burn of a processor, up to 1.
    pub share: f64,
}

impl Ground {
    /// A service at this socket; the attack goes on for so many rounds, or for so long if that is said.
    #[must_use]
    pub fn new(path: &Path, rounds: u64, longest: Option<Duration>) -> Self {
        let until = longest.map(|longest| Instant::now() + longest);
        Self { path: path.to_owned(), rounds, until, step: 0, heir: None, pids: Vec::new(), share: 1.0 }
    }

    /// The rendezvous socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many rounds were asked for.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Whether round number `round` is to be fought.
    #[must_use]
    pub fn goes_on(&self, round: u64) -> bool {
        self.until.map_or(round < self.rounds, |until| Instant::now() < until)
    }

    /// A fresh connection to the broker.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn connect(&self) -> io::Result<OwnedFd> {
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        connect(&socket, &SocketAddrUnix::new(&self.path)?)?;
        Ok(socket)
    }

    /// A fresh link.
    ///
    /// # Errors
    /// What the kernel or the broker says.
    pub fn attach(&self) -> io::Result<RawLink> {
        RawLink::attach(self.connect()?)
    }

    /// A line that a test may wait for.
    pub fn say(&self, line: &str) {
        let mut out = io::stdout().lock();
        // Without a reader nobody waits for it.
        let _closed = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}
