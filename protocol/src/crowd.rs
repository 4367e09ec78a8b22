//! Whether there are processors to spare for those who wait by looking.
//!
//! Whoever looks keeps a processor from whom it may be waiting for, and a pair that always finds its answer at once
//! never sleeps: with more who run than processors, everybody else then waits for whole slices of the scheduler,
//! milliseconds each. So services and clients do not look while the kernel counts more runnable threads than
//! processors; asleep, a wake costs them microseconds. Nobody tells anybody: the kernel's count takes in all services,
//! all clients and all other programs, and no peer can write it.
//!
//! The count is that of the whole machine. Who may use only a part of it (a cgroup's quota, pinned threads) is not seen
//! to be crowded there; then the time that one look may take is what bounds the loss.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

/// Between two looks at the count, while looking is allowed: together a thousandth of the time.
const EVERY_NS: u64 = 1_000_000;
/// How long nobody looks after a crowd was seen, at first. A crowd that is still there when looking is tried again
/// doubles it...
const FIRST_NS: u64 = 8_000_000;
/// ...up to this: trying costs the others a slice or two each time.
const LONGEST_NS: u64 = 1_000_000_000;
/// So many more counts with too many than without: who runs for a moment is no crowd, and in a crowd there are moments
/// when many sleep...
const SCORE: u32 = 4;
/// ...and fewer do when looking is being tried again...
const SCORE_IN_TRIAL: u32 = 2;
/// ...which is for so long after a pause: a crowd shows as soon as all look.
const TRIAL_NS: u64 = 5_000_000;

/// The rule. It is told what the count was, and has no clock of its own.
#[derive(Debug)]
pub struct Crowd {
    processors: u32,
    is_crowded: bool,
    /// Goes up with each count that was too many, and down with each that was not.
    score: u32,
    /// How long the last pause was; 0 when that is long ago.
    pause_ns: u64,
    /// When the last pause ended.
    calm_since_ns: u64,
    next_ns: u64,
}

impl Crowd {
    /// For a machine with so many processors.
    #[must_use]
    pub fn new(processors: u32) -> Self {
        Self { processors, is_crowded: false, score: 0, pause_ns: 0, calm_since_ns: 0, next_ns: 0 }
    }

    /// Whether one may wait by looking.
    #[must_use]
    pub fn allows(&self) -> bool {
        !self.is_crowded
    }

    /// When the count is wanted next, on the clock of the last [`note`](Self::note).
    #[must_use]
    pub fn next_ns(&self) -> u64 {
        self.next_ns
    }

    /// So many threads run, or wait for a processor, at this time.
    pub fn note(&mut self, now_ns: u64, runnable: u32) {
        self.score = if runnable > self.processors { self.score + 1 } else { self.score.saturating_sub(1) };
        let calm_ns = now_ns.saturating_sub(self.calm_since_ns);
        let enough = if self.pause_ns > 0 && calm_ns < TRIAL_NS { SCORE_IN_TRIAL } else { SCORE };
        if self.score >= enough {
            self.score = 0;
            self.is_crowded = true;
            self.pause_ns = (self.pause_ns * 2).clamp(FIRST_NS, LONGEST_NS);
            self.next_ns = now_ns.saturating_add(self.pause_ns);
            return;
        }
        if self.is_crowded {
            self.is_crowded = false;
            self.calm_since_ns = now_ns;
        } else if calm_ns > self.pause_ns {
            self.pause_ns = 0;
        }
        self.next_ns = now_ns.saturating_add(EVERY_NS);
    }
}

/// The rule with the kernel's count.
#[derive(Debug)]
pub struct Watch {
    crowd: Crowd,
    /// None when the kernel does not tell: then looking is always allowed.
    loadavg: Option<File>,
}

impl Watch {
    /// Begins to watch this machine.
    #[must_use]
    pub fn new() -> Self {
        let processors = processors().unwrap_or(u32::MAX);
        Self { crowd: Crowd::new(processors), loadavg: File::open("/proc/loadavg").ok() }
    }

    /// Whether one may wait by looking, at this time.
    #[inline]
    pub fn allows(&mut self, now_ns: u64) -> bool {
        if now_ns >= self.crowd.next_ns() {
            self.look(now_ns);
        }
        self.crowd.allows()
    }

