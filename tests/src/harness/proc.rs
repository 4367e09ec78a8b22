//! Processes as the kernel shows them.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Resource, Rlimit, Signal, geteuid, getrlimit, kill_process, prlimit};

/// Processes whose environment has this entry, `NAME=value`: those that were started with it, and their descendants.
#[must_use]
pub fn with_environment(entry: &str) -> Vec<u32> {
    let all = fs::read_dir("/proc").expect("/proc can be read");
    let pids = all.filter_map(|process| process.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| has_environment(*pid, entry)).collect()
}

fn has_environment(pid: u32, entry: &str) -> bool {
    // Empty for the dead, and not for us to read for processes of others.
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|found| found == entry.as_bytes())
}

/// Clock ticks (mostly of 10 ms) that a process has had of processors, in user and kernel mode; 0 when it is gone.
#[must_use]
pub fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is a name in brackets, which may hold anything; utime and stime are the 14th and 15th.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// Nanoseconds that the threads of a process have had of processors, those that have ended not counted; 0 when it is
/// gone.
#[must_use]
pub fn cpu_ns(pid: u32) -> u64 {
    let of_thread = |path: PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    threads(pid).filter_map(of_thread).sum()
}

/// How often the threads of a process have waited for something, those that have ended not counted; 0 when it is gone.
#[must_use]
pub fn waits(pid: u32) -> u64 {
    waits_where(pid, |_| true)
}

/// How often the threads of a process that have this name have waited for something; 0 when there is none.
#[must_use]
pub fn waits_of(pid: u32, name: &str) -> u64 {
    waits_where(pid, |found| found == name)
}

fn waits_where(pid: u32, is_meant: impl Fn(&str) -> bool) -> u64 {
    let of_thread = |path: PathBuf| {
        let text = fs::read_to_string(path.join("status")).ok()?;
        let is_meant = is_meant(text.lines().next()?.strip_prefix("Name:")?.trim());
        let waits = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        waits.trim().parse::<u64>().ok().filter(|_| is_meant)
    };
    threads(pid).filter_map(of_thread).sum()
}

/// The folders of the threads of a process; none when it is gone.
fn threads(pid: u32) -> impl Iterator<Item = PathBuf> {
    let all = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    all.filter_map(|thread| Some(thread.ok()?.path()))
}

/// Bytes of memory that a process really has; 0 when it is gone.
#[must_use]
pub fn resident_bytes(pid: u32) -> u64 {
    bytes_of(pid, "VmRSS:")
}

/// Bytes of addresses that a process has mapped, whether there is memory behind them or not; 0 when it is gone.
#[must_use]
pub fn mapped_bytes(pid: u32) -> u64 {
    bytes_of(pid, "VmSize:")
}

fn bytes_of(pid: u32, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// From now on a process may have so much of this, until it is limited otherwise; gives what it might have before.
///
/// # Panics
/// When it is gone, or another user's.
pub fn limit(pid: u32, what: Resource, most: Option<u64>) -> Option<u64> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // The bound of bounds is inherited, and only root may raise it.
    let limit = Rlimit { current: most, ..getrlimit(what) };
    prlimit(pid, what, limit).expect("a process of ours that lives").current
}

/// How often a process has touched a page that had to be given to it first; 0 when it is gone.
#[must_use]
pub fn minor_faults(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // The tenth field of all.
    after_name.split_whitespace().nth(7).and_then(|faults| faults.parse().ok()).unwrap_or(0)
}

/// The children of a process that have died and that it has not reaped.
#[must_use]
pub fn zombies_of(parent: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").expect("/proc can be read");
    let pids = all.filter_map(|process| process.ok()?.file_name().to_str()?.parse().ok());
    let is_zombie = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(&format!(" Z {parent} ")))
    };
    pids.filter(is_zombie).collect()
}

/// Sends a signal to a process, which may be gone already.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // The only error there can be is that it is gone.
        kill_process(pid, signal).ok();
    }
}

/// SIGKILL.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// Whether this process may become any user. Tests that need that say so and pass where it may not, unless it was
/// promised: CI does so (`.ci/run`), and a promise that is not kept must not pass for success.
///
/// # Panics
/// When it was promised, and is not so.
#[must_use]
pub fn is_root() -> bool {
    let is_root = geteuid().is_root();
    let is_promised = std::env::var_os("SPEEDYSVC_TEST_ROOT").is_some();
    assert!(is_root || !is_promised, "SPEEDYSVC_TEST_ROOT says that tests run as root, and they do not");
    is_root
}

/// Whether a process is stopped by a signal.
#[must_use]
pub fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}
