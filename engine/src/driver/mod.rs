//! How a loop waits for sockets: one interface, two ways. [`crate::uring`] asks the kernel to do the work and hears
//! how it went; [`epoll`] hears when a socket is ready and does the work itself, for where io_uring is forbidden.
//! Whoever is above sees no difference: it starts things, and reaps how they went.

mod choose;
mod epoll;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use speedysvc_protocol::archive::Buffer;

pub use choose::probe;
pub(crate) use choose::{Chosen, DRIVER_ENV, choose};

/// What the caller calls an operation's object: a connection, with its generation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Tag(pub(crate) u64);

/// A buffer of the driver's that holds received bytes, lent to whoever reaps it until [`Driver::recycle`].
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) id: u16,
    pub(crate) len: usize,
}

/// Bytes to be sent. They belong to the driver until they come back.
pub(crate) enum Outgoing {
    /// Frames that were put together.
    Frames(Vec<u8>),
    /// The body of one large frame, where its handler has written it.
    Body(Buffer),
}

impl Outgoing {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Frames(bytes) => bytes,
            Self::Body(buffer) => buffer.as_slice(),
        }
    }
}

/// Something that happened. `more` says whether the operation goes on; when not, start it again if it is still wanted.
pub(crate) enum Completion {
    /// Bytes came in.
    Received {
        /// The connection.
        tag: Tag,
        /// The bytes; `None` when the peer has finished sending.
        received: io::Result<Option<Chunk>>,
        /// See above.
        more: bool,
    },
    /// Bytes have been sent.
    Sent {
        /// The connection.
        tag: Tag,
        /// What was sent, to be used again.
        sent: Outgoing,
        /// Whether all of it went out.
        result: io::Result<()>,
    },
    /// The watched epoll descriptor is readable.
    Watched {
        /// See above.
        more: bool,
    },
}

/// See the module. A driver belongs to the thread that made it. One receive and one send at a time for each tag.
pub(crate) trait Driver {
    /// Receives from a socket, again and again, until it ends or [`Driver::stop_receiving`].
    fn receive(&mut self, socket: &Rc<OwnedFd>, tag: Tag);

    /// Ends the receiving that was started with this tag; its last completion says so.
    fn stop_receiving(&mut self, tag: Tag);

    /// Sends all of it, and gives it back with the completion. With `more` the kernel may hold it back until the next.
    fn send(&mut self, socket: &Rc<OwnedFd>, tag: Tag, bytes: Outgoing, more: bool);

    /// Nothing is under way for this tag any more, and nothing more will be: its socket is about to be closed.
    fn forget(&mut self, socket: &Rc<OwnedFd>, tag: Tag);

    /// Tells each time when an epoll descriptor becomes readable.
    ///
    /// # Errors
    /// What the kernel says: out of memory.
    fn watch(&mut self, epoll: BorrowedFd<'_>) -> io::Result<()>;

    /// Takes the next completion, if one is there.
    fn reap(&mut self) -> Option<Completion>;

    /// The bytes of a received chunk.
    fn bytes(&self, chunk: &Chunk) -> &[u8];

    /// Gives a chunk's buffer back.
    fn recycle(&mut self, chunk: Chunk);

    /// Whether there is anything to reap or to submit. Asked while spinning: it looks at memory only, if it can.
    fn has_work(&mut self) -> bool;

    /// Whether submitting would do anything.
    fn wants_submitting(&mut self) -> bool;

    /// Lets the kernel do what can be done without waiting.
    ///
    /// # Errors
    /// What the kernel says, except that an interruption or a full queue is no error: reap and come again.
    fn submit(&mut self) -> io::Result<()>;

    /// The same, and sleeps until something completes, or the time is over.
    ///
    /// # Errors
    /// As [`Driver::submit`].
    fn wait(&mut self, longest: Option<Duration>) -> io::Result<()>;

    /// How often a queue of completions was too small. More than zero is a bug in the budget.
    fn overflows(&self) -> u32 {
        0
    }
}
