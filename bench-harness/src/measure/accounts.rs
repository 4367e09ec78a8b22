//! What the operating system says that processes have used: its accounting, not ours.

use std::fs;
use std::io;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// Used so far, or between two moments.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Usage {
    /// Time on a processor. The kernel brings it up to date at every tick (1 to 10 ms) and every switch.
    pub cpu_ns: u64,
    /// Switches because a thread waited.
    pub voluntary: u64,
    /// Switches because somebody else was to run.
    pub involuntary: u64,
    /// Those of `voluntary` that threads beside the busiest of their process made: each time they had run before, and
    /// where they share its processor it had to step aside for them.
    pub beside: u64,
}

impl Usage {
    /// Switches because somebody who is no part of these processes was to run, as far as is known.
    #[must_use]
    pub fn disturbed(&self) -> u64 {
        self.involuntary.saturating_sub(self.beside)
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns + other.cpu_ns,
            voluntary: self.voluntary + other.voluntary,
            involuntary: self.involuntary + other.involuntary,
            beside: self.beside + other.beside,
        }
    }
}

impl Sub for Usage {
    type Output = Self;

    /// What was used since `other`. A thread that ended meanwhile takes its part along.
    fn sub(self, other: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(other.cpu_ns),
            voluntary: self.voluntary.saturating_sub(other.voluntary),
            involuntary: self.involuntary.saturating_sub(other.involuntary),
            beside: self.beside.saturating_sub(other.beside),
        }
    }
}

/// What all threads of these processes have used so far.
///
/// # Errors
/// When one of them is gone.
pub(crate) fn usage(processes: &[u32]) -> io::Result<Usage> {
    processes.iter().try_fold(Usage::default(), |sum, process| Ok(sum + of_process(*process)?))
}

fn of_process(process: u32) -> io::Result<Usage> {
    let (mut sum, mut busiest) = (Usage::default(), Usage::default());
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let folder = thread?.path();
        let (schedule, status) = (folder.join("schedstat"), folder.join("status"));
        // A thread may end between the listing and the reading.
        let status = fs::read_to_string(status).unwrap_or_default();
        let cpu_ns = match fs::read_to_string(schedule) {
            Ok(text) => schedstat_ns(&text),
            Err(_) => stat_ns(&fs::read_to_string(folder.join("stat")).unwrap_or_default()),
        };
        let (voluntary, involuntary) = switches(&status);
        let used = Usage { cpu_ns, voluntary, involuntary, beside: 0 };
        busiest = if used.cpu_ns > busiest.cpu_ns { used } else { busiest };
        sum = sum + used;
    }
    Ok(Usage { beside: sum.voluntary - busiest.voluntary, ..sum })
}

/// The first number: nanoseconds on a processor.
pub(super) fn schedstat_ns(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0)
}

/// For kernels without it: user and system time, in ticks of 10 ms.
fn stat_ns(text: &str) -> u64 {
    // The second field is a name in brackets, which may hold anything; the two times are the 14th and 15th.
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    ticks.sum::<u64>() * (1_000_000_000 / rustix::param::clock_ticks_per_second())
}

fn switches(status: &str) -> (u64, u64) {
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse().ok()).unwrap_or(0)
    };
    (number("voluntary_ctxt_switches:"), number("nonvoluntary_ctxt_switches:"))
}

/// Time that the hypervisor gave to others while our processors wanted to run: ticks of 10 ms, of all processors.
pub(crate) fn steal_ticks() -> u64 {
    steal_of(&fs::read_to_string("/proc/stat").unwrap_or_default())
}

fn steal_of(stat: &str) -> u64 {
    let line = stat.lines().find(|line| line.starts_with("cpu "));
    line.and_then(|line| line.split_whitespace().nth(8)?.parse().ok()).unwrap_or(0)
}

/// The processes whose parent this is.
pub(crate) fn children(parent: u32) -> io::Result<Vec<u32>> {
    let mut found = vec![];
    for entry in fs::read_dir("/proc")? {
        let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        if parent_of(&stat) == Some(parent) {
            found.push(process);
        }
    }
    Ok(found)
}

fn parent_of(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "77 (a (b) c) S 42 77 77 0 -1 4194304 1 0 0 0 12 30 0 0 20 0 1 0 9 0 0";

    #[test]
    fn numbers_are_where_the_kernel_puts_them() {
        assert_eq!(parent_of(STAT), Some(42));
        assert_eq!(stat_ns(STAT), 420_000_000);
        assert_eq!(schedstat_ns("441594 550284 2\n"), 441_594);
        assert_eq!(switches("Name:\tx\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t7\n"), (5, 7));
        assert_eq!(steal_of("cpu  1 2 3 4 5 6 7 88 9 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"), 88);
    }

    #[test]
    fn what_is_not_there_counts_nothing() {
        assert_eq!((schedstat_ns(""), stat_ns(""), switches(""), steal_of("")), (0, 0, (0, 0), 0));
        assert!(usage(&[u32::MAX]).is_err());
    }

    #[test]
    fn what_threads_of_its_own_took_does_not_disturb_a_process() {
        let used = Usage { cpu_ns: 1, voluntary: 1_000, involuntary: 1_007, beside: 1_000 };
        assert_eq!(used.disturbed(), 7);
        assert_eq!(Usage { beside: 2_000, ..used }.disturbed(), 0);
        assert_eq!((used + used - used).beside, 1_000);
    }

    #[test]
    fn this_process_has_used_something() {
        assert!(usage(&[std::process::id()]).unwrap().cpu_ns > 0);
    }
}
