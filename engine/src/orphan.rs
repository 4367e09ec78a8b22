//! A worker whose supervisor has died goes on for a while, and hands the sockets that listen to the next supervisor.
//!
//! A thread of its own sleeps until that happens, so that a heir is answered whatever handlers do. It wakes the loop
//! when it is time to leave, and ends this process should the loop not listen. Decision 0038.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use rustix::process::{Signal, getpgrp, getpid, kill_process, kill_process_group};
use speedysvc_protocol::control::Legacy;
use speedysvc_protocol::shm::{doorbell, handover};

/// Out of descriptors, a heir waits so long until it is looked for again.
const STARVED: Duration = Duration::from_millis(20);

/// What the thread has.
pub(crate) struct Orphan {
    /// The worker's end of its control socket.
    pub(crate) control: OwnedFd,
    pub(crate) legacy: Legacy,
    pub(crate) rendezvous: OwnedFd,
    /// Where heirs come.
    pub(crate) heirs: OwnedFd,
    pub(crate) listeners: Vec<OwnedFd>,
}

/// The loop's end of it.
pub(crate) struct Leaving {
    /// Rings when it is time to leave.
    leave: OwnedFd,
    /// The loop has ended.
    ended: OwnedFd,
}

impl Leaving {
    /// Starts the thread.
    pub(crate) fn watch(orphan: Orphan) -> io::Result<Self> {
        let (leave, ended) = (doorbell::bell()?, doorbell::bell()?);
        let (bell, until) = (leave.try_clone()?, ended.try_clone()?);
        thread::Builder::new().name("speedysvc-heirs".to_owned()).spawn(move || orphan.live(&bell, &until))?;
        Ok(Self { leave, ended })
    }
}

impl AsFd for Leaving {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.leave.as_fd()
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        // The thread lets go of the control socket, by which a supervisor sees that the loop has ended.
        let _never = doorbell::ring(&self.ended);
    }
}

impl Orphan {
    fn live(self, leave: &OwnedFd, ended: &OwnedFd) {
        if !self.supervisor_dies(ended) {
            return;
        }
        fall_silent();
        self.wait_for_heirs();
        let drain = Duration::from_micros(self.legacy.drain_us);
        drop(self);
        let _never = doorbell::ring(leave);
        thread::sleep(drain);
        end();
    }

    /// Waits for the supervisor's death, or the end of the loop.
    fn supervisor_dies(&self, ended: &OwnedFd) -> bool {
        loop {
            // Orders are the loop's: of the control socket only its end is waited for.
            let mut fds = [PollFd::new(&self.control, PollFlags::empty()), PollFd::new(ended, PollFlags::IN)];
            match poll(&mut fds, None) {
                Err(Errno::INTR) => {}
                Err(_) => return false,
                Ok(_) => return fds[1].revents().is_empty(),
            }
        }
    }

    /// Gives everything to each heir that comes, until one of them has workers that serve, or none has come for long.
    fn wait_for_heirs(&self) {
        let grace = Duration::from_micros(self.legacy.grace_us);
        let mut until = Instant::now() + grace;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let timeout = Timespec::try_from(left).ok();
            let mut heirs = [PollFd::new(&self.heirs, PollFlags::IN)];
            match poll(&mut heirs, timeout.as_ref()) {
                Ok(0) | Err(Errno::INTR) => continue,
                // Shut down: a heir's workers serve. Accepting would only say that nobody is there.
                Ok(_) if heirs[0].revents().contains(PollFlags::HUP) => return,
                Ok(_) => {}
                Err(_) => return,
            }
            match accept_with(&self.heirs, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(heir) => {
                    // It may have died, too; then another one comes.
                    let _gone = self.hand_over(&heir);
                    until = Instant::now() + grace;
                }
                // Another worker was faster, or the heir is gone.
                Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => thread::sleep(STARVED),
                Err(_) => return,
            }
        }
    }

    fn hand_over(&self, heir: &OwnedFd) -> io::Result<()> {
        let mut descriptors = vec![self.rendezvous.as_fd(), self.heirs.as_fd()];
        descriptors.extend(self.listeners.iter().map(AsFd::as_fd));
        handover::send(heir, &self.legacy, &descriptors)
    }
}

/// Nobody reads what this process prints any more, and a handler that prints must not fail for that.
fn fall_silent() {
    let Ok(nothing) = File::options().write(true).open("/dev/null") else { return };
    // They fail for descriptors that cannot be had, and these are there.
    let _never = rustix::stdio::dup2_stdout(&nothing);
    let _never = rustix::stdio::dup2_stderr(&nothing);
}

/// The loop has had its time. Nobody else is left who could end it, and what its handlers have started.
fn end() {
    let own = getpid();
    // In a group of somebody else's, such as a shell's, we end alone.
    let _never = if getpgrp() == own { kill_process_group(own, Signal::KILL) } else { kill_process(own, Signal::KILL) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, connect, listen, socket_with};
    use std::path::Path;

    fn seqpacket() -> OwnedFd {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
    }

    fn listener(path: &Path) -> OwnedFd {
        let socket = seqpacket();
        bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
        listen(&socket, 8).unwrap();
        socket
    }

    fn orphan(folder: &Path, grace: Duration) -> (Orphan, OwnedFd) {
        let (ours, control) = handover::pair().unwrap();
        let legacy = Legacy { grace_us: u64::try_from(grace.as_micros()).unwrap(), ..Legacy::default() };
        let heirs = listener(&folder.join("heirs"));
        let rendezvous = listener(&folder.join("rendezvous"));
        (Orphan { control, legacy, rendezvous, heirs, listeners: vec![seqpacket()] }, ours)
    }

    #[test]
    fn the_end_of_the_loop_and_the_end_of_the_supervisor_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let (orphan, supervisor) = orphan(folder.path(), Duration::ZERO);
        let ended = doorbell::bell().unwrap();
        // An order is not for us.
        handover::send(&supervisor, &1, &[]).unwrap();
        drop(supervisor);
        assert!(orphan.supervisor_dies(&ended));
        doorbell::ring(&ended).unwrap();
        assert!(!orphan.supervisor_dies(&ended));
    }

    #[test]
    fn each_heir_gets_everything_until_one_sends_us_home() {
        let folder = tempfile::tempdir().unwrap();
        let (orphan, supervisor) = orphan(folder.path(), Duration::from_secs(600));
        let heirs = orphan.heirs.try_clone().unwrap();
        drop(supervisor);
        let thread = thread::spawn(move || orphan.wait_for_heirs());
        for _ in 0..3 {
            let heir = seqpacket();
            connect(&heir, &SocketAddrUnix::new(folder.path().join("heirs")).unwrap()).unwrap();
            poll(&mut [PollFd::new(&heir, PollFlags::IN)], None).unwrap();
            let (_, descriptors) = handover::receive::<Legacy>(&heir, 8).unwrap().unwrap();
            assert_eq!(descriptors.len(), 3);
        }
        rustix::net::shutdown(&heirs, rustix::net::Shutdown::Both).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn without_a_heir_it_leaves_after_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let (orphan, _supervisor) = orphan(folder.path(), Duration::from_millis(50));
        let began = Instant::now();
        orphan.wait_for_heirs();
        assert!(began.elapsed() >= Duration::from_millis(50));
    }
}
