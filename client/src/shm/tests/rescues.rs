//! Wakes that are lost, and wakes that come late.

use std::thread;
use std::time::{Duration, Instant};

use speedysvc_protocol::shm::doorbell::LOOK_AGAIN;
use speedysvc_protocol::status::Status;

use super::fake::{Broker, Taken, Worker, until};
use super::{LONG, attached, call};
use crate::line::Line;

/// A call whose worker answers while its caller sleeps, does not wake it, and then does this.
fn answered_silently(line: &Line, worker: &Worker, then: impl FnOnce(&Taken)) {
    thread::scope(|scope| {
        let caller = scope.spawn(|| call(line, b"x", LONG));
        let taken = worker.take();
        until("the caller to sleep", || worker.link.slot(taken.slot).must_wake(taken.request.seq).then_some(()));
        worker.answer_silently(&taken, Status::Ok, b"y");
        then(&taken);
        assert_eq!(caller.join().unwrap().unwrap(), b"y");
    });
}

#[test]
fn a_lost_wake_is_survived_and_counted() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 1);
    // A caller that has announced its sleep may not sleep yet: then it finds the reply at once, and nothing was lost.
    // Nor does it count when it comes back late itself.
    until("a caller that slept", || {
        answered_silently(&line, &worker, |_| {});
        (line.rescues.count() > 0).then_some(())
    });
    assert_eq!(line.rescues.count(), 1);
}

#[test]
fn a_late_wake_is_none_that_was_lost_for_who_sleeps_on() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 1);
    line.rescues.sleep_at_most(LONG);
    let begin = Instant::now();
    answered_silently(&line, &worker, |taken| {
        // Others, who look after that, would have found the reply.
        until("its time", || (begin.elapsed() > LOOK_AGAIN + Duration::from_millis(50)).then_some(()));
        worker.link.slot(taken.slot).wake(taken.request.seq);
    });
    assert_eq!(line.rescues.count(), 0);
}
