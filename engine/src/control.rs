//! The worker's end of the control socket: orders in, reports out.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use speedysvc_protocol::control::{Order, Report, Start, VERSION, VERSION_OLDEST};
use speedysvc_protocol::limits::DESCRIPTORS_MAX;
use speedysvc_protocol::shm::handover;

use crate::error::StartError;

pub(crate) struct Control {
    socket: OwnedFd,
}

/// What the broker says next.
pub(crate) enum Heard {
    /// An order with its descriptors.
    Order(Order, Vec<OwnedFd>),
    /// Something that cannot be read.
    Nonsense(String),
    /// Nothing more for now.
    Nothing,
    /// The broker is gone.
    Gone,
}

/// What a worker starts with.
pub(crate) struct Equipment {
    pub(crate) start: Start,
    pub(crate) board: OwnedFd,
    pub(crate) pool_bell: OwnedFd,
    pub(crate) stats: OwnedFd,
    /// With a legacy: the rendezvous socket, and the heirs'.
    pub(crate) left: Option<(OwnedFd, OwnedFd)>,
    pub(crate) listeners: Vec<OwnedFd>,
}

impl Control {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Waits for the first order.
    pub(crate) fn equipment(&self) -> Result<Equipment, StartError> {
        loop {
            match self.hear() {
                Heard::Nothing => self.wait().map_err(|error| StartError::Control(error.to_string()))?,
                Heard::Order(Order::Start(start), descriptors) => {
                    if !(VERSION_OLDEST..=VERSION).contains(&start.version) {
                        return Err(StartError::Version(start.version));
                    }
                    let mut descriptors = descriptors.into_iter();
                    let without = || StartError::Control("the start order came without its descriptors".to_owned());
                    let mut next = || descriptors.next().ok_or_else(without);
                    let (board, pool_bell, stats) = (next()?, next()?, next()?);
                    let left = if start.legacy.is_some() { Some((next()?, next()?)) } else { None };
                    return Ok(Equipment { start, board, pool_bell, stats, left, listeners: descriptors.collect() });
                }
                Heard::Order(other, _) => return Err(StartError::Control(format!("{other:?} came before Start"))),
                Heard::Nonsense(why) => return Err(StartError::Foreign(why)),
                Heard::Gone => return Err(StartError::Control("it was closed before the start order".to_owned())),
            }
        }
    }

    fn wait(&self) -> io::Result<()> {
        poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], None)?;
        Ok(())
    }

    pub(crate) fn hear(&self) -> Heard {
        match handover::receive::<Order>(&self.socket, DESCRIPTORS_MAX) {
            Ok(Some((order, descriptors))) => Heard::Order(order, descriptors),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Heard::Nothing,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Heard::Nothing,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Heard::Nonsense(error.to_string()),
            Ok(None) | Err(_) => Heard::Gone,
        }
    }

    /// Another descriptor of the socket.
    pub(crate) fn try_clone(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone()
    }

    /// Tells the broker. When it is gone, the loop finds out by its socket.
    pub(crate) fn report(&self, report: &Report) {
        let _gone = handover::send(&self.socket, report, &[]);
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
