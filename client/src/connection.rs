//! One connection, whatever carries it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::hello::Hello;

use crate::address::Address;
use crate::call::{Agreed, Answer, Ask, Stop};
use crate::clock::Deadline;
use crate::error::Error;
use crate::shm::{self, ShmConnection};
use crate::tcp::{self, TcpConnection};

pub(crate) enum Connection {
    // Boxed: there is one for each service, and its parts have their own cache lines.
    Shm(Box<ShmConnection>),
    Tcp(Box<TcpConnection>),
}

impl Connection {
    /// Connects and greets. It ends at the deadline, and at once when nobody is there.
    pub(crate) fn open(
        address: &Address,
        hello: &Hello,
        deadline: Deadline,
        rescues: &Arc<AtomicU64>,
    ) -> Result<Self, Error> {
        let opened = match address {
            Address::Shm { path, .. } => {
                shm::attach(path, hello, deadline, rescues).map(|link| Self::Shm(Box::new(link)))
            }
            Address::Tcp { host, port } => {
                tcp::connect(host, *port, hello, deadline).map(|connection| Self::Tcp(Box::new(connection)))
            }
        };
        opened.map_err(|error| error.within(&address.to_string()))
    }

    pub(crate) fn agreed(&self) -> &Agreed {
        match self {
            Self::Shm(link) => &link.agreed,
            Self::Tcp(connection) => &connection.agreed,
        }
    }

    /// Whether it takes new calls, as far as is known.
    pub(crate) fn is_usable(&self) -> bool {
        match self {
            Self::Shm(link) => link.is_usable(),
            Self::Tcp(connection) => connection.is_usable(),
        }
    }

    /// Makes one call; the reply's body goes into `reply`.
    pub(crate) fn call(&self, ask: &Ask<'_>, reply: &mut Buffer) -> Result<Answer, Stop> {
        match self {
            Self::Shm(link) => link.call(ask, reply),
            Self::Tcp(connection) => connection.call(ask, reply),
        }
    }
}
