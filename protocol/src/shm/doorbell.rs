//! The system calls of waking: a futex for clients, eventfds for loops. Rules 6, 22, 23 and 24.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use rustix::thread::futex;

use super::claim::Taker;
use super::seq::Seq;
use super::slot::Caller;
use super::sync::{AtomicU32, AtomicU64};
use super::wake::Unanswered;

#[cfg(target_endian = "big")]
compile_error!("a futex watches the lower half of a sequence word, which is taken to come first");

/// The longest that a client sleeps before it looks for itself. A reply found then is a rescue: a lost wake, a bug.
pub const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What ended a client's sleep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slept {
    /// Somebody woke us, or the reply came first: look.
    Woken,
    /// The time passed.
    TimedOut,
}

/// Makes a bell. Its client writes it and workers poll it; nobody reads it (rule 6).
///
/// # Errors
/// What the kernel says; usually that there are too many open files.
pub fn bell() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Rings a bell.
///
/// # Errors
/// Only when the descriptor is not a bell: a bell that is full has been rung already.
pub fn ring(bell: impl AsFd) -> io::Result<()> {
    match rustix::io::write(bell, &1_u64.to_ne_bytes()) {
        Ok(_) | Err(Errno::AGAIN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Caller<'_> {
    /// Sleeps until the reply's sequence is no longer what [`Caller::announce_sleep`] saw, at most for `longest` and
    /// never longer than [`LOOK_AGAIN`].
    #[must_use]
    pub fn sleep(self, seen: Unanswered, longest: Duration) -> Slept {
        let longest = longest.min(LOOK_AGAIN);
        let timeout = Timespec { tv_sec: 0, tv_nsec: longest.subsec_nanos().into() };
        #[expect(clippy::cast_possible_truncation, reason = "the futex watches the lower half")]
        let unchanged = seen.0 as u32;
        match futex::wait(lower_half(&self.0.reply.seq), futex::Flags::empty(), unchanged, Some(&timeout)) {
            Err(Errno::TIMEDOUT) => Slept::TimedOut,
            _ => Slept::Woken,
        }
    }
}

impl Taker<'_> {
    /// Wakes the client if it sleeps for call `seq`, whose reply has just been published. One system call at most.
    pub fn wake(self, seq: Seq) {
        if self.must_wake(seq) {
            // Waking nobody is no error: the client may just have seen the reply.
            let _woken = futex::wake(lower_half(&self.0.reply.seq), futex::Flags::empty(), 1);
        }
    }
}

/// The half of a sequence word that changes with every call, as the kernel's futex takes it.
fn lower_half(word: &AtomicU64) -> &AtomicU32 {
    // SAFETY: (1) a `u64` is aligned for a `u32`, and on a little-endian machine its lower half comes first; (2) the
    // lifetime is the word's; (3) the reference is only handed to the kernel as an address: this file neither loads nor
    // stores through it, so no access of another size is mixed with the word's own.
    unsafe { AtomicU32::from_ptr(word.as_ptr().cast::<u32>()) }
}
