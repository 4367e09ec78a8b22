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

/// A loop's connections, of which there is one as a rule. No kernel is between the two ends.
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
    address: SocketAddr,
    clients: Vec<UnixStream>,
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
        let address = listener.local_addr()?;
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
        let driver = Memory { tag: Tag(0), chunks: vec![], free: vec![], sending: vec![] };
        let clients = vec![];
        let mut frames = Self { connections, runner, driver, calls, frame, next_id: 1, page, address, clients };
        frames.connect(&Hello::typed(contract))?;
        Ok(frames)
    }

    /// One more client, which is what is meant from now on where nobody else is.
    pub(crate) fn connect(&mut self, hello: &Hello) -> io::Result<Tag> {
        self.clients.push(UnixStream::connect_addr(&self.address)?);
        self.connections.knock();
        self.turn(|_| {});
        let mut frame = Vec::new();
        frame::append(&mut frame, Kind::Hello, &serde_json::to_vec(hello)?);
        self.exchange(&frame, |_| {});
        Ok(self.driver.tag)
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
    pub(crate) fn exchange(&mut self, bytes: &[u8], out: impl FnMut(&[u8])) {
        self.receive(self.driver.tag, bytes);
        self.serve(out);
    }

    /// These bytes come at once from this client, before the next turn.
    pub(crate) fn receive(&mut self, tag: Tag, bytes: &[u8]) {
        let chunk = self.driver.fill(bytes);
        let received = Completion::Received { tag, received: Ok(Some(chunk)), more: true };
        self.connections.completed(received, &mut self.driver);
    }

    /// Turns until there is nothing more to do; tells what goes out.
    pub(crate) fn serve(&mut self, mut out: impl FnMut(&[u8])) {
        while self.turn(&mut out) {}
    }

    /// One turn; tells what goes out. Whether anything was done.
    pub(crate) fn turn(&mut self, mut out: impl FnMut(&[u8])) -> bool {
        let worked = self.connections.serve(&mut self.runner, &mut Alone, &mut self.driver);
        assert_eq!(self.driver.free.len(), self.driver.chunks.len(), "no chunk is kept beyond a turn");
        for (tag, sent) in self.driver.sending.split_off(0) {
            out(sent.bytes());
            self.connections.completed(Completion::Sent { tag, sent, result: Ok(()) }, &mut self.driver);
        }
        worked
    }

    /// The client that was connected last.
    #[cfg(test)]
    pub(crate) fn last(&self) -> Tag {
        self.driver.tag
    }
}

/// Takes what is sent, and hands out what was put into it.
struct Memory {
    tag: Tag,
    chunks: Vec<Vec<u8>>,
    free: Vec<u16>,
    sending: Vec<(Tag, Outgoing)>,
}

impl Memory {
    /// A chunk with these bytes.
    fn fill(&mut self, bytes: &[u8]) -> Chunk {
        let id = self.free.pop().unwrap_or_else(|| {
            self.chunks.push(vec![]);
            u16::try_from(self.chunks.len() - 1).expect("they are few")
        });
        let chunk = &mut self.chunks[usize::from(id)];
        chunk.clear();
        chunk.extend_from_slice(bytes);
        Chunk { id, len: bytes.len() }
    }
}

impl Driver for Memory {
    fn receive(&mut self, _: &Rc<OwnedFd>, tag: Tag) {
        self.tag = tag;
    }

    fn stop_receiving(&mut self, _: Tag) {}

    fn send(&mut self, _: &Rc<OwnedFd>, tag: Tag, bytes: Outgoing, _: bool) {
        self.sending.push((tag, bytes));
    }

    fn forget(&mut self, _: &Rc<OwnedFd>, _: Tag) {}

    fn watch(&mut self, _: BorrowedFd<'_>) -> io::Result<()> {
        Ok(())
    }

    fn reap(&mut self) -> Option<Completion> {
        None
    }

    fn bytes(&self, chunk: &Chunk) -> &[u8] {
        &self.chunks[usize::from(chunk.id)][..chunk.len]
    }

    fn recycle(&mut self, chunk: Chunk) {
        self.free.push(chunk.id);
    }

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
