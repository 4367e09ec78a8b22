//! What is under way in a ring.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::driver::{Outgoing, Tag};

/// An operation under way, with what it keeps alive.
pub(super) enum Operation {
    /// The socket is held open, so that its number means nothing else meanwhile.
    Receive {
        tag: Tag,
        _socket: Rc<OwnedFd>,
    },
    Send {
        tag: Tag,
        socket: Rc<OwnedFd>,
        bytes: Outgoing,
        sent: usize,
        more: bool,
    },
    Watch,
    Cancel,
    Nothing,
}
