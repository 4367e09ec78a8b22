//! A loop's stats page: a memory file of its own, which only this loop writes and which outlives it.
//!
//! Layout: a page with a header line and the loop's counters; a row of words for each method; three histograms for
//! each method, each in pages of its own; a line for each peer ([`super::peer_rows`]). The file is sparse: pages in
//! which nothing was counted take no memory.
//!
//! What a reader may rely on: there is one writer, which stores each word whole, so each number that a reader sees was
//! true at some moment of its reading, and is never less than what it saw before. Calls are written last and read
//! first: who sees so many of a method, or of a link, sees the errors and bytes of all of them. A reader waits for
//! nobody, and a writer that dies between two stores leaves counts that differ by the call it was counting.

use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, SeekFrom, seek};
use rustix::io::Errno;

use super::lines::Lines;
use super::peer_rows::{self, PEER_WORDS, PEERS_BYTES, PeerNow, PeerRows};
use super::segment::{Access, Segment, create, reopen_read_only};
use super::sync::{AtomicU64, Ordering};
use crate::stats::buckets::{BUCKETS, bucket_of};
use crate::stats::{
    Call, Counter, ERRORS, Histogram, METERED_MAX, MethodCounter, OTHER_NAME, Snapshot, Times, Timing, Untimed,
    error_place,
};

const PAGE: u64 = 4096;
const WORDS_OF_PAGE: usize = 512;

/// Written into the first word by the loop: which layout this is. 0 before the loop has begun.
const LAYOUT: u64 = 2;
/// Words of the header; the counters begin behind it, in a line of their own.
const HEADER_WORDS: usize = 8;
const COUNTER_WORDS: usize = WORDS_OF_PAGE - HEADER_WORDS;

/// Words of a method's row: its counters have the first line for themselves, its errors the next three.
const ROW_WORDS: usize = 32;
const ERRORS_AT: usize = 8;
const ROW_BYTES: u64 = (ROW_WORDS * 8) as u64;
/// A row for each method, and one for all others.
const ALL_ROWS: usize = METERED_MAX + 1;
const ROWS: u64 = ALL_ROWS as u64;
const ROWS_AT: u64 = PAGE;

/// Words from one histogram to the next, in whole pages.
const HISTOGRAM_WORDS: usize = BUCKETS.next_multiple_of(WORDS_OF_PAGE);
const HISTOGRAM_BYTES: u64 = HISTOGRAM_WORDS as u64 * 8;
const HISTOGRAMS: u64 = Timing::ALL.len() as u64;
/// Words of a method's histograms.
const TIMES_WORDS: usize = HISTOGRAM_WORDS * Timing::ALL.len();
const HISTOGRAMS_AT: u64 = (ROWS_AT + ROWS * ROW_BYTES).next_multiple_of(PAGE);

const PEERS_AT: u64 = HISTOGRAMS_AT + ROWS * HISTOGRAMS * HISTOGRAM_BYTES;

/// Bytes of a stats page's file, nearly all of them a hole.
pub const STATS_BYTES: u64 = (PEERS_AT + PEERS_BYTES).next_multiple_of(PAGE);

const _: () = {
    assert!(HISTOGRAM_BYTES <= 32 * 1024);
    assert!(Counter::ALL.len() <= COUNTER_WORDS && MethodCounter::ALL.len() <= ERRORS_AT);
    assert!(ERRORS_AT + ERRORS <= ROW_WORDS);
};

/// Makes a page: the file for its loop, and a reader of it.
///
/// # Errors
/// What the kernel says: out of memory or descriptors.
pub fn create_page() -> io::Result<(OwnedFd, StatsReader)> {
    let file = create("speedysvc-stats", STATS_BYTES, Mode::from_raw_mode(0o400))?;
    let reader = StatsReader::map(reopen_read_only(&file)?)?;
    Ok((file, reader))
}

/// The page as its loop writes it. There must be only one: it adds by a load and a store, which is what makes a count
/// cost less than a nanosecond.
#[derive(Debug)]
pub struct StatsWriter {
    counters: Lines<[AtomicU64; COUNTER_WORDS]>,
    rows: Lines<[AtomicU64; ROW_WORDS]>,
    times: Lines<[AtomicU64; TIMES_WORDS]>,
    peers: PeerRows,
    /// Threads cannot share it.
    _one_thread: PhantomData<Cell<()>>,
}

