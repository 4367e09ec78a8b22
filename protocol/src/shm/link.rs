//! A link: two segments and what lies in them, as its client or a worker has mapped them; and a service's board.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::Mode;

use super::board::{BOARD_BYTES, BoardLine, Mode as LoopMode, line_of};
use super::claim::Taker;
use super::in_place::{InPlace, Trusted};
use super::layout::{Geometry, Grant, RequestLine};
use super::lines::{Lines, SlotLines};
use super::segment::{Access, Segment, create, reopen_read_only};
use super::seq::Seq;
use super::slot::{Caller, Slot};
use super::sync::{AtomicU64, Ordering};
use super::wake::Poller;
use super::window::Window;
use crate::byte_string;
use crate::ids::Incarnation;
use crate::limits::BOARD_LINES;

/// A link's memory files as the broker keeps and hands them out.
#[derive(Debug)]
pub struct LinkFiles {
    /// Request lines and arena.
    pub request: OwnedFd,
    /// Reply lines and claim words, for workers.
    pub reply: OwnedFd,
    /// The same file opened for reading only, for the client.
    pub reply_read_only: OwnedFd,
}

impl LinkFiles {
    /// Makes both segments.
    ///
    /// # Errors
    /// What the kernel says: out of memory or descriptors.
    pub fn create(geometry: Geometry) -> io::Result<Self> {
        let request = create("speedysvc-request", geometry.request_segment(), Mode::from_raw_mode(0o600))?;
        let reply = create("speedysvc-reply", geometry.reply_segment(), Mode::from_raw_mode(0o400))?;
        let reply_read_only = reopen_read_only(&reply)?;
        Ok(Self { request, reply, reply_read_only })
    }
}

#[derive(Debug)]
struct Mapped {
    geometry: Geometry,
    /// Shared with the windows that replies are written through.
    request: Arc<Segment>,
    slots: SlotLines,
    /// One word.
    poller: Lines<AtomicU64>,
}

impl Mapped {
    fn new(geometry: Geometry, request: impl AsFd, reply: impl AsFd, access: Access) -> io::Result<Self> {
        let request = Arc::new(Segment::map(request.as_fd(), geometry.request_segment(), Access::ReadWrite)?);
        let reply = Arc::new(Segment::map(reply.as_fd(), geometry.reply_segment(), access)?);
        let slots = geometry.slots();
        let requests = Lines::new(&request, 0, slots)?;
        let replies = Lines::new(&reply, geometry.replies_offset(), slots)?;
        let claims = Lines::new(&reply, Geometry::CLAIMS_OFFSET, slots)?;
        Ok(Self {
            slots: SlotLines::new(requests, replies, claims),
            poller: Lines::new(&reply, 0, 1)?,
            geometry,
            request,
        })
    }

    #[inline]
    fn slot(&self, index: usize) -> Slot<'_> {
        self.slots.get(index)
    }

    #[inline]
    fn poller(&self) -> Poller<'_> {
        Poller(self.poller.get(0))
    }

    /// Both come from a parsed [`Grant`], or from this side's own allocator.
    #[inline]
    fn check(&self, grant: Grant, len: usize) -> u64 {
        assert!(len as u64 <= grant.capacity && grant.offset + grant.capacity <= self.geometry.arena());
        self.geometry.arena_offset() + grant.offset
    }
}

/// A link as its client has mapped it.
#[derive(Debug)]
pub struct ClientLink(Mapped);

/// A link as a worker (or the broker) has mapped it.
#[derive(Debug)]
pub struct WorkerLink(Mapped);

macro_rules! both_sides {
    ($side:ident, $slot:ident, $access:expr) => {
        impl $side {
            /// Maps a link's segments.
            ///
            /// # Errors
            /// When a segment is not what the geometry says, or the kernel refuses.
            pub fn map(geometry: Geometry, request: impl AsFd, reply: impl AsFd) -> io::Result<Self> {
                Mapped::new(geometry, request, reply, $access).map(Self)
            }

            /// How the segments are laid out.
            #[inline]
            #[must_use]
            pub fn geometry(&self) -> Geometry {
                self.0.geometry
            }

            /// The slot with this index.
            #[inline]
            #[must_use]
            pub fn slot(&self, index: usize) -> $slot<'_> {
                $slot(self.0.slot(index))
            }

            /// The word that says which loop polls this link.
            #[inline]
            #[must_use]
            pub fn poller(&self) -> Poller<'_> {
                self.0.poller()
            }

            /// Copies out of the beginning of a granted buffer.
            #[inline]
            pub fn copy_out(&self, grant: Grant, out: &mut [u8]) {
                let offset = self.0.check(grant, out.len());
                self.0.request.copy_out(offset, out);
            }

            /// Copies into the beginning of a granted buffer.
            #[inline]
            pub fn copy_in(&self, grant: Grant, bytes: &[u8]) {
                let offset = self.0.check(grant, bytes.len());
                self.0.request.copy_in(offset, bytes);
            }

            /// Copies the archive of a byte string to the beginning of a granted buffer; its length.
            ///
            /// # Panics
            /// When it is longer than the buffer.
            #[inline]
            pub fn copy_in_byte_string(&self, grant: Grant, bytes: &[u8]) -> usize {
                let tail = byte_string::Tail::of(bytes.len()).expect("a grant has less than 2 GiB");
                let len = bytes.len() + tail.as_slice().len();
                let offset = self.0.check(grant, len);
                self.0.request.copy_in(offset, bytes);
                self.0.request.copy_in(offset + bytes.len() as u64, tail.as_slice());
                len
            }

            /// A granted buffer as a place for an archive of at most `limit` bytes.
            #[must_use]
            pub fn window(&self, grant: Grant, limit: usize) -> Window {
                let offset = self.0.check(grant, 0);
                let capacity = usize::try_from(grant.capacity).map_or(limit, |capacity| capacity.min(limit));
                Window::new(Arc::clone(&self.0.request), offset, capacity)
            }
        }
    };
}
both_sides!(ClientLink, Caller, Access::ReadOnly);
both_sides!(WorkerLink, Taker, Access::ReadWrite);

