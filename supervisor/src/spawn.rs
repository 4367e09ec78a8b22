//! One worker process.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};

use crate::journal::Capture;

/// A process that was started and has not been reaped, so its number and its group are its own.
///
/// Dropping it kills it and waits for it, so that no way out of the supervisor leaves a worker behind.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    pid: Pid,
    /// Readable once every thread of it is gone.
    pidfd: OwnedFd,
    /// What it writes to standard output and standard error.
    pub(crate) outputs: [Capture; 2],
    is_reaped: bool,
}

impl Worker {
    /// Starts a worker whose standard input is `control`.
    pub(crate) fn spawn(mut command: Command, control: OwnedFd) -> io::Result<Self> {
        // Standard output is the engine's word to whoever started it; what workers print belongs to the log.
        let (out, to_out) = Capture::pipe("stdout")?;
        let (err, to_err) = Capture::pipe("stderr")?;
        command.stdin(Stdio::from(control)).stdout(Stdio::from(to_out)).stderr(Stdio::from(to_err));
        // A group of its own: Ctrl-C reaches the supervisor alone, and a kill reaches what handlers started.
        command.process_group(0);
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        prefer_to_lose(child.id());
        // It cannot have been reaped, so the number still means this process.
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self { child, pid, pidfd, outputs: [out, err], is_reaped: false }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error.into())
            }
        }
    }

    /// For people.
    pub(crate) const fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Readable after its death.
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// SIGTERM, to the worker alone: what it started is its own to end.
    pub(crate) fn terminate(&self) {
        // The only error is that it is dead already, which its pidfd tells.
        pidfd_send_signal(&self.pidfd, Signal::TERM).ok();
    }

    /// SIGKILL, to the worker and to everything in its group.
    pub(crate) fn kill(&self) {
        // Once it is reaped its number may be another's.
        if !self.is_reaped {
            // As above.
            kill_process_group(self.pid, Signal::KILL).ok();
        }
    }

    /// After its death: ends what it left behind, and takes its exit status. Does not wait once the pidfd is readable.
    pub(crate) fn reap(&mut self) -> io::Result<ExitStatus> {
        // Until it is reaped nobody else can get its number. A process that it forked may have its memory mapped.
        self.kill();
        self.is_reaped = true;
        self.child.wait()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.is_reaped {
            // Nobody is left who wants to know how it ended.
            self.reap().ok();
        }
    }
}

/// When memory runs out the kernel ends a worker rather than its supervisor: that is mended by starting another.
fn prefer_to_lose(pid: u32) {
    /// Of at most 1,000, as many thousandths of the memory.
    const MORE: i32 = 100;
    let own = fs::read_to_string("/proc/self/oom_score_adj").ok().and_then(|text| text.trim().parse::<i32>().ok());
    // Raising needs no rights. Without it the kernel goes by size alone, which is right most of the time, too.
    let _as_it_is = fs::write(format!("/proc/{pid}/oom_score_adj"), (own.unwrap_or(0) + MORE).min(1000).to_string());
}

/// What goes on from "it": `was killed by signal 9 (SIGKILL)`, `exited with status 1`.
pub(crate) fn describe(status: ExitStatus) -> String {
    let core = if status.core_dumped() { ", core dumped" } else { "" };
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => match signal_hook::low_level::signal_name(signal) {
            Some(name) => format!("was killed by signal {signal} ({name}{core})"),
            None => format!("was killed by signal {signal}{core}"),
        },
        (None, None) => format!("ended with {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody got the number of a worker that is reaped.
    #[test]
    fn a_number_that_is_anothers_by_now_is_left_alone() {
        let sleeper = || {
            let mut command = Command::new("sleep");
            command.arg("1000");
            Worker::spawn(command, fs::File::open("/dev/null").unwrap().into()).unwrap()
        };
        let (mut reaped, mut other) = (sleeper(), sleeper());
        reaped.kill();
        assert_eq!(reaped.reap().unwrap().signal(), Some(9));
        reaped.pid = other.pid;
        reaped.kill();
        reaped.terminate();
        drop(reaped);
        assert!(other.child.try_wait().unwrap().is_none(), "it lives");
        other.terminate();
        assert_eq!(other.child.wait().unwrap().signal(), Some(15), "and dies of what was meant for it");
        other.is_reaped = true;
    }

    #[test]
    fn exits_in_words() {
        let words = |raw| describe(ExitStatus::from_raw(raw));
        assert_eq!(words(0), "exited with status 0");
        assert_eq!(words(1 << 8), "exited with status 1");
        assert_eq!(words(9), "was killed by signal 9 (SIGKILL)");
        assert_eq!(words(11 | 128), "was killed by signal 11 (SIGSEGV, core dumped)");
        assert_eq!(words(35), "was killed by signal 35");
    }
}