impl StatsWriter {
    /// Maps a page that [`create_page`] made.
    ///
    /// # Errors
    /// When the file is no stats page of this version, or the kernel refuses.
    pub fn map(file: impl AsFd) -> io::Result<Self> {
        let segment = Arc::new(Segment::map(file.as_fd(), STATS_BYTES, Access::ReadWrite)?);
        Lines::<AtomicU64>::new(&segment, 0, 1)?.get(0).store(LAYOUT, Ordering::Relaxed);
        Ok(Self {
            counters: Lines::new(&segment, (HEADER_WORDS * 8) as u64, 1)?,
            rows: Lines::new(&segment, ROWS_AT, ALL_ROWS)?,
            times: Lines::new(&segment, HISTOGRAMS_AT, ALL_ROWS)?,
            peers: PeerRows::new(&segment, PEERS_AT)?,
            _one_thread: PhantomData,
        })
    }

    /// Counts on.
    #[inline]
    pub fn add(&self, counter: Counter, more: u64) {
        add(&self.counters()[counter as usize], more);
    }

    /// Replaces a count that is kept elsewhere, and only grows there.
    pub fn set(&self, counter: Counter, value: u64) {
        self.counters()[counter as usize].store(value, Ordering::Relaxed);
    }

    fn counters(&self) -> &[AtomicU64; COUNTER_WORDS] {
        self.counters.get(0)
    }

    /// Who is connected to this loop.
    #[inline]
    pub fn peers(&self) -> &PeerRows {
        &self.peers
    }

    /// Counts a call that has been answered. Indexes from [`METERED_MAX`] on share one row.
    #[inline]
    pub fn record(&self, method: usize, call: &Call) {
        let row_number = method.min(METERED_MAX);
        if let Some(place) = error_place(call.status) {
            add(&self.rows.get(row_number)[ERRORS_AT + place], 1);
        }
        if let Some(times) = &call.times {
            self.record_times(row_number, times);
        }
        self.record_untimed(row_number, &Untimed { calls: 1, bytes_in: call.bytes_in, bytes_out: call.bytes_out });
    }

    /// Counts calls that went well, without their times.
    #[inline]
    pub fn record_untimed(&self, method: usize, calls: &Untimed) {
        let row = self.rows.get(method.min(METERED_MAX));
        let count = |counter: MethodCounter, more| add(&row[counter as usize], more);
        count(MethodCounter::BytesIn, calls.bytes_in);
        count(MethodCounter::BytesOut, calls.bytes_out);
        // PAIR method-calls-last: who sees these calls sees their errors and bytes.
        add_last(&row[MethodCounter::Calls as usize], calls.calls);
    }

    /// Counts how long a call took that is counted apart. Short ones are timed now and then only.
    #[cold]
    pub fn record_times(&self, method: usize, times: &Times) {
        let row_number = method.min(METERED_MAX);
        let (row, histograms) = (self.rows.get(row_number), self.times.get(row_number));
        add(&row[MethodCounter::Timed as usize], 1);
        for timing in Timing::ALL {
            let ns = times.get(*timing);
            add(&row[timing.sum() as usize], ns);
            add(&histograms[*timing as usize * HISTOGRAM_WORDS + bucket_of(ns)], 1);
        }
    }
}

