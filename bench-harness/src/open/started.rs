//! One thread that starts calls when they are due, whatever became of those before, and hears of answers meanwhile.
//! Many threads that wait for a call each get in each other's way long before a service does that refuses most of them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use super::driver::Failed;
use super::log::{Log, Moments};
use super::schedule::Due;
use super::time::Time;

/// Before a call is due the clock is looked at for so long: a timer is late by about as much.
const SPIN_NS: u64 = 100_000;
/// Whoever answers wakes the thread. If not, it looks all the same.
const LOOK: Duration = Duration::from_millis(50);

struct Flying<F> {
    due: u64,
    sent: u64,
    call: F,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Starts all calls, and waits for all of them.
pub(crate) fn drive<F: Future<Output = Result<(), Failed>> + Unpin>(
    calls: impl Iterator<Item = Due>,
    time: &impl Time,
    mut start: impl FnMut(Due) -> F,
) -> Log {
    let (mut log, mut flying) = (Log::new(), Vec::new());
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    for due in calls {
        loop {
            hear(&mut flying, &mut log, time, &waker);
            match due.at_ns.saturating_sub(time.now()) {
                0 => break,
                left @ ..=SPIN_NS => drop(time.wait_until(time.now() + left)),
                left => thread::park_timeout(Duration::from_nanos(left - SPIN_NS).min(LOOK)),
            }
        }
        let sent = time.now();
        flying.push(Flying { due: due.at_ns, sent, call: start(due) });
    }
    while !flying.is_empty() {
        hear(&mut flying, &mut log, time, &waker);
        thread::park_timeout(LOOK);
    }
    log
}

/// Takes the calls that have ended out.
fn hear<F: Future<Output = Result<(), Failed>> + Unpin>(
    flying: &mut Vec<Flying<F>>,
    log: &mut Log,
    time: &impl Time,
    waker: &Waker,
) {
    flying.retain_mut(|Flying { due, sent, call }| match Pin::new(call).poll(&mut Context::from_waker(waker)) {
        Poll::Pending => true,
        Poll::Ready(result) => {
            // Its connection takes any number of calls: it was never busy.
            log.add(Moments { due: *due, free: 0, sent: *sent, done: time.now() }, result);
            false
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;
    use crate::open::schedule::{Arrivals, Schedule};
    use crate::open::time::{RealTime, spin};

    /// Answered by another thread, every third with a failure.
    struct Answered(mpsc::Receiver<u64>);

    impl Future for Answered {
        type Output = Result<(), Failed>;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            match self.0.try_recv() {
                Ok(number) if number.is_multiple_of(3) => Poll::Ready(Err("INTERNAL")),
                Ok(_) => Poll::Ready(Ok(())),
                Err(_) => Poll::Pending,
            }
        }
    }

    #[test]
    fn calls_are_started_on_time_though_none_is_answered_until_all_are() {
        let time = RealTime::new(Instant::now(), spin(3_000.0), &|| false);
        let mut held = Vec::new();
        let log = drive(Schedule::new(Arrivals::Fixed, 3_000.0, 0.02, 1), &time, |due| {
            let (say, hear) = mpsc::channel();
            held.push((due.number, say));
            if held.len() == 60 {
                held.drain(..).for_each(|(number, say)| say.send(number).expect("it is heard"));
            }
            Answered(hear)
        });
        assert_eq!((log.sent(), log.answered(), log.errors["INTERNAL"]), (60, 40, 20));
        assert!(log.last_sent_ns >= 19_000_000 && log.last_done_ns >= log.last_sent_ns);
        // Counted from when they were due: where the machine is slow they are sent later.
        assert!(log.corrected.max() >= 19_000_000, "the first had to wait for the last");
    }
}
