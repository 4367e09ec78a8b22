//! Signals and ends of processes that we started.

use std::process::Child;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

/// Sends a signal to a process that we or our children have not reaped. One that has ended is no error.
pub(crate) fn signal(number: u32, signal: Signal) {
    if let Some(pid) = pid(number) {
        kill_process(pid, signal).ok();
    }
}

/// How long `poll` may wait, from now until `deadline`.
pub(crate) fn left(deadline: Instant) -> Option<Timespec> {
    let left = deadline.saturating_duration_since(Instant::now());
    Timespec::try_from(left).ok()
}

/// Waits for a child that was told to end; kills it, with its process group if it leads one, when it does not.
pub(crate) fn end_within(child: &mut Child, patience: Duration) {
    if !has_ended_within(child, patience) {
        if let Some(group) = pid(child.id()) {
            // A group of this number exists only if the child leads it: it has not been reaped.
            kill_process_group(group, Signal::KILL).ok();
        }
        // The only error is that it has ended meanwhile.
        child.kill().ok();
    }
    // It is ours and has ended, so that this neither fails nor waits.
    child.wait().ok();
}

fn has_ended_within(child: &Child, patience: Duration) -> bool {
    let Some(Ok(pidfd)) = pid(child.id()).map(|pid| pidfd_open(pid, PidfdFlags::empty())) else {
        return false;
    };
    let deadline = Instant::now() + patience;
    loop {
        let mut watched = [PollFd::new(&pidfd, PollFlags::IN)];
        match poll(&mut watched, left(deadline).as_ref()) {
            Ok(0) => return false,
            Ok(_) => return true,
            // A signal for us: whoever waits for an end wants it all the same.
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