#[inline]
pub(super) fn add(word: &AtomicU64, more: u64) {
    // Nobody else writes this word, so nothing can come between the two.
    word.store(word.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

/// As above; who acquires the sum sees all that was counted before.
#[inline]
pub(super) fn add_last(word: &AtomicU64, more: u64) {
    word.store(word.load(Ordering::Relaxed).wrapping_add(more), Ordering::Release);
}

/// The page as everybody else reads it.
#[derive(Debug)]
pub struct StatsReader {
    file: OwnedFd,
    words: Lines<[AtomicU64; WORDS_OF_PAGE]>,
}

impl StatsReader {
    /// Maps a page for reading. `file` is best opened for reading only.
    ///
    /// # Errors
    /// When the file is no stats page of this version, or the kernel refuses.
    pub fn map(file: OwnedFd) -> io::Result<Self> {
        let segment = Arc::new(Segment::map(file.as_fd(), STATS_BYTES, Access::ReadOnly)?);
        let pages = usize::try_from(STATS_BYTES / PAGE).map_err(|_| io::ErrorKind::OutOfMemory)?;
        Ok(Self { words: Lines::new(&segment, 0, pages)?, file })
    }

    /// Reads what has been counted. `names` are the methods in the order of their indexes; as long as they are not
    /// known, only the loop's counters are read. What has no name is counted as [`OTHER_NAME`].
    #[must_use]
    pub fn read(&self, names: Option<&[String]>) -> Snapshot {
        let mut snapshot = Snapshot::default();
        if self.words.get(0)[0].load(Ordering::Relaxed) != LAYOUT {
            return snapshot;
        }
        for page in self.pages(0).filter(|page| *page < PEERS_AT) {
            let words = self.words.get(usize::try_from(page / PAGE).unwrap_or(usize::MAX));
            if page < ROWS_AT {
                read_counters(words, &mut snapshot);
            } else if let Some(names) = names {
                let own = |row: u64| usize::try_from(row).ok().filter(|row| *row < METERED_MAX);
                let name = |row| own(row).and_then(|row| names.get(row)).map_or(OTHER_NAME, String::as_str);
                if page < HISTOGRAMS_AT {
                    read_rows(page, words, &mut snapshot, name);
                } else {
                    read_buckets(page, words, &mut snapshot, name);
                }
            }
        }
        snapshot
    }

    /// Reads who is connected.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerNow> {
        if self.words.get(0)[0].load(Ordering::Relaxed) != LAYOUT {
            return Vec::new();
        }
        let rows_of = |page: u64| {
            let words = self.words.get(usize::try_from(page / PAGE).unwrap_or(usize::MAX));
            words.chunks_exact(PEER_WORDS)
        };
        self.pages(PEERS_AT).flat_map(rows_of).filter_map(peer_rows::read).collect()
    }

    /// The pages from here on in which something was written. Looking at the others would fill the file's holes.
    fn pages(&self, mut at: u64) -> impl Iterator<Item = u64> {
        let ranges = std::iter::from_fn(move || {
            let begin = match seek(&self.file, SeekFrom::Data(at)) {
                Err(Errno::NXIO) => return None,
                found => found.unwrap_or(at),
            };
            let end = seek(&self.file, SeekFrom::Hole(begin)).unwrap_or(STATS_BYTES);
            at = end;
            (begin < end).then_some(begin..end)
        });
        ranges.flat_map(|range| range.step_by(WORDS_OF_PAGE * 8))
    }
}

fn read_counters(words: &[AtomicU64; WORDS_OF_PAGE], snapshot: &mut Snapshot) {
    for counter in Counter::ALL {
        snapshot.add(*counter, words[HEADER_WORDS + *counter as usize].load(Ordering::Relaxed));
    }
}

fn read_rows<'n>(
    page: u64,
    words: &[AtomicU64; WORDS_OF_PAGE],
    snapshot: &mut Snapshot,
    name: impl Fn(u64) -> &'n str,
) {
    let first = (page - ROWS_AT) / ROW_BYTES;
    for (row, words) in (first..ROWS).zip(words.chunks_exact(ROW_WORDS)) {
        // PAIR method-calls-last: the errors and bytes below are of these calls at least.
        let calls = words[MethodCounter::Calls as usize].load(Ordering::Acquire);
        let mut values: Vec<u64> = words.iter().map(|word| word.load(Ordering::Relaxed)).collect();
        values[MethodCounter::Calls as usize] = calls;
        if values.iter().any(|value| *value > 0) {
            snapshot.method_mut(name(row)).add_counts(&values[..ERRORS_AT], &values[ERRORS_AT..]);
        }
    }
}

fn read_buckets<'n>(
    page: u64,
    words: &[AtomicU64; WORDS_OF_PAGE],
    snapshot: &mut Snapshot,
    name: impl Fn(u64) -> &'n str,
) {
    let (number, within) = ((page - HISTOGRAMS_AT) / HISTOGRAM_BYTES, (page - HISTOGRAMS_AT) % HISTOGRAM_BYTES);
    let first = usize::try_from(within / 8).expect("a histogram has some thousand words");
    let timing = Timing::ALL[usize::try_from(number % HISTOGRAMS).expect("a remainder of three")];
    let mut found = Histogram::default();
    for (bucket, word) in (first..BUCKETS).zip(words) {
        found.add(bucket, word.load(Ordering::Relaxed));
    }
    if found.count() > 0 {
        snapshot.method_mut(name(number / HISTOGRAMS)).add_times(timing, &found);
    }
}
