//! A link that was attached through the real socket, and calls on it, made store by store.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;
use rustix::mm::ProtFlags;
use speedysvc_protocol::control::Attached;
use speedysvc_protocol::hello::{Hello, Wanted};
use speedysvc_protocol::shm::handover;
use speedysvc_protocol::status::Status;

use super::layout::{self, BUFFER, INLINE, reply, request};
use super::memory::Mapping;
use crate::harness::{PATIENCE, wait_for};

/// JSON, on the wire.
pub const JSON: u8 = 2;
/// Archives, on the wire.
pub const ARCHIVE: u8 = 1;
/// The methods of the test service that attacks use; their places are [`RawLink::method`]'s.
const METHODS: [&str; 8] = ["echo", "echo_bytes", "sum", "sleep_ms", "big", "hold", "steady", "die"];

/// A link with all its descriptors, mapped without any care.
#[derive(Debug)]
pub struct RawLink {
    /// Slots.
    pub slots: usize,
    /// Bytes of the arena.
    pub arena: u64,
    /// Largest message.
    pub message_max: u64,
    /// Request lines and arena.
    pub request: Mapping,
    /// Reply lines.
    pub reply: Mapping,
    /// Request segment, reply segment, bell, board.
    pub files: [OwnedFd; 4],
    /// To the broker.
    pub socket: OwnedFd,
    indexes: Vec<u16>,
    seqs: Vec<u64>,
}

/// What is not in the files: bytes of the arena, largest message, indexes of methods, the last number of each slot.
type Known = (u64, u64, Vec<u16>, Vec<u64>);

/// A request in raw words.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// Which method, by its index.
    pub method: u16,
    /// Which codec.
    pub codec: u8,
    /// What is sent: inline, or in the slot's buffer.
    pub body: &'a [u8],
}

/// A reply as it lies in its line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawReply {
    /// What it says.
    pub status: Status,
    /// How long it says that it is.
    pub len: u32,
}

impl RawLink {
    /// Greets and maps.
    ///
    /// # Errors
    /// What the kernel says, or why the broker refuses.
    pub fn attach(socket: OwnedFd) -> io::Result<Self> {
        let mut hello = Hello::by_name("", METHODS[0]);
        hello.methods.extend(METHODS[1..].iter().map(|name| Wanted { name: (*name).to_owned(), typed: None }));
        handover::send(&socket, &hello, &[])?;
        match handover::receive::<Attached>(&socket, 4)? {
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the broker closed")),
            Some((Attached::Refused { refusal }, _)) => Err(io::Error::other(refusal.message)),
            Some((Attached::Welcome { welcome, geometry, .. }, files)) => {
                let indexes = welcome.methods.iter().map(|given| given.index.0).collect();
                Self::map(files, socket, (geometry.arena(), welcome.message_max, indexes, vec![0; geometry.slots()]))
            }
        }
    }

    fn map(files: Vec<OwnedFd>, socket: OwnedFd, known: Known) -> io::Result<Self> {
        let files: [OwnedFd; 4] = files.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
        let (arena, message_max, indexes, seqs) = known;
        let size = |file: &OwnedFd| io::Result::Ok(u64::try_from(fstat(file)?.st_size).unwrap_or(0));
        Ok(Self {
            slots: seqs.len(),
            arena,
            message_max,
            request: Mapping::new(&files[0], size(&files[0])?, ProtFlags::READ | ProtFlags::WRITE)?,
            reply: Mapping::new(&files[1], size(&files[1])?, ProtFlags::READ)?,
            files,
            socket,
            indexes,
            seqs,
        })
    }

