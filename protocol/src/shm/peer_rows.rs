//! Who is connected to a loop, and what has passed: a line for each in the loop's stats page.
//!
//! The loop takes a row when somebody comes, and gives it back when he goes; in between it counts there as everywhere
//! in its page. A reader that meets a change of hands sees the old owner, the new one, or nobody: never a mixture.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::lines::Lines;
use super::segment::Segment;
use super::stats_page::{add, add_last};
use super::sync::{AtomicU64, Ordering, fence};
use crate::context::Peer;
use crate::ids::{LinkId, WorkerId};

/// Most peers of a loop that are counted apart. More are served all the same, and are in its sums.
pub const PEERS_MAX: usize = 1024;
/// The row of those who came when the others were taken: nobody reads it.
const OVERFLOW: u16 = 1024;
/// Words of a row: a cache line.
pub(super) const PEER_WORDS: usize = 8;
/// Bytes of all rows.
pub(super) const PEERS_BYTES: u64 = ((PEERS_MAX + 1) * PEER_WORDS * 8) as u64;

const _: () = assert!(OVERFLOW as usize == PEERS_MAX);

/// Which owner of the row this is, its kind and its port; 0 while nobody has the row.
const NAME: usize = 0;
/// An address of two words, or a number.
const WHO: usize = 1;
const IN_FLIGHT: usize = 3;
const CALLS: usize = 4;
const BYTES_IN: usize = 5;
const BYTES_OUT: usize = 6;
const HTTP: usize = 7;

const KIND_LINK: u64 = 1;
const KIND_USER: u64 = 2;
const KIND_ADDRESS: u64 = 3;
const KIND_UNKNOWN: u64 = 4;

type Words = [AtomicU64; PEER_WORDS];

/// Somebody who is connected to a loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// By a link of shared memory.
    Link(LinkId),
    /// By a socket.
    Socket(Peer),
}

/// A peer's place in the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerRow(u16);

/// What has passed between a peer and a loop.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Passed {
    /// Calls that have begun here and are not answered. Kept for sockets only.
    pub in_flight: u64,
    /// Calls that were answered, refused ones among them.
    pub calls: u64,
    /// Bytes that came: of arguments over a link, of everything over a socket.
    pub bytes_in: u64,
    /// Bytes that went: of replies over a link, of everything over a socket.
    pub bytes_out: u64,
}

impl Passed {
    /// Adds what passed elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.in_flight += other.in_flight;
        self.calls += other.calls;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }
}

/// A row that somebody has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerNow {
    /// Who.
    pub who: Who,
    /// It speaks HTTP.
    pub over_http: bool,
    /// Since it came.
    pub passed: Passed,
}

/// Who is connected to a service, and what has passed.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// By link, over all loops since the client came.
    pub links: HashMap<LinkId, Passed>,
    /// Connections over sockets, with the worker that has them.
    pub sockets: Vec<(WorkerId, PeerNow)>,
}

/// The rows as their loop writes them.
#[derive(Debug)]
pub struct PeerRows {
    rows: Lines<Words>,
    free: RefCell<Vec<u16>>,
    owners: Cell<u32>,
}

impl PeerRows {
    pub(super) fn new(segment: &Arc<Segment>, offset: u64) -> io::Result<Self> {
        let rows = Lines::new(segment, offset, PEERS_MAX + 1)?;
        Ok(Self { rows, free: RefCell::new((0..OVERFLOW).rev().collect()), owners: Cell::new(0) })
    }

    /// Somebody has come.
    pub fn arrive(&self, who: Who) -> PeerRow {
        let Some(row) = self.free.borrow_mut().pop().map(PeerRow) else { return PeerRow(OVERFLOW) };
        let words = self.words(row);
        let owner = self.owners.get().wrapping_add(1);
        self.owners.set(owner);
        let (kind, values) = words_of(who);
        // PAIR peer-row-left: who sees any of the new values sees that the old name has gone.
        fence(Ordering::Release);
        words[WHO..].iter().for_each(|word| word.store(0, Ordering::Relaxed));
        words[WHO].store(values[0], Ordering::Relaxed);
        words[WHO + 1].store(values[1], Ordering::Relaxed);
        // PAIR peer-row-named: who sees this name sees its values.
        words[NAME].store(u64::from(owner) << 32 | kind, Ordering::Release);
        row
    }

