//! The board: a page per service with one line per loop, written by that loop, read-only for clients. Rules 5 and 18.

use super::sync::{AtomicU64, Ordering};
use crate::ids::Incarnation;
use crate::limits::BOARD_LINES;

/// What a loop is doing, as far as those who want something of it care.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Mode {
    /// Not there: dead, or never was.
    Gone = 0,
    /// It looks at its links all the time: nobody need ring.
    Scan = 1,
    /// In a handler that runs long: its links are looked at by others.
    Busy = 2,
    /// It waits in the kernel: ring.
    Asleep = 3,
    /// It has woken, answers who has rung, and may soon sleep again: ring. It takes over only links that nobody polls.
    Woken = 4,
}

/// One loop's line: two pairs of cache lines.
///
/// Clients read `state` after every request that they publish, and it changes seldom; `running` changes with every
/// call. In one line they moved that line twice a call, and the reply's fence waited for it.
#[derive(Debug)]
#[repr(C, align(256))]
pub struct BoardLine {
    /// Mode in the lowest 8 bits, incarnation in the next 16, a generation in the rest: a changed word is a new sleep.
    state: AtomicU64,
    _apart: [AtomicU64; 14],
    /// Connections that the loop serves, for other loops at which somebody knocks. It changes seldom, too.
    connections: AtomicU64,
    /// In the lower half the method index that the loop runs, plus 1, or 0 for none; in the upper half how many
    /// handlers it has begun, which wraps. For crash reports, and for who watches over the loop.
    running: AtomicU64,
    /// When the loop was seen to make progress, in nanoseconds of `CLOCK_MONOTONIC`.
    beat_ns: AtomicU64,
    /// Of each thread beside the loop the method index that it runs, plus 1, or 0 for none. For crash reports.
    beside: [AtomicU64; BESIDE],
}

/// Threads beside a loop whose methods the board names.
pub const BESIDE: usize = 14;

/// Bytes of a loop's line.
pub const BOARD_LINE_BYTES: usize = 256;

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<BoardLine>() == BOARD_LINE_BYTES);
    assert!(std::mem::offset_of!(BoardLine, running) == 128, "processors fetch lines in pairs");
};

