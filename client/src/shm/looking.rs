//! Whether, and for how long, a caller waits by looking before it sleeps.
//!
//! A look that finds the reply saves a sleep and a wake on the caller's side. One in vain costs what it saves, so it is
//! tried only while it has been paying off, and while there are processors to spare.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, TryLockError};
use std::time::Duration;

use speedysvc_protocol::crowd::Watch;
use speedysvc_protocol::shm::layout::SLOT_BUFFER;

use crate::clock::now_ns;

/// How long a caller looks before it sleeps: about what a sleep and a wake cost together (measured: 15 to 60 us), so
/// that looking in vain at most doubles the price. Long enough for a worker that must be woken first: with 20 us every
/// look of who calls a thousand times a second was in vain (decision 0034). While its worker still wakes, a wake takes
/// longer here than elsewhere: then as long again (decision 0081).
const LONGEST: Duration = Duration::from_micros(60);
/// How fast the other side copies a large request in and a large reply out, at least: measured between processors far
/// from each other, 64 KiB there and back took 14 to 17 us.
const BYTES_PER_NS: u64 = 8;
/// Beyond this a wake is no longer a large part of a large call.
const MORE_MAX: Duration = Duration::from_micros(500);
/// After so many misses in a row, each of which halves the time, there is none left...
const MISSES_MAX: u32 = 5;
/// ...and one wait in so many tries again, because otherwise nothing could ever be a hit.
const PROBE: u32 = 16;

/// Of the whole process: its threads share the machine.
static CROWD: Crowd = Crowd::new();

/// How often a thread that looks asks whether others have had its processor: once a tick of most kernels, by which most
/// calls know when they began; a little less, as that clock is corrected.
const ASKS_NS: u64 = 3_900_000;

thread_local! {
    /// When this thread asked last.
    static ASKED_NS: Cell<u64> = const { Cell::new(0) };
}

struct Crowd {
    /// When the machine is looked at again; at the end of time for never.
    next_ns: AtomicU64,
    is_crowded: AtomicBool,
    watch: Mutex<Option<Watch>>,
}

/// A thread that looked at a reply line may have been away from its processor for some time.
#[cold]
pub(super) fn was_away() {
    CROWD.look(true);
}

/// A thread has made many calls: their times may be those of one tick, which is longer than a crowd may last.
#[cold]
pub(super) fn many_calls() {
    if CROWD.next_ns.load(Ordering::Relaxed) != u64::MAX {
        CROWD.look(false);
    }
}

impl Crowd {
    const fn new() -> Self {
        Self { next_ns: AtomicU64::new(u64::MAX), is_crowded: AtomicBool::new(false), watch: Mutex::new(None) }
    }

    /// A thread asks, at this time.
    #[cold]
    fn asks(&self, now_ns: u64) {
        // Who has not called before has lost nothing to others here.
        if ASKED_NS.replace(now_ns) > 0 {
            self.look(true);
        }
    }

    #[cold]
    fn look(&self, was_away: bool) {
        let mut watch = match self.watch.try_lock() {
            Ok(watch) => watch,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another thread is looking.
            Err(TryLockError::WouldBlock) => return,
        };
        let watch = watch.get_or_insert_with(Watch::new);
        let now_ns = now_ns();
        if was_away {
            watch.was_away(now_ns);
        }
        let is_crowded = !watch.allows_after(now_ns);
        self.is_crowded.store(is_crowded, Ordering::Relaxed);
        self.next_ns.store(watch.next_ns(), Ordering::Relaxed);
    }
}

/// What has become of one link's looks. Callers of several threads may cross each other here: then a hint is worse than
/// it could be, and nothing else.
pub(super) struct Looking {
    /// The service's file says so.
    never: bool,
    /// Misses in a row.
    misses: AtomicU32,
    /// In tests of what is done then.
    #[cfg(test)]
    always: AtomicBool,
}

impl Looking {
    pub(super) fn new(never: bool) -> Self {
        Self {
            never,
            misses: AtomicU32::new(0),
            #[cfg(test)]
            always: AtomicBool::new(false),
        }
    }

    #[cfg(test)]
    pub(super) fn ignore_the_crowd(&self) {
        self.always.store(true, Ordering::Relaxed);
    }

    /// A call began at this time, exactly or by the last tick: looks at the machine when that is due.
    #[inline]
    pub(super) fn note_call(&self, began_ns: u64) {
        // Who does not look, as that does not pay off or the machine is crowded, takes no processor from anybody and
        // need not know: to ask the kernel takes a tenth of a call that finds both sides asleep.
        if began_ns.saturating_sub(ASKED_NS.get()) >= ASKS_NS && self.pays_off() {
            CROWD.asks(began_ns);
        }
        if began_ns >= CROWD.next_ns.load(Ordering::Relaxed) {
            CROWD.look(false);
        }
    }