    /// Whoever had the row has gone.
    pub fn leave(&self, row: PeerRow) {
        if row.0 != OVERFLOW {
            self.words(row)[NAME].store(0, Ordering::Relaxed);
            self.free.borrow_mut().push(row.0);
        }
    }

    /// A call was answered, of so many bytes of arguments and reply.
    #[inline]
    pub fn answered(&self, row: PeerRow, bytes_in: u64, bytes_out: u64) {
        let words = self.words(row);
        add(&words[BYTES_IN], bytes_in);
        add(&words[BYTES_OUT], bytes_out);
        // PAIR peer-calls-last: who sees this call sees its bytes.
        add_last(&words[CALLS], 1);
    }

    /// So many calls were answered, whose bytes are counted as they come and go.
    #[inline]
    pub fn called(&self, row: PeerRow, calls: u64) {
        add(&self.words(row)[CALLS], calls);
    }

    /// So many bytes came and went.
    pub fn passed(&self, row: PeerRow, bytes_in: u64, bytes_out: u64) {
        let words = self.words(row);
        add(&words[BYTES_IN], bytes_in);
        add(&words[BYTES_OUT], bytes_out);
    }

    /// So many calls have begun and are not answered.
    #[inline]
    pub fn set_in_flight(&self, row: PeerRow, calls: u64) {
        self.words(row)[IN_FLIGHT].store(calls, Ordering::Relaxed);
    }

    /// It speaks HTTP.
    pub fn speaks_http(&self, row: PeerRow) {
        self.words(row)[HTTP].store(1, Ordering::Relaxed);
    }

    #[inline]
    fn words(&self, row: PeerRow) -> &Words {
        self.rows.get(usize::from(row.0))
    }
}
/// A row as everybody else reads it: eight words of the page. `None` when nobody has it, or it changes hands just now.
pub(super) fn read(words: &[AtomicU64]) -> Option<PeerNow> {
    let [name, ..] = words else { return None };
    // PAIR peer-row-named: the values below belong to this name or to a later one.
    let named = name.load(Ordering::Acquire);
    // PAIR peer-calls-last: the bytes below are of these calls at least.
    let calls = words.get(CALLS)?.load(Ordering::Acquire);
    let values: Vec<u64> = words.iter().map(|word| word.load(Ordering::Relaxed)).collect();
    // PAIR peer-row-left: if one of them was a later one's, the name below is not the same any more.
    fence(Ordering::Acquire);
    let unchanged = named != 0 && name.load(Ordering::Relaxed) == named;
    let who = who_of(named, values.get(WHO..=WHO + 1)?)?;
    let value = |word: usize| values.get(word).copied().unwrap_or(0);
    let passed = Passed { in_flight: value(IN_FLIGHT), calls, bytes_in: value(BYTES_IN), bytes_out: value(BYTES_OUT) };
    unchanged.then_some(PeerNow { who, over_http: value(HTTP) != 0, passed })
}

fn words_of(who: Who) -> (u64, [u64; 2]) {
    match who {
        Who::Link(link) => (KIND_LINK, [link.0, 0]),
        Who::Socket(Peer::User(uid)) => (KIND_USER, [u64::from(uid), 0]),
        Who::Socket(Peer::Address { ip, port }) => {
            let ip = u128::from_be_bytes(ip);
            #[expect(clippy::cast_possible_truncation, reason = "the address is split into two words")]
            (KIND_ADDRESS | u64::from(port) << 8, [(ip >> 64) as u64, ip as u64])
        }
        Who::Socket(Peer::Unknown) => (KIND_UNKNOWN, [0, 0]),
    }
}

fn who_of(name: u64, values: &[u64]) -> Option<Who> {
    let &[first, second] = values else { return None };
    #[expect(clippy::cast_possible_truncation, reason = "the word is split into its fields")]
    let (kind, port) = (name & 0xFF, (name >> 8) as u16);
    match kind {
        KIND_LINK => Some(Who::Link(LinkId(first))),
        KIND_USER => u32::try_from(first).ok().map(|uid| Who::Socket(Peer::User(uid))),
        KIND_ADDRESS => {
            let ip = (u128::from(first) << 64 | u128::from(second)).to_be_bytes();
            Some(Who::Socket(Peer::Address { ip, port }))
        }
        KIND_UNKNOWN => Some(Who::Socket(Peer::Unknown)),
        _ => None,
    }
}
