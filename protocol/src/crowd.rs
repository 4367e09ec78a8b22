//! Whether there are processors to spare for those who wait by looking.
//!
//! Whoever looks keeps a processor from whom it may be waiting for, and a pair that always finds its answer at once
//! never sleeps: with more who run than processors, everybody else then waits for whole slices of the scheduler,
//! milliseconds each. So services and clients do not look while the kernel counts more runnable threads than
//! processors; asleep, a wake costs them microseconds. Nobody tells anybody: the kernel's count takes in all services,
//! all clients and all other programs, and no peer can write it.
//!
//! Reading that count is a system call. So it is read only when there is a reason: who looks and is not taken off its
//! processor shares it with nobody. Whoever finds a hole in its own time, or a tick over, asks how long it has waited
//! for a processor (`waits`): that is the reason, for some milliseconds.
//!
//! The count is that of the whole machine. Who may use only a part of it (a cgroup's quota, pinned threads) is not seen
//! to be crowded there; then the time that one look may take is what bounds the loss.

mod waits;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

/// Between two looks at the count, while there is a reason.
const EVERY_NS: u64 = 1_000_000;
/// So long one is away from one's processor when others get a slice of it. Wakes of who has little to do are shorter.
pub const HOLE_NS: u64 = 1_000_000;
/// For how long a hole is a reason: in a crowd the next one comes before.
const SUSPECT_NS: u64 = 16_000_000;
/// No time at all.
const NEVER: u64 = u64::MAX;
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
    /// Until when the last hole is a reason to count.
    suspect_until_ns: u64,
    next_ns: u64,
}

impl Crowd {
    /// For a machine with so many processors.
    #[must_use]
    pub fn new(processors: u32) -> Self {
        let (is_crowded, score, pause_ns, calm_since_ns) = (false, 0, 0, 0);
        Self { processors, is_crowded, score, pause_ns, calm_since_ns, suspect_until_ns: 0, next_ns: NEVER }
    }

    /// Whether one may wait by looking.
    #[must_use]
    pub fn allows(&self) -> bool {
        !self.is_crowded
    }

    /// Who looks was away from its processor for [`HOLE_NS`] or more, until this time.
    pub fn was_away(&mut self, now_ns: u64) {
        if !self.is_crowded {
            if self.next_ns == NEVER {
                self.score = 0;
                self.next_ns = now_ns;
            }
            self.suspect_until_ns = now_ns.saturating_add(SUSPECT_NS);
        }
    }

    /// When the count is wanted next, on the clock of the last [`note`](Self::note); at the end of time for never.
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
        let is_trial = self.pause_ns > 0 && now_ns.saturating_sub(self.calm_since_ns) < TRIAL_NS;
        let has_reason = is_trial || now_ns < self.suspect_until_ns;
        self.next_ns = if has_reason { now_ns.saturating_add(EVERY_NS) } else { NEVER };
    }
}

/// The rule with the kernel's count.
#[derive(Debug)]
pub struct Watch {
    crowd: Crowd,
    /// None when the kernel does not tell: then looking is always allowed.
    loadavg: Option<File>,
    /// When one looked last, and has done nothing else since.
    looked_ns: u64,
}

impl Watch {
    /// Begins to watch this machine.
    #[must_use]
    pub fn new() -> Self {
        let processors = processors().unwrap_or(u32::MAX);
        Self { crowd: Crowd::new(processors), loadavg: File::open("/proc/loadavg").ok(), looked_ns: NEVER }
    }

    /// Whether one may go on waiting by looking, at this time. Asked again and again while one looks.
    #[inline]
    pub fn allows(&mut self, now_ns: u64) -> bool {
        if now_ns.saturating_sub(self.looked_ns) >= HOLE_NS {
            self.was_away(now_ns);
        }
        self.looked_ns = now_ns;
        self.allows_after(now_ns)
    }

    /// One does not look now: how long that takes is no hole.
    #[inline]
    pub fn does_something_else(&mut self) {
        self.looked_ns = NEVER;
    }

    /// The calling thread, which looks, may have been away from its processor until this time.
    #[cold]
    pub fn was_away(&mut self, now_ns: u64) {
        if waits::lost_to_others() {
            self.crowd.was_away(now_ns);
        }
    }

    /// As [`allows`](Self::allows), for who finds holes itself.
    #[inline]
    pub fn allows_after(&mut self, now_ns: u64) -> bool {
        if now_ns >= self.crowd.next_ns() {
            self.look(now_ns);
        }
        self.crowd.allows()
    }

    /// When the count is wanted next; at the end of time for never.
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

    /// From `from` to `until`: counts as often as wanted, and who looks is away each 8 ms while there are too many. For
    /// how long looking was allowed, and how often it was counted.
    fn live(crowd: &mut Crowd, from: u64, until: u64, count: impl Fn(u64, bool) -> u32) -> (u64, u32) {
        let (mut allowed, mut counts) = (0, 0);
        for now in (from..until).step_by(250_000) {
            if now >= crowd.next_ns() {
                crowd.note(now, count(now, crowd.allows()));
                counts += 1;
                assert!(crowd.next_ns() > now);
            }
            if crowd.allows() {
                allowed += 250_000;
                if now % (8 * MS) == 0 && count(now, true) > 2 {
                    crowd.was_away(now);
                }
            }
        }
        (allowed, counts)
    }

    #[test]
    fn without_a_hole_nobody_counts() {
        let mut crowd = Crowd::new(2);
        assert_eq!(live(&mut crowd, 0, 1_000 * MS, |_, _| 2), (1_000 * MS, 0));
        crowd.was_away(1_000 * MS);
        let (allowed, counts) = live(&mut crowd, 1_000 * MS, 2_000 * MS, |_, _| 2);
        assert_eq!((allowed, u64::from(counts)), (1_000 * MS, SUSPECT_NS / EVERY_NS + 1));
    }

    #[test]
    fn holes_are_found_between_looks_and_only_there() {
        let mut watch = Watch::new();
        (0..100).for_each(|ms| assert!(watch.allows(ms * (MS - 1))));
        assert_eq!(watch.next_ns(), NEVER);
        watch.does_something_else();
        assert!(watch.allows(500 * MS));
        assert_eq!(watch.next_ns(), NEVER);
        watch.allows(501 * MS);
        assert_eq!(watch.next_ns(), 502 * MS);
    }

    #[test]
    fn a_moment_of_company_is_no_crowd() {
        let mut crowd = Crowd::new(2);
        let (allowed, counts) = live(&mut crowd, 0, 1_000 * MS, |now, _| if now % (2 * MS) < MS { 7 } else { 2 });
        assert_eq!(allowed, 1_000 * MS);
        assert!(counts > 900, "{counts}");
    }

    #[test]
    fn in_a_crowd_that_shows_only_while_all_look_they_hardly_look() {
        let mut crowd = Crowd::new(2);
        let (allowed, _) = live(&mut crowd, 0, 10_000 * MS, |_, looks| if looks { 4 } else { 1 });
        assert!((5 * MS..50 * MS).contains(&allowed), "{allowed} ns of 10 s");
    }

    #[test]
    fn when_the_crowd_has_gone_looking_comes_back_and_the_past_is_forgotten() {
        let mut crowd = Crowd::new(2);
        live(&mut crowd, 0, 5_000 * MS, |_, _| 4);
        let (allowed, _) = live(&mut crowd, 5_000 * MS, 10_000 * MS, |_, _| 2);
        assert!(allowed > 3_900 * MS, "{allowed} ns of the last 5 s");
        crowd.was_away(10_000 * MS);
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