    /// When [`allows`](Self::allows) will look at the count again.
    #[must_use]
    pub fn next_ns(&self) -> u64 {
        self.crowd.next_ns()
    }

    #[cold]
    fn look(&mut self, now_ns: u64) {
        let runnable = self.loadavg.as_ref().and_then(|file| read(file).ok().flatten());
        self.crowd.note(now_ns, runnable.unwrap_or(0));
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

fn read(loadavg: &File) -> io::Result<Option<u32>> {
    let mut text = [0; 128];
    let len = loadavg.read_at(&mut text, 0)?;
    Ok(std::str::from_utf8(&text[..len]).ok().and_then(runnable))
}

/// `0.20 0.18 0.12 1/80 11206`: the fourth field begins with the threads that are runnable now.
fn runnable(loadavg: &str) -> Option<u32> {
    loadavg.split(' ').nth(3)?.split_once('/')?.0.parse().ok()
}

/// Processors of the machine, whether this process may use them or not: the count is of the whole machine, too.
fn processors() -> Option<u32> {
    online(&fs::read_to_string("/sys/devices/system/cpu/online").ok()?)
}

/// `0-3,5`: ranges with both ends.
fn online(list: &str) -> Option<u32> {
    let ranges = list.trim_end().split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    });
    ranges.sum::<Option<u32>>().filter(|processors| *processors > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Counts as often as wanted from `from` to `until`; for how long looking was allowed.
    fn live(crowd: &mut Crowd, from: u64, until: u64, count: impl Fn(u64, bool) -> u32) -> u64 {
        let (mut now, mut allowed) = (from, 0);
        while now < until {
            crowd.note(now, count(now, crowd.allows()));
            let next = crowd.next_ns();
            assert!(next > now);
            allowed += if crowd.allows() { next - now } else { 0 };
            now = next;
        }
        allowed
    }

    #[test]
    fn a_moment_of_company_is_no_crowd() {
        let mut crowd = Crowd::new(2);
        let allowed = live(&mut crowd, 0, 1_000 * MS, |now, _| if now % (2 * MS) < MS { 7 } else { 2 });
        assert_eq!(allowed, 1_000 * MS);
    }

    #[test]
    fn in_a_crowd_that_shows_only_while_all_look_they_hardly_look() {
        let mut crowd = Crowd::new(2);
        let allowed = live(&mut crowd, 0, 10_000 * MS, |_, looks| if looks { 4 } else { 1 });
        assert!((5 * MS..50 * MS).contains(&allowed), "{allowed} ns of 10 s");
    }

    #[test]
    fn when_the_crowd_has_gone_looking_comes_back_and_the_past_is_forgotten() {
        let mut crowd = Crowd::new(2);
        live(&mut crowd, 0, 5_000 * MS, |_, _| 4);
        let from = crowd.next_ns();
        let allowed = live(&mut crowd, from, 10_000 * MS, |_, _| 2);
        assert!(allowed > 3_900 * MS, "{allowed} ns of the last 5 s");
        (0..3).for_each(|ms| crowd.note((10_000 + ms) * MS, 4));
        assert!(crowd.allows(), "three times is no crowd again");
        crowd.note(10_003 * MS, 4);
        assert!(!crowd.allows() && crowd.next_ns() == 10_003 * MS + FIRST_NS, "a pause as at first");
    }

    #[test]
    fn the_kernels_words_are_understood() {
        assert_eq!(runnable("0.20 0.18 0.12 1/80 11206\n"), Some(1));
        assert_eq!(runnable("12.00 3.00 1.00 65/1234 7"), Some(65));
        assert!(
            ["", "0.20 0.18 0.12", "a b c d/e f", "0.20 0.18 0.12 180 1"].iter().all(|text| runnable(text).is_none())
        );
        assert_eq!(["0\n", "0-1\n", "0-3,5,8-9\n"].map(online), [Some(1), Some(2), Some(7)]);
        assert!(["", "\n", "3-1", "a-b", "0-", "0-4294967295"].iter().all(|text| online(text).is_none()));
    }

    #[test]
    fn this_machine_tells() {
        let watch = Watch::new();
        assert!(read(watch.loadavg.as_ref().unwrap()).unwrap().is_some_and(|runnable| runnable > 0), "we run");
        assert!(processors().is_some_and(|processors| processors > 0));
    }
}
