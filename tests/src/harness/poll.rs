//! Waiting for conditions. The only file of the tests that sleeps: a little at a time, between two looks.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: far longer than it takes on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(3);

/// Looks again and again until `look` finds something, and gives that.
///
/// # Panics
/// After [`PATIENCE`], naming `what` was waited for.
pub fn wait_until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    look_for(PATIENCE, look).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// As [`wait_until`], for conditions.
///
/// # Panics
/// After [`PATIENCE`].
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    wait_until(what, || holds().then_some(()));
}

/// Looks until `look` finds something, or for this long.
pub fn look_for<T>(longest: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        // Late is asked before looking: a thread that was held up between the two has looked in time.
        let late = begin.elapsed() > longest;
        if let Some(found) = look() {
            return Some(found);
        }
        if late {
            return None;
        }
        thread::sleep(PAUSE);
    }
}

/// For what is a length of time by its nature: handlers that run long, and proofs that nothing happens meanwhile.
pub fn let_pass(time: Duration) {
    thread::sleep(time);
}
