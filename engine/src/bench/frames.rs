//! What the loop does with a chunk of frames, between the driver that received it and the one that sends the replies.

use std::io;
use std::mem;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use speedysvc_protocol::control::Peers;
use speedysvc_protocol::frame::{self, Kind};
use speedysvc_protocol::hello::Hello;
use speedysvc_protocol::ids::{CallId, Codec};
use speedysvc_protocol::limits::FRAME_HEADER;
use speedysvc_protocol::service::Service;
use speedysvc_protocol::shm::stats_page::{StatsReader, create_page};

use super::{Alone, ME, MESSAGE_MAX, runner_in};
use crate::dispatch::Runner;
use crate::driver::{Chunk, Completion, Driver, Outgoing, Tag};
use crate::source::tcp::{Connections, Neighbours, Settings};

/// Where the id is in a frame of a call.
const ID: std::ops::Range<usize> = 8..16;

/// A loop's connections, of which there is one. No kernel is between the two ends.
pub struct Frames {
    connections: Connections,
    runner: Runner,
    driver: Memory,
    /// Calls that go out together.
    calls: Vec<u8>,
    /// Bytes of each.
    frame: usize,
    next_id: u64,
    /// Where it is counted.
    page: StatsReader,
    _client: UnixStream,
}

impl Frames {
    /// One client of this service, which sends so many calls of its first method at a time, with these arguments.
    ///
    /// # Errors
    /// What the kernel says of memory and descriptors.
    pub fn new(service: Arc<dyn Service>, together: usize, arguments: &[u8]) -> io::Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        // Nothing else is told by the count.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("speedysvc-bench-{}-{count}", std::process::id());
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
        listener.set_nonblocking(true)?;
        let client = UnixStream::connect_addr(&listener.local_addr()?)?;
        let (file, page) = create_page()?;
        let (contract, runner) = (service.contract(), runner_in(Arc::clone(&service), &file)?);
        let settings = Settings { message_max: MESSAGE_MAX, deadline_us: 30_000_000, compression: None };
        let (peers, meter) = (Peers::default(), Rc::clone(&runner.meter));
        let neighbours = Neighbours { board: None, me: ME };
        let connections = Connections::new(vec![listener.into()], peers, settings, neighbours, meter);
        let (method, codec) = (contract.methods[0].id, Codec::Rkyv);
        let kind = Kind::Call { id: CallId(0), method, codec, left_us: 30_000_000 };
        let mut calls = Vec::new();
        (0..together).for_each(|_| frame::append(&mut calls, kind, arguments));
        let frame = FRAME_HEADER + arguments.len();
        let driver = Memory { tag: Tag(0), chunk: vec![], sending: None };
        let mut frames = Self { connections, runner, driver, calls, frame, next_id: 1, page, _client: client };
        frames.connections.serve(&mut frames.runner, &mut Alone, &mut frames.driver);
        let mut hello = Vec::new();
        frame::append(&mut hello, Kind::Hello, &serde_json::to_vec(&Hello::typed(contract))?);
        frames.exchange(&hello, |_| {});
        Ok(frames)
    }

    /// They come, and are answered; returns the bytes of all replies.
    pub fn call(&mut self) -> usize {
        let mut calls = mem::take(&mut self.calls);
        for frame in calls.chunks_exact_mut(self.frame) {
            frame[ID].copy_from_slice(&self.next_id.to_le_bytes());
            self.next_id += 1;
        }
        let mut answered = 0;
        self.exchange(&calls, |bytes| answered += bytes.len());
        self.calls = calls;
        answered
    }

    /// What has been counted.
    #[must_use]
    pub fn page(&self) -> &StatsReader {
        &self.page
    }

    /// What says that a handler takes milliseconds.
    #[cfg(test)]
    pub(crate) fn heed(&mut self, held_up: Arc<std::sync::atomic::AtomicBool>) {
        self.runner.heed(held_up);
    }

    /// These bytes come at once; tells what goes out until there is nothing more to do.
    pub(crate) fn exchange(&mut self, bytes: &[u8], mut out: impl FnMut(&[u8])) {
        self.driver.chunk.clear();
        self.driver.chunk.extend_from_slice(bytes);
        let (tag, chunk) = (self.driver.tag, Chunk { id: 0, len: bytes.len() });
        let received = Completion::Received { tag, received: Ok(Some(chunk)), more: true };
        self.connections.completed(received, &mut self.driver);
        while self.connections.serve(&mut self.runner, &mut Alone, &mut self.driver) {
            while let Some(sent) = self.driver.sending.take() {
                out(sent.bytes());
                self.connections.completed(Completion::Sent { tag, sent, result: Ok(()) }, &mut self.driver);
            }
        }
    }
}

/// Takes what is sent, and hands out what was put into it.
struct Memory {
    tag: Tag,
    chunk: Vec<u8>,
    sending: Option<Outgoing>,
}

impl Driver for Memory {
    fn receive(&mut self, _: &Rc<OwnedFd>, tag: Tag) {
        self.tag = tag;
    }

    fn stop_receiving(&mut self, _: Tag) {}

    fn send(&mut self, _: &Rc<OwnedFd>, _: Tag, bytes: Outgoing, _: bool) {
        self.sending = Some(bytes);
    }

    fn forget(&mut self, _: &Rc<OwnedFd>, _: Tag) {}

    fn watch(&mut self, _: BorrowedFd<'_>) -> io::Result<()> {
        Ok(())
    }

    fn reap(&mut self) -> Option<Completion> {
        None
    }

    fn bytes(&self, chunk: &Chunk) -> &[u8] {
        &self.chunk[..chunk.len]
    }

    fn recycle(&mut self, _: Chunk) {}

    fn has_work(&mut self) -> bool {
        false
    }

    fn wants_submitting(&mut self) -> bool {
        false
    }

    fn submit(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn wait(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }
}