impl ClientLink {
    /// The byte string whose archive is the first `len` bytes of a granted buffer, copied once. What the archive says
    /// is looked at once, too. `None` when that is no archive of a byte string.
    #[must_use]
    pub fn byte_string(&self, grant: Grant, len: usize) -> Option<Vec<u8>> {
        let offset = self.0.check(grant, len);
        let mut root = [0; byte_string::ROOT];
        self.0.request.copy_out(offset + len.checked_sub(root.len())? as u64, &mut root);
        let bytes = byte_string::range(len, root)?;
        Some(self.0.request.copy_to_vec(offset + bytes.start as u64, bytes.len()))
    }

    /// Where this client says how many slots it uses.
    ///
    /// # Panics
    /// Never: the line was found when the link was mapped.
    #[must_use]
    pub fn in_use(&self) -> InUse {
        InUse(Lines::new(&self.0.request, 0, 1).expect("it was found when the link was mapped"))
    }

    /// Gives a buffer's pages back to the system.
    ///
    /// # Errors
    /// What the kernel says; nothing is lost but memory.
    pub fn release(&self, grant: Grant) -> io::Result<()> {
        let offset = self.0.check(grant, 0);
        self.0.request.release(offset, usize::try_from(grant.capacity).map_err(|_| io::ErrorKind::InvalidInput)?)
    }
}

impl WorkerLink {
    /// Slots that may have a request: the lowest, as far as the client uses them.
    #[inline]
    #[must_use]
    pub fn slots_in_use(&self) -> usize {
        self.0.slot(0).request.slots_in_use(self.0.geometry.slots())
    }

    /// The first `len` bytes of a claimed request's buffer, to be read where they lie; the reply may then go over them,
    /// up to `limit` bytes. Whoever has the claim writes nothing there before the value is gone.
    #[must_use]
    pub fn in_place(&self, trusted: Trusted, grant: Grant, len: usize, limit: usize) -> InPlace {
        let offset = self.0.check(grant, len);
        let capacity = usize::try_from(grant.capacity).map_or(limit, |capacity| capacity.min(limit));
        InPlace::new(trusted, Arc::clone(&self.0.request), offset, capacity, len)
    }

    /// Where the client gives its calls up.
    ///
    /// # Panics
    /// Never: the lines were found when the link was mapped.
    #[must_use]
    pub fn cancels(&self) -> Cancels {
        let slots = self.0.geometry.slots();
        let requests = Lines::new(&self.0.request, 0, slots).expect("they were found when the link was mapped");
        Cancels { slots, requests: Arc::new(requests) }
    }
}

/// Where a link's client says which calls it waits for no more, for those who run them.
#[derive(Clone, Debug)]
pub struct Cancels {
    slots: usize,
    requests: Arc<Lines<RequestLine>>,
}

impl Cancels {
    /// Whether it has given up the call with this number in this slot. A hint: the client may change its mind.
    #[must_use]
    pub fn has(&self, slot: usize, seq: Seq) -> bool {
        // What it says is the client's own loss, and nothing else is read on the strength of it.
        slot < self.slots && self.requests.get(slot).cancel.load(Ordering::Relaxed) >= seq.word()
    }
}

/// Where a client says how many of its link's slots it uses, the lowest ones.
#[derive(Debug)]
pub struct InUse(Lines<RequestLine>);

impl InUse {
    /// These only, until it says more.
    pub fn few(&self, slots: usize) {
        self.0.get(0).use_few(Some(slots));
    }

    /// All of them: to be said before the first request in a higher one.
    pub fn all(&self) {
        self.0.get(0).use_few(None);
    }
}

/// A service's board.
#[derive(Debug)]
pub struct Board(Lines<BoardLine>);

impl Board {
    /// Makes a board: the file for workers, and one opened for reading only, for clients.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn create() -> io::Result<(OwnedFd, OwnedFd)> {
        let file = create("speedysvc-board", BOARD_BYTES, Mode::from_raw_mode(0o400))?;
        let read_only = reopen_read_only(&file)?;
        Ok((file, read_only))
    }

    /// Maps a board.
    ///
    /// # Errors
    /// When the file is not a board, or the kernel refuses.
    pub fn map(file: impl AsFd, access: Access) -> io::Result<Self> {
        let segment = Arc::new(Segment::map(file.as_fd(), BOARD_BYTES, access)?);
        Lines::new(&segment, 0, BOARD_LINES).map(Self)
    }

    /// The line where the loop of this incarnation writes.
    #[inline]
    #[must_use]
    pub fn line(&self, incarnation: u16) -> &BoardLine {
        self.0.get(line_of(incarnation))
    }

    /// The fewest connections that any other loop serves which is free to take one; `None` when none is. A hint.
    #[must_use]
    pub fn fewest_connections(&self, but: Incarnation) -> Option<usize> {
        let others = (0..BOARD_LINES).filter(|line| *line != line_of(but.0.get()));
        others.filter_map(|line| self.0.get(line).connections_of_free()).min()
    }

    /// Whether the loop of this incarnation lives.
    #[must_use]
    pub fn alive(&self, incarnation: u16) -> bool {
        self.line(incarnation).mode(incarnation) != LoopMode::Gone
    }
}
