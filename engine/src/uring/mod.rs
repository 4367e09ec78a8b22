//! Room 2: io_uring. Memory that the kernel reads and writes on our behalf.
//!
//! Everything above sees [`Ring`] as a [`Driver`]. A buffer that an operation uses belongs to the ring until its
//! completion has been seen; nothing shared with another process ever enters a ring (rule 17 of the slot protocol: the
//! kernel may write late).

mod buffers;
mod operation;
pub mod setup;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};
use rustix::net::SendFlags;

use crate::budget::{OPERATIONS, Sizes};
use crate::driver::{Chunk, Completion, Driver, Outgoing, Tag};
use buffers::BufferRing;
use operation::{Operation, Place, Receive, UnderWay};

/// One io_uring instance with its provided buffers. Belongs to the thread that made it.
pub struct Ring {
    // Dropped in this order: the ring's descriptor is closed before the memory that it knows is freed; what is still
    // under way then is settled by `Drop` first.
    ring: IoUring,
    buffers: BufferRing,
    under_way: UnderWay,
    ready: VecDeque<io_uring::cqueue::Entry>,
    overflows: u32,
}

impl Ring {
    /// A ring with the best flags that this kernel takes, and what they are. It has been seen to work.
    ///
    /// # Errors
    /// The kernel's refusal of the plainest setup: io_uring is forbidden or too old here.
    pub(crate) fn new(sizes: Sizes) -> io::Result<(Self, &'static str)> {
        let (ring, flags) = setup::probe(sizes)?;
        let buffers = BufferRing::new(&ring, sizes)?;
        let (under_way, ready) = (UnderWay::default(), VecDeque::new());
        let mut ring = Self { ring, buffers, under_way, ready, overflows: 0 };
        ring.try_out()?;
        Ok((ring, flags))
    }

    /// Setting up may be allowed where entering is not.
    fn try_out(&mut self) -> io::Result<()> {
        self.start(Operation::Nothing, opcode::Nop::new().build());
        while !self.under_way.is_empty() {
            tolerate(self.ring.submit_and_wait(1))?;
            let entry = self.ring.completion().next();
            if let Some(entry) = entry {
                outcome(entry.result())?;
                self.completed(&entry);
            }
        }
        Ok(())
    }

    fn send_from(&mut self, socket: Rc<OwnedFd>, tag: Tag, bytes: Outgoing, sent: usize, more: bool) {
        let rest = &bytes.bytes()[sent..];
        let len = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        let more_follows = if more { SendFlags::MORE } else { SendFlags::empty() };
        let flags = (SendFlags::NOSIGNAL | more_follows).bits() | MSG_WAITALL;
        let fd = Fd(socket.as_raw_fd());
        let entry = opcode::Send::new(fd, rest.as_ptr(), len).flags(flags.cast_signed()).build();
        // Moving the `Vec` or `Buffer` into the operation does not move its bytes: the pointer stays good until the
        // operation is taken out of the slab, which happens at its completion.
        self.start(Operation::Send { tag, socket, bytes, sent, more }, entry);
    }

    fn start(&mut self, operation: Operation, entry: squeue::Entry) {
        let place = Place::Other(self.under_way.others.insert(operation));
        self.push(&entry.user_data(place.number()));
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: (1) the only pointers in our entries are those of `send_from`, into bytes that the slab owns until
        // the completion with this key is reaped; provided buffers belong to `self.buffers` and live as long as the
        // ring; (2) descriptors are plain numbers: a wrong one makes the operation fail, it touches no memory.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            // The queue is full: entering empties it. An error leaves it full, and shows again in `wait`.
            if self.submit().is_err() {
                self.make_room();
            }
        }
    }

    /// The kernel did not take the queued entries, because its completion queue is full: empty that.
    fn make_room(&mut self) {
        self.ready.extend(self.ring.completion());
    }

    fn completed(&mut self, entry: &io_uring::cqueue::Entry) -> Option<Completion> {
        let more = io_uring::cqueue::more(entry.flags());
        let result = outcome(entry.result());
        match Place::of(entry.user_data())? {
            Place::Receive(key) => {
                let tag = self.under_way.receives.get(key)?.tag;
                if !more {
                    self.under_way.receives.remove(key);
                }
                let received = self.received(result, io_uring::cqueue::buffer_select(entry.flags()));
                Some(Completion::Received { tag, received, more })
            }
            // Of the others only the watch goes on.
            Place::Other(_) if more => Some(Completion::Watched { more }),
            Place::Other(key) => match self.under_way.others.try_remove(key)? {
                Operation::Send { tag, socket, bytes, sent, more } => {
                    self.sent((tag, socket, more), bytes, sent, result)
                }
                Operation::Watch => Some(Completion::Watched { more }),
                Operation::Cancel | Operation::Nothing => None,
            },
        }
    }

    fn received(&mut self, result: io::Result<u32>, chunk: Option<u16>) -> io::Result<Option<Chunk>> {
        let len = result?;
        Ok(chunk.map(|id| self.buffers.taken(id, len as usize)))
    }

    fn sent(
        &mut self,
        (tag, socket, more): (Tag, Rc<OwnedFd>, bool),
        bytes: Outgoing,
        before: usize,
        result: io::Result<u32>,
    ) -> Option<Completion> {
        match result {
            Ok(count) if before + (count as usize) < bytes.bytes().len() && count > 0 => {
                self.send_from(socket, tag, bytes, before + count as usize, more);
                None
            }
            Ok(_) => Some(Completion::Sent { tag, sent: bytes, result: Ok(()) }),
            Err(error) => Some(Completion::Sent { tag, sent: bytes, result: Err(error) }),
        }
    }
}