    /// Gives all of it to another process, and keeps it, too.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn bequeath(&self, to: &OwnedFd) -> io::Result<()> {
        let known: Known = (self.arena, self.message_max, self.indexes.clone(), self.seqs.clone());
        let files: Vec<_> = self.files.iter().chain([&self.socket]).map(AsFd::as_fd).collect();
        handover::send(to, &known, &files)
    }

    /// Takes what [`RawLink::bequeath`] gives.
    ///
    /// # Errors
    /// What the kernel says, or that nothing came.
    pub fn inherit(from: impl AsFd) -> io::Result<Self> {
        poll(&mut [PollFd::new(&from, PollFlags::IN)], None)?;
        let (known, mut files) = handover::receive::<Known>(&from, 5)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let socket = files.pop().ok_or(io::ErrorKind::InvalidData)?;
        Self::map(files, socket, known)
    }

    /// The index of a method of the test service.
    ///
    /// # Panics
    /// When attacks do not use it.
    #[must_use]
    pub fn method(&self, name: &str) -> u16 {
        let place = METHODS.iter().position(|known| *known == name).expect("a method that attacks use");
        self.indexes[place]
    }

    /// A word of a slot's request line.
    pub fn store(&self, slot: usize, word: u64, value: u64) {
        self.request.store(layout::request_line(slot) + word, value);
    }

    /// Where a slot's own buffer lies in the request segment.
    #[must_use]
    pub fn buffer(&self, slot: usize) -> u64 {
        layout::arena(self.slots) + slot as u64 * BUFFER
    }

    /// All stores of a request in their order, the number last: word and value.
    #[must_use]
    pub fn stores(&self, slot: usize, raw: &Raw<'_>) -> Vec<(u64, u64)> {
        let len = u32::try_from(raw.body.len()).expect("bodies are short");
        let mut stores = vec![
            (request::DEADLINE, 0),
            (request::HEAD, layout::head(raw.method, raw.codec, false, len)),
            (request::GRANT, layout::grant(slot as u64 * BUFFER, BUFFER)),
        ];
        if raw.body.len() <= INLINE {
            for (place, chunk) in (0..).zip(raw.body.chunks(8)) {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                stores.push((request::INLINE + 8 * place, u64::from_le_bytes(word)));
            }
        }
        stores.push((request::SEQ, self.seqs[slot] + 1));
        stores
    }

    /// Publishes a request, and rings whether that is needed or not. Returns its number.
    pub fn post(&mut self, slot: usize, raw: &Raw<'_>) -> u64 {
        self.post_quietly(slot, raw);
        self.ring();
        self.seqs[slot]
    }

    /// Publishes a request without ringing.
    pub fn post_quietly(&mut self, slot: usize, raw: &Raw<'_>) {
        if raw.body.len() > INLINE {
            let room = usize::try_from(BUFFER).expect("a page");
            self.request.write(self.buffer(slot), &raw.body[..raw.body.len().min(room)]);
        }
        for (word, value) in self.stores(slot, raw) {
            self.store(slot, word, value);
        }
        self.seqs[slot] += 1;
    }

    /// Publishes a request of these words.
    pub fn post_words(&mut self, slot: usize, words: &[(u64, u64)]) {
        words.iter().for_each(|(word, value)| self.store(slot, *word, *value));
        self.seqs[slot] += 1;
        self.store(slot, request::SEQ, self.seqs[slot]);
    }

    /// The number of the last call of a slot.
    #[must_use]
    pub fn seq(&self, slot: usize) -> u64 {
        self.seqs[slot]
    }

    /// Rings, as if nobody looked.
    pub fn ring(&self) {
        // A full bell has rung already; a bell that was taken from us is the test's business.
        let _rung = handover_ring(&self.files[2]);
    }

    /// The reply to the last call of a slot.
    #[must_use]
    pub fn poll(&self, slot: usize) -> Option<RawReply> {
        let line = layout::reply_line(self.slots, slot);
        if self.reply.load(line + reply::SEQ) != self.seqs[slot] {
            return None;
        }
        let [a, b, c, d, len @ ..] = self.reply.load(line + reply::HEAD).to_le_bytes();
        let status = Status::from_wire(u32::from_le_bytes([a, b, c, d]));
        Some(RawReply { status, len: u32::from_le_bytes(len) })
    }

    /// The inline part of a reply.
    #[must_use]
    pub fn inline(&self, slot: usize, len: u32) -> Vec<u8> {
        let len = usize::try_from(len).map_or(INLINE, |len| len.min(INLINE));
        self.reply.read(layout::reply_line(self.slots, slot) + reply::INLINE, len)
    }

    /// Waits for the reply to the last call of a slot; `None` when the link is over.
    ///
    /// # Panics
    /// When neither comes.
    pub fn wait(&self, slot: usize) -> Option<RawReply> {
        let begin = Instant::now();
        loop {
            for _ in 0..1000 {
                if let Some(reply) = self.poll(slot) {
                    return Some(reply);
                }
            }
            if self.is_over() {
                return None;
            }
            assert!(begin.elapsed() < PATIENCE, "neither an answer nor the end of the link");
            std::thread::yield_now();
        }
    }

    /// As [`RawLink::wait`]; `None` also when the request is no longer there to be answered.
    pub fn wait_or_give_up(&self, slot: usize) -> Option<RawReply> {
        let line = layout::request_line(slot);
        loop {
            if let Some(reply) = self.poll(slot) {
                return Some(reply);
            }
            let claimed = self.claimed(slot) == self.seqs[slot];
            if self.is_over() || !claimed && self.request.load(line + request::SEQ) != self.seqs[slot] {
                return None;
            }
            std::thread::yield_now();
        }
    }

    fn claimed(&self, slot: usize) -> u64 {
        self.reply.load(layout::claim(slot)) & ((1 << 48) - 1)
    }

    /// Whether the number of a slot's request is lower than that of the last one which a worker took.
    #[must_use]
    pub fn went_back(&self, slot: usize) -> bool {
        self.request.load(layout::request_line(slot) + request::SEQ) < self.claimed(slot)
    }

    /// Waits until the reply line of a slot has this number.
    ///
    /// # Panics
    /// When it never has.
    pub fn wait_for_number(&self, slot: usize, seq: u64) {
        let line = layout::reply_line(self.slots, slot);
        wait_for("an answer", || self.reply.load(line + reply::SEQ) == seq);
    }

    /// A call with a JSON body, from beginning to end; `None` when the link is over.
    pub fn call(&mut self, slot: usize, method: &str, body: &[u8]) -> Option<RawReply> {
        self.post(slot, &Raw { method: self.method(method), codec: JSON, body });
        self.wait(slot)
    }

    /// Whether the broker has hung up.
    #[must_use]
    pub fn is_over(&self) -> bool {
        hears(&self.socket, Duration::ZERO)
    }

    /// Waits for the broker to hang up.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_for_the_end(&self) {
        assert!(hears(&self.socket, PATIENCE), "the link goes on");
    }
}

/// Whether there is something to hear on a socket within this time: of the broker, after its welcome, only the end.
pub fn hears(socket: impl AsFd, longest: Duration) -> bool {
    let mut sockets = [PollFd::new(&socket, PollFlags::IN | PollFlags::RDHUP)];
    let longest = Timespec::try_from(longest).expect("a short time");
    poll(&mut sockets, Some(&longest)).is_ok_and(|ready| ready > 0)
}

fn handover_ring(bell: &OwnedFd) -> io::Result<usize> {
    Ok(rustix::io::write(bell, &1_u64.to_ne_bytes())?)
}
