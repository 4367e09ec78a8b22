//! One connection's part: takes the next call that is due, waits for its moment, makes it, and notes when.

use std::sync::{Mutex, PoisonError};

use super::log::{Log, Moments};
use super::schedule::{Due, Schedule};
use super::time::Time;

/// Why a call failed: a code's name.
pub(crate) type Failed = &'static str;

/// Makes calls on one connection.
pub(crate) trait Caller {
    /// Makes a call, and waits for its answer.
    ///
    /// # Errors
    /// Why there was none.
    fn call(&mut self, due: Due) -> Result<(), Failed>;

    /// The call was answered, and these were its moments.
    fn answered(&mut self, _moments: Moments) {}
}

/// What all connections share.
pub(crate) struct Run<'a> {
    /// The next call goes to whoever is free first, as with a pool of connections.
    pub(crate) calls: &'a Mutex<Schedule>,
    /// Calls that are due and not sent by then are given up.
    pub(crate) late_until_ns: u64,
    /// Somebody wants no more calls.
    pub(crate) is_ended: &'a (dyn Fn() -> bool + Sync),
}

impl Run<'_> {
    fn next(&self) -> Option<Due> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

/// Makes calls until there are none left.
pub(crate) fn drive(run: &Run<'_>, time: &impl Time, caller: &mut impl Caller) -> Log {
    let mut log = Log::new();
    let mut free = time.now();
    while let Some(due) = run.next() {
        let sent = time.wait_until(due.at_ns);
        let is_ended = (run.is_ended)();
        // When no more calls are wanted, those that had to wait for this connection still count, and no others do.
        if is_ended && due.at_ns >= free {
            break;
        }
        if is_ended || sent > run.late_until_ns {
            log.give_up(due.at_ns, sent);
            continue;
        }
        let result = caller.call(due);
        let done = time.now();
        let moments = Moments { due: due.at_ns, free, sent, done };
        log.add(moments, result);
        if result.is_ok() {
            caller.answered(moments);
        }
        free = done;
    }
    log
}
