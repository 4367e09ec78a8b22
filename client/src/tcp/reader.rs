//! The thread that reads while tasks wait.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use super::calls::Calls;
use super::socket::Wait;
use super::{LOOK_AGAIN, TcpConnection, locked};
use crate::clock::{Deadline, now_ns};

/// The longest sleep of the thread without tasks: whatever wakes it also tells it so.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl TcpConnection {
    /// Sees to it that somebody reads for the tasks. `false` when no thread can be started.
    pub(super) fn read_for_tasks(self: &Arc<Self>, calls: &mut Calls) -> bool {
        if calls.has_reader {
            // It may be asleep for want of tasks.
            calls.reader.notify_one();
            return true;
        }
        let home = Arc::clone(self);
        let made = thread::Builder::new().name("speedysvc-reads".to_owned()).spawn(move || home.read_on());
        calls.has_reader = made.is_ok();
        calls.has_reader
    }

    fn read_on(&self) {
        let mut calls = locked(&self.calls);
        loop {
            calls.expire(now_ns());
            calls = self.wake_due(calls);
            if !calls.has_tasks() && (calls.closing || calls.broken.is_some()) {
                calls.has_reader = false;
                return;
            }
            if calls.has_tasks() && !calls.writing && !calls.outbox.is_empty() {
                calls = self.flush_within(calls, Deadline::after(LOOK_AGAIN));
            }
            if calls.has_tasks() && !calls.reading {
                let left = Duration::from_nanos(calls.earliest_ns().saturating_sub(now_ns()).max(1));
                calls.reading = true;
                drop(calls);
                // A task that comes meanwhile cannot get us out of this, and its time may be up sooner.
                calls = self.read(Wait::AtMost(left.min(LOOK_AGAIN)));
                calls.pass_on();
            } else {
                let longest = if calls.has_tasks() { LOOK_AGAIN } else { DAY };
                let reader = Arc::clone(&calls.reader);
                calls = reader.wait_timeout(calls, longest).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Wakes the tasks that have something to do; not under the lock, as a waker may do anything.
    pub(super) fn wake_due<'a>(&'a self, mut calls: MutexGuard<'a, Calls>) -> MutexGuard<'a, Calls> {
        if calls.due.is_empty() {
            return calls;
        }
        let due = std::mem::take(&mut calls.due);
        drop(calls);
        due.into_iter().for_each(Waker::wake);
        locked(&self.calls)
    }

    /// Nobody begins a call here any more: ends the thread once no task waits.
    pub(crate) fn close(&self) {
        let mut calls = locked(&self.calls);
        calls.closing = true;
        calls.reader.notify_one();
    }
}