    /// Whether looking has been paying off. Who goes by this tries nothing: a call that it keeps from the short way is
    /// to ask whether looking [is worth while](Self::is_worth_while), which counts.
    #[inline]
    pub(super) fn pays_off(&self) -> bool {
        #[cfg(test)]
        if self.always.load(Ordering::Relaxed) {
            return true;
        }
        let misses = self.misses.load(Ordering::Relaxed);
        misses < MISSES_MAX && !self.never && !CROWD.is_crowded.load(Ordering::Relaxed)
    }

    /// Whether to look at all.
    #[inline]
    pub(super) fn is_worth_while(&self) -> bool {
        let misses = self.misses.load(Ordering::Relaxed);
        !self.never && !CROWD.is_crowded.load(Ordering::Relaxed) && (misses < MISSES_MAX || self.tries_again(misses))
    }

    #[cold]
    fn tries_again(&self, misses: u32) -> bool {
        let tries = misses.is_multiple_of(PROBE);
        if !tries {
            // A wait without a look counts towards the next try; that one counts itself.
            self.misses.store(misses.wrapping_add(1).max(MISSES_MAX), Ordering::Relaxed);
        }
        tries
    }

    /// For how long, when the call's buffer has so many bytes: while the other side copies them, it is at work for us.
    pub(super) fn longest(&self, bytes: u64) -> Duration {
        let more =
            if bytes > SLOT_BUFFER { Duration::from_nanos(bytes / BYTES_PER_NS).min(MORE_MAX) } else { Duration::ZERO };
        match self.misses.load(Ordering::Relaxed) {
            few @ 0..MISSES_MAX => (LONGEST + more) / (1 << few),
            _ => LONGEST + more,
        }
    }

    /// The reply was found.
    #[inline]
    pub(super) fn hit(&self) {
        if self.misses.load(Ordering::Relaxed) > 0 {
            self.misses.store(0, Ordering::Relaxed);
        }
    }

    /// It was not.
    pub(super) fn missed(&self) {
        let misses = self.misses.load(Ordering::Relaxed);
        self.misses.store(misses.wrapping_add(1).max(1), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn who_looks_asks_once_a_tick_however_often_it_calls() {
        // On a thread of its own, whose calls are its own.
        thread::scope(|scope| {
            scope.spawn(|| {
                let (never, looking) = (Looking::new(true), Looking::new(false));
                let asked = |looking: &Looking, at_ns| {
                    looking.note_call(at_ns);
                    ASKED_NS.get() == at_ns
                };
                looking.ignore_the_crowd();
                let begin = 7 * ASKS_NS;
                assert!(!asked(&never, begin) && asked(&looking, begin));
                assert!((1..=1000).all(|step| !asked(&looking, begin + step * (ASKS_NS - 1) / 1000)));
                assert!(asked(&looking, begin + ASKS_NS));
            });
        });
    }

    #[test]
    fn to_ask_is_to_ask_the_kernel() {
        thread::scope(|scope| {
            scope.spawn(|| {
                let crowd = Crowd::new();
                crowd.asks(ASKS_NS);
                assert!(crowd.watch.lock().unwrap().is_none(), "nothing is lost at the first call");
                crowd.asks(2 * ASKS_NS);
                // A thread that has never asked may have lost anything: that is a reason to count again.
                assert_ne!(crowd.next_ns.load(Ordering::Relaxed), u64::MAX);
            });
        });
    }

    #[test]
    fn misses_halve_the_time_down_to_none_and_a_hit_restores_it() {
        // Without the machine, whose other tests may be a crowd.
        let looking = Looking::new(false);
        let wait = || {
            let misses = looking.misses.load(Ordering::Relaxed);
            let looks = misses < MISSES_MAX || looking.tries_again(misses);
            let looked = looks.then(|| looking.longest(SLOT_BUFFER).as_micros());
            if looks {
                looking.missed();
            }
            looked
        };
        let looked: Vec<_> = (0..8).map(|_| wait()).collect();
        assert_eq!(looked, [Some(60), Some(30), Some(15), Some(7), Some(3), None, None, None]);
        let tries = (0..160).filter(|_| wait().is_some()).count();
        assert_eq!(tries, 10, "one in {PROBE}");
        looking.hit();
        assert_eq!(looking.longest(1 << 20), LONGEST + Duration::from_nanos(131_072));
        assert_eq!(looking.longest(1 << 40), LONGEST + MORE_MAX);
        assert_eq!(wait(), Some(60));
        assert_eq!(looking.longest(1 << 20), (LONGEST + Duration::from_nanos(131_072)) / 2);
        assert!(!Looking::new(true).is_worth_while() && !Looking::new(true).pays_off());
        looking.hit();
        (0..MISSES_MAX).for_each(|_| looking.missed());
        assert!((0..PROBE * 2).all(|_| !looking.pays_off()), "asking for the short way is no try");
        assert_eq!(looking.misses.load(Ordering::Relaxed), MISSES_MAX);
    }
}