impl Driver for Ring {
    fn receive(&mut self, socket: &Rc<OwnedFd>, tag: Tag) {
        let entry = opcode::RecvMulti::new(Fd(socket.as_raw_fd()), buffers::GROUP).build();
        let place = Place::Receive(self.under_way.receives.insert(Receive { tag, _socket: Rc::clone(socket) }));
        self.push(&entry.user_data(place.number()));
    }

    fn stop_receiving(&mut self, wanted: Tag) {
        if let Some((key, _)) = self.under_way.receives.iter().find(|(_, receive)| receive.tag == wanted) {
            let entry = opcode::AsyncCancel::new(Place::Receive(key).number()).build();
            self.start(Operation::Cancel, entry);
        }
    }

    fn send(&mut self, socket: &Rc<OwnedFd>, tag: Tag, bytes: Outgoing, more: bool) {
        self.send_from(Rc::clone(socket), tag, bytes, 0, more);
    }

    fn forget(&mut self, _socket: &Rc<OwnedFd>, _tag: Tag) {}

    fn watch(&mut self, epoll: BorrowedFd<'_>) -> io::Result<()> {
        let poll_in = rustix::event::PollFlags::IN.bits().into();
        let entry = opcode::PollAdd::new(Fd(epoll.as_raw_fd()), poll_in).multi(true).build();
        self.start(Operation::Watch, entry);
        Ok(())
    }

    fn reap(&mut self) -> Option<Completion> {
        loop {
            let entry = self.ready.pop_front().or_else(|| self.ring.completion().next())?;
            if let Some(completion) = self.completed(&entry) {
                return Some(completion);
            }
        }
    }

    fn bytes(&self, chunk: &Chunk) -> &[u8] {
        self.buffers.bytes(chunk)
    }

    fn recycle(&mut self, chunk: Chunk) {
        self.buffers.recycle(chunk);
    }

    /// Looks at memory only.
    fn has_work(&mut self) -> bool {
        !self.ready.is_empty() || !self.ring.completion().is_empty() || self.wants_submitting()
    }

    fn wants_submitting(&mut self) -> bool {
        let submission = self.ring.submission();
        !submission.is_empty() || submission.taskrun() || submission.cq_overflow()
    }

    fn submit(&mut self) -> io::Result<()> {
        if self.ring.submission().cq_overflow() {
            self.overflows += 1;
        }
        tolerate(self.ring.submit())
    }

    fn wait(&mut self, longest: Option<Duration>) -> io::Result<()> {
        if !self.ready.is_empty() {
            return self.submit();
        }
        match longest.map(Timespec::from) {
            None => tolerate(self.ring.submit_and_wait(1)),
            Some(time) => tolerate(self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&time))),
        }
    }

    fn overflows(&self) -> u32 {
        self.overflows
    }
}

impl Drop for Ring {
    /// The kernel may use buffers of operations under way after the ring's descriptor is closed: they are ended first.
    fn drop(&mut self) {
        let patience = Timespec::from(Duration::from_secs(1));
        // When it fails, nothing was under way, or the loop below finds that something still is.
        let _ended = self.ring.submitter().register_sync_cancel(Some(patience), CancelBuilder::any());
        for _ in 0..OPERATIONS {
            if self.under_way.is_empty() {
                return;
            }
            let brief = Some(Duration::from_millis(10));
            if self.wait(brief).is_err() {
                break;
            }
            while self.reap().is_some() {}
        }
        // What the kernel will not let go of must never be freed.
        std::mem::forget(std::mem::take(&mut self.under_way));
        self.buffers.leak();
    }
}

/// From `linux/socket.h`: a send goes on until all is sent, so that a short one is rare.
const MSG_WAITALL: u32 = 0x100;

/// An operation's result: a number, or the error that a negative one stands for.
fn outcome(result: i32) -> io::Result<u32> {
    u32::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

fn tolerate(entered: io::Result<usize>) -> io::Result<()> {
    use rustix::io::Errno;
    match entered {
        Ok(_) => Ok(()),
        Err(error) => match Errno::from_io_error(&error) {
            // A signal, a full completion queue, or the end of the time given.
            Some(Errno::INTR | Errno::BUSY | Errno::AGAIN | Errno::TIME) => Ok(()),
            _ => Err(error),
        },
    }
}