impl Default for BoardLine {
    fn default() -> Self {
        Self {
            state: AtomicU64::new(0),
            _apart: std::array::from_fn(|_| AtomicU64::new(0)),
            connections: AtomicU64::new(0),
            running: AtomicU64::new(0),
            beat_ns: AtomicU64::new(0),
            beside: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

/// Bytes of a board.
pub const BOARD_BYTES: u64 = (BOARD_LINES * BOARD_LINE_BYTES) as u64;

/// The line of a loop: incarnations are allotted so that no two living loops share one.
#[inline]
#[must_use]
pub fn line_of(incarnation: u16) -> usize {
    usize::from(incarnation) % BOARD_LINES
}

impl BoardLine {
    /// What the loop of this incarnation is doing; [`Mode::Gone`] when the line belongs to another by now.
    #[inline]
    #[must_use]
    pub fn mode(&self, incarnation: u16) -> Mode {
        // PAIR board-mode: whoever sleeps or turns busy fences and looks again after writing this.
        let word = self.state.load(Ordering::SeqCst);
        if word >> 8 & 0xFFFF != u64::from(incarnation) {
            return Mode::Gone;
        }
        match word & 0xFF {
            1 => Mode::Scan,
            2 => Mode::Busy,
            3 => Mode::Asleep,
            4 => Mode::Woken,
            _ => Mode::Gone,
        }
    }

    /// Says what this loop does from now on. Only the loop itself may, and the supervisor after its death.
    pub fn set(&self, incarnation: Incarnation, mode: Mode) {
        let generation = (self.state.load(Ordering::Relaxed) >> 24).wrapping_add(1);
        let word = mode as u64 | u64::from(incarnation.0.get()) << 8 | generation << 24;
        // PAIR board-mode: read by clients and other loops before they decide whether to ring or take over.
        self.state.store(word, Ordering::SeqCst);
    }

    /// Turns "scans" or "has woken" into "busy" for a loop that cannot say so itself, as it is in a handler. Whether
    /// that is what it said. The caller then fences and has others look (rule 21); the loop says what it said before
    /// when it is back.
    #[must_use]
    pub fn turn_busy(&self, incarnation: Incarnation) -> bool {
        let word = self.state.load(Ordering::SeqCst);
        let looks = [Mode::Scan, Mode::Woken].map(|mode| mode as u64 | u64::from(incarnation.0.get()) << 8);
        if !looks.contains(&(word & 0xFF_FFFF)) {
            return false;
        }
        let busy = (word >> 24).wrapping_add(1) << 24 | u64::from(incarnation.0.get()) << 8 | Mode::Busy as u64;
        // PAIR publish-or-sleep: a client that does not see this has published before others are told to look.
        self.state.compare_exchange(word, busy, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Says how many connections this loop serves.
    pub fn set_connections(&self, count: usize) {
        self.connections.store(count as u64, Ordering::Relaxed);
    }

    /// How many connections the loop serves whose line this is, when it is free to take one more: it looks at its bells
    /// or waits for them.
    #[must_use]
    pub fn connections_of_free(&self) -> Option<usize> {
        let mode = self.state.load(Ordering::Relaxed) & 0xFF;
        let is_free = [Mode::Scan, Mode::Asleep, Mode::Woken].iter().any(|free| mode == *free as u64);
        let count = || usize::try_from(self.connections.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        is_free.then(count)
    }

    /// Says which method runs, for whoever finds this line after a crash or watches over the loop.
    #[inline]
    pub fn set_running(&self, method: Option<u16>) {
        let begun = self.running.load(Ordering::Relaxed) >> 32;
        let word = match method {
            Some(index) => (begun.wrapping_add(1) << 32) | (u64::from(index) + 1),
            None => begun << 32,
        };
        self.running.store(word, Ordering::Relaxed);
    }

    /// The method that was running last, if one was.
    #[must_use]
    pub fn running(&self) -> Option<u16> {
        self.handler().map(|handler| handler.method)
    }

    /// Says which method a thread beside the loop runs; there are [`BESIDE`] of them.
    pub fn set_running_beside(&self, thread: usize, method: Option<u16>) {
        if let Some(word) = self.beside.get(thread) {
            word.store(method.map_or(0, |index| u64::from(index) + 1), Ordering::Relaxed);
        }
    }

    /// The methods that were running last, the loop's own first.
    pub fn all_running(&self) -> impl Iterator<Item = u16> + '_ {
        let beside = self.beside.iter().map(|word| word.load(Ordering::Relaxed));
        self.running().into_iter().chain(beside.filter_map(|word| u16::try_from(word.checked_sub(1)?).ok()))
    }

    /// No method runs here any more.
    pub fn clear_running(&self) {
        self.set_running(None);
        (0..BESIDE).for_each(|thread| self.set_running_beside(thread, None));
    }

    /// The handler that runs.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the word is split into its halves")]
    pub fn handler(&self) -> Option<Handler> {
        let word = self.running.load(Ordering::Relaxed);
        let method = (word as u32).checked_sub(1).and_then(|index| u16::try_from(index).ok())?;
        Some(Handler { method, number: (word >> 32) as u32 })
    }

    /// Says that the loop made progress at this time, or sleeps.
    pub fn beat(&self, now_ns: u64) {
        self.beat_ns.store(now_ns, Ordering::Relaxed);
    }

    /// When the loop was last seen to make progress: meaningful while it says that it scans or is busy.
    #[must_use]
    pub fn last_beat_ns(&self) -> u64 {
        self.beat_ns.load(Ordering::Relaxed)
    }
}

/// A handler that runs: equal only to itself, for as long as nobody looks away for four thousand million calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handler {
    /// Its method's index.
    pub method: u16,
    /// How many the loop had begun.
    pub number: u32,
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::num::NonZeroU16;

    /// The next incarnation on the same line as 3.
    const LATER: u16 = 3 + 256;

    #[test]
    fn a_line_speaks_only_for_its_own_incarnation() {
        let line = BoardLine::default();
        let old = Incarnation(NonZeroU16::new(3).unwrap());
        let new = Incarnation(NonZeroU16::new(LATER).unwrap());
        assert_eq!(line_of(3), line_of(LATER));
        line.set(old, Mode::Asleep);
        assert_eq!((line.mode(old.0.get()), line.mode(new.0.get())), (Mode::Asleep, Mode::Gone));
        line.set(new, Mode::Scan);
        assert_eq!((line.mode(old.0.get()), line.mode(new.0.get())), (Mode::Gone, Mode::Scan));
    }

    #[test]
    fn every_sleep_is_a_new_word() {
        let line = BoardLine::default();
        let me = Incarnation(NonZeroU16::MAX);
        line.set(me, Mode::Asleep);
        let first = line.state.load(Ordering::Relaxed);
        line.set(me, Mode::Scan);
        line.set(me, Mode::Asleep);
        assert_ne!(first, line.state.load(Ordering::Relaxed));
        assert_eq!(line.mode(u16::MAX), Mode::Asleep);
    }

    #[test]
    fn only_a_loop_that_looks_is_said_to_be_busy() {
        let line = BoardLine::default();
        let [me, other] = [3, LATER].map(|number| Incarnation(NonZeroU16::new(number).unwrap()));
        for mode in [Mode::Gone, Mode::Busy, Mode::Asleep] {
            line.set(me, mode);
            assert!(!line.turn_busy(me) && line.mode(3) == mode);
        }
        for mode in [Mode::Scan, Mode::Woken] {
            line.set(me, mode);
            assert!(!line.turn_busy(other) && line.mode(3) == mode);
            assert!(line.turn_busy(me) && line.mode(3) == Mode::Busy);
            assert!(!line.turn_busy(me));
        }
    }

    #[test]
    fn all_methods_that_run_are_named_and_forgotten_together() {
        let line = BoardLine::default();
        line.set_running_beside(0, Some(7));
        line.set_running_beside(BESIDE - 1, Some(u16::MAX));
        line.set_running_beside(BESIDE, Some(1));
        line.set_running(Some(0));
        assert!(line.all_running().eq([0, 7, u16::MAX]));
        line.set_running_beside(0, None);
        assert!(line.all_running().eq([0, u16::MAX]));
        line.clear_running();
        assert_eq!(line.all_running().next(), None);
    }

    #[test]
    fn connections_count_for_who_is_free_to_take_more() {
        let line = BoardLine::default();
        assert_eq!(line.connections_of_free(), None, "nobody is there");
        line.set_connections(7);
        let free = [Mode::Scan, Mode::Asleep, Mode::Woken].map(|mode| (mode, Some(7)));
        for (mode, count) in free.into_iter().chain([(Mode::Busy, None), (Mode::Gone, None)]) {
            line.set(Incarnation(NonZeroU16::MAX), mode);
            assert_eq!(line.connections_of_free(), count, "{mode:?}");
        }
    }

    #[test]
    fn handlers_of_one_method_are_told_apart() {
        let line = BoardLine::default();
        assert_eq!(line.handler(), None);
        line.running.store(u64::from(u32::MAX - 1) << 32, Ordering::Relaxed);
        line.set_running(Some(u16::MAX));
        let first = line.handler();
        assert_eq!(first, Some(Handler { method: u16::MAX, number: u32::MAX }));
        line.set_running(None);
        assert_eq!((line.handler(), line.running()), (None, None));
        line.set_running(Some(u16::MAX));
        assert_eq!(line.handler(), Some(Handler { method: u16::MAX, number: 0 }));
    }
}
