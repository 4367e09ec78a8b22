//! One connection, whatever carries it.

use std::sync::Arc;

use speedysvc_protocol::hello::Hello;

use crate::address::Address;
use crate::call::{Agreed, Answer, Ask, Stop};
use crate::clock::Deadline;
use crate::error::Error;
use crate::in_process::InProcess;
use crate::reply::Reply;
use crate::shm::{self, Rescues, ShmConnection};
use crate::tcp::{self, TcpConnection};

#[derive(Clone)]
pub(crate) enum Connection {
    Shm(Arc<ShmConnection>),
    Tcp(Arc<TcpConnection>),
    /// None at all.
    Here(Arc<InProcess>),
}

impl Connection {
    /// Connects and greets. It ends at the deadline, and at once when nobody is there.
    pub(crate) fn open(
        address: &Address,
        hello: &Hello,
        deadline: Deadline,
        rescues: &Arc<Rescues>,
    ) -> Result<Self, Error> {
        let opened = match address {
            Address::Shm { path, .. } => shm::attach(path, hello, deadline, rescues).map(Self::Shm),
            Address::Tcp { host, port, wishes } => {
                tcp::connect((host, *port), *wishes, hello, deadline).map(|connection| Self::Tcp(Arc::new(connection)))
            }
            Address::Unix { path, wishes } => {
                tcp::connect_unix(path, *wishes, hello, deadline).map(|connection| Self::Tcp(Arc::new(connection)))
            }
        };
        opened.map_err(|error| error.within(&address.to_string()))
    }

    pub(crate) fn agreed(&self) -> &Agreed {
        match self {
            Self::Shm(link) => &link.agreed,
            Self::Tcp(connection) => &connection.agreed,
            Self::Here(service) => &service.agreed,
        }
    }

    /// Whether it takes new calls, as far as is known.
    #[inline]
    pub(crate) fn is_usable(&self) -> bool {
        match self {
            Self::Shm(link) => link.is_usable(),
            Self::Tcp(connection) => connection.is_usable(),
            Self::Here(_) => true,
        }
    }

    /// How many calls have been made on it, about.
    #[cold]
    pub(crate) fn calls(&self) -> u64 {
        match self {
            Self::Shm(link) => link.calls(),
            Self::Tcp(connection) => connection.calls(),
            Self::Here(service) => service.calls(),
        }
    }

    /// Makes one call; the reply's body goes into `reply`.
    #[inline]
    pub(crate) fn call(&self, ask: &Ask<'_>, reply: &mut Reply) -> Result<Answer, Stop> {
        match self {
            Self::Shm(link) => link.call(ask, reply),
            Self::Tcp(connection) => connection.call(ask, reply),
            Self::Here(service) => service.call(ask, reply),
        }
    }

    /// Nobody begins a call here any more.
    pub(crate) fn close(&self) {
        match self {
            Self::Shm(link) => link.close(),
            Self::Tcp(connection) => connection.close(),
            Self::Here(_) => {}
        }
    }
}
