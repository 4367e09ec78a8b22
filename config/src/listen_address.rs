//! Where a service listens, resolved.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// An address beside `shm://NAME`. Shown as clients write it.
#[derive(Clone, PartialEq, Eq)]
pub enum Listen {
    /// Port 0 means any free port.
    Tcp(SocketAddr),
    /// A socket in the file system; absolute, and short enough for the kernel.
    Unix(PathBuf),
}

impl Listen {
    /// The most addresses of one service. Their sockets reach a worker in one message, which has room for so many.
    pub const PER_SERVICE_MAX: usize = 15;

    /// Whether other machines can reach it.
    #[must_use]
    pub fn reaches_beyond(&self) -> bool {
        matches!(self, Self::Tcp(address) if !address.ip().is_loopback())
    }
}

impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}
