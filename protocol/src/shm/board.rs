//! The board: a page per service with one line per loop, written by that loop, read-only for clients. Rules 5 and 18.

use super::sync::{AtomicU64, Ordering};
use crate::ids::Incarnation;
use crate::limits::BOARD_LINES;

/// What a loop is doing, as far as those who want something of it care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    _apart: [AtomicU64; 15],
    /// The method index that the loop runs, plus 1; 0 for none. For crash reports.
    running: AtomicU64,
    _later: [AtomicU64; 15],
}

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
            running: AtomicU64::new(0),
            _later: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

/// Bytes of a board.
pub const BOARD_BYTES: u64 = (BOARD_LINES * BOARD_LINE_BYTES) as u64;

/// The line of a loop: incarnations are allotted so that no two living loops share one.
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

    /// Says which method runs, for whoever finds this line after a crash.
    pub fn set_running(&self, method: Option<u16>) {
        self.running.store(method.map_or(0, |index| u64::from(index) + 1), Ordering::Relaxed);
    }

    /// The method that was running last, if one was.
    #[must_use]
    pub fn running(&self) -> Option<u16> {
        let word = self.running.load(Ordering::Relaxed);
        word.checked_sub(1).and_then(|index| u16::try_from(index).ok())
    }
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
}
