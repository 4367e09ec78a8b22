//! The system calls of waking: a futex for clients, eventfds for loops. Rules 6, 22, 23 and 24.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use rustix::thread::{ClockId, futex};

use super::claim::Taker;
use super::seq::Seq;
use super::slot::Caller;
use super::sync::{AtomicU32, AtomicU64};
use super::wake::{Unanswered, before_looks_for_sleepers};
use crate::limits::SLOTS_MAX;

#[cfg(target_endian = "big")]
compile_error!("a futex watches the lower half of a sequence word, which is taken to come first");

/// The longest that a client sleeps before it looks for itself. A reply found then is a rescue: its wake is late, as
/// its worker stands still or has died, or was lost, which is a bug (decision 0070).
pub const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The most words that the kernel lets one thread sleep on (`FUTEX_WAITV_MAX`).
const WATCHED_MAX: usize = 128;
const _: () = assert!(SLOTS_MAX < WATCHED_MAX, "one thread sleeps on all slots of a link, and a word of its own");

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
    /// Sleeps until the reply's sequence is no longer what [`Caller::announce_sleep`] saw, at most for `longest`, which
    /// is at most [`LOOK_AGAIN`] but in tests.
    #[must_use]
    pub fn sleep(self, seen: Unanswered, longest: Duration) -> Slept {
        let seconds = i64::try_from(longest.as_secs()).unwrap_or(i64::MAX);
        let timeout = Timespec { tv_sec: seconds, tv_nsec: longest.subsec_nanos().into() };
        #[expect(clippy::cast_possible_truncation, reason = "the futex watches the lower half")]
        let unchanged = seen.0 as u32;
        match futex::wait(lower_half(&self.0.reply.seq), futex::Flags::empty(), unchanged, Some(&timeout)) {
            Err(Errno::TIMEDOUT) => Slept::TimedOut,
            _ => Slept::Woken,
        }
    }

    /// Wakes one more thread of this process that sleeps on this slot: after a wake that was meant for another.
    pub fn pass_on(self) {
        let _woken = futex::wake(lower_half(&self.0.reply.seq), futex::Flags::empty(), 1);
    }
}

/// Sleeps until the reply of one of these callers is no longer the one that was seen, or `kick` no longer `quiet`, or
/// until `until_ns` of `CLOCK_MONOTONIC`: for one thread that sleeps for many calls. Workers wake it as they wake a
/// caller, with one wake for each reply that was announced; a wake of this thread may have been meant for another one
/// that sleeps on the same slot, and must then be passed on with [`Caller::pass_on`].
pub fn sleep_on_any(replies: &[(Caller<'_>, Unanswered)], kick: &AtomicU32, quiet: u32, until_ns: u64) -> Slept {
    let mut watched = Vec::with_capacity(replies.len() + 1);
    let mut watch = |word: &AtomicU32, unchanged: u32, flags| {
        let mut entry = futex::Wait::new();
        entry.val = u64::from(unchanged);
        entry.uaddr = word.as_ptr().cast::<core::ffi::c_void>().into();
        entry.flags = flags;
        watched.push(entry);
    };
    watch(kick, quiet, futex::WaitFlags::SIZE_U32 | futex::WaitFlags::PRIVATE);
    for (caller, seen) in replies {
        #[expect(clippy::cast_possible_truncation, reason = "the futex watches the lower half")]
        watch(lower_half(&caller.0.reply.seq), seen.0 as u32, futex::WaitFlags::SIZE_U32);
    }
    let seconds = i64::try_from(until_ns / 1_000_000_000).unwrap_or(i64::MAX);
    let until = Timespec { tv_sec: seconds, tv_nsec: i64::try_from(until_ns % 1_000_000_000).unwrap_or(0) };
    match futex::waitv(&watched, futex::WaitvFlags::empty(), Some(&until), ClockId::Monotonic) {
        Err(Errno::TIMEDOUT) => Slept::TimedOut,
        _ => Slept::Woken,
    }
}

/// Wakes the thread that sleeps on a word of this process.
pub fn kick(word: &AtomicU32) {
    // Waking nobody is no error: the thread may just be awake.
    let _woken = futex::wake(word, futex::Flags::PRIVATE, 1);
}

impl Taker<'_> {
    /// Wakes the client if it sleeps for call `seq`, whose reply has just been published. One system call at most;
    /// whether it was made.
    pub fn wake(self, seq: Seq) -> bool {
        before_looks_for_sleepers();
        self.wake_who_says_it_sleeps(seq)
    }

    /// The same without the fence, which must have come between the reply and this; without it, `false` means nothing.
    /// Whether the system call was made.
    #[inline]
    pub fn wake_who_says_it_sleeps(self, seq: Seq) -> bool {
        let sleeps = self.says_it_sleeps(seq);
        if sleeps {
            self.wake_one();
        }
        sleeps
    }

    #[cold]
    fn wake_one(self) {
        // Waking nobody is no error: the client may just have seen the reply.
        let _woken = futex::wake(lower_half(&self.0.reply.seq), futex::Flags::empty(), 1);
    }
}

/// The half of a sequence word that changes with every call, as the kernel's futex takes it.
fn lower_half(word: &AtomicU64) -> &AtomicU32 {
    // SAFETY: (1) a `u64` is aligned for a `u32`, and on a little-endian machine its lower half comes first; (2) the
    // lifetime is the word's; (3) the reference is only handed to the kernel as an address: this file neither loads nor
    // stores through it, so no access of another size is mixed with the word's own.
    unsafe { AtomicU32::from_ptr(word.as_ptr().cast::<u32>()) }
}
