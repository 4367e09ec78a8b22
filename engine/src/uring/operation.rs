//! What is under way in a ring, and how it ended.

use std::io;

use super::Chunk;

/// What the caller calls an operation's object: a connection, with its generation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tag(pub u64);

/// An operation under way, with what it keeps alive.
pub(super) enum Operation {
    Receive(Tag),
    Send { tag: Tag, socket: i32, buffer: Vec<u8>, sent: usize },
    Watch,
    Cancel,
}

/// Something that happened. `more` says whether the operation goes on; when not, start it again if it is still wanted.
pub enum Completion {
    /// Bytes came in.
    Received {
        /// The connection.
        tag: Tag,
        /// The bytes; `None` when the peer has finished sending.
        received: io::Result<Option<Chunk>>,
        /// See above.
        more: bool,
    },
    /// A buffer has been sent.
    Sent {
        /// The connection.
        tag: Tag,
        /// The buffer, to be used again.
        buffer: Vec<u8>,
        /// Whether all of it went out.
        result: io::Result<()>,
    },
    /// The watched epoll descriptor is readable.
    Watched {
        /// See above.
        more: bool,
    },
}
