//! Calls that are started and waited for later, by threads and by tasks.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use speedysvc_protocol::status::{Code, Outcome, Status};

use super::fake::{Broker, Worker, until};
use super::{LONG, SHORT, attached, bytes, call};
use crate::connection::Connection;
use crate::line::Line;
use crate::test_calls::{awaited, begin, block_on, poll, start, wait};

fn pair(broker: &Broker, slots: u16) -> (Arc<Line>, Worker) {
    let (line, worker) = attached(broker, slots);
    (Arc::new(line), worker)
}

/// Answers everything until the test is over, however it ends.
pub(super) fn echoing<T>(worker: &Worker, test: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| worker.echo(&stop));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test));
        stop.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn many_more_calls_than_slots_are_answered() {
    let broker = Broker::new();
    let (line, worker) = pair(&broker, 3);
    echoing(&worker, || {
        let body = |number: usize| bytes(number * 37 % 9000);
        let started: Vec<_> = (0..300).map(|number| (number, start(&line, &body(number), LONG))).collect();
        for (number, started) in started {
            assert_eq!(wait(started).unwrap(), body(number), "call {number}");
        }
        let [one, two, three] = [1, 2, 3].map(|number| start(&line, &body(number), LONG));
        for (number, started) in [(3, three), (1, one), (2, two)] {
            assert_eq!(wait(started).unwrap(), body(number), "call {number}");
        }
    });
    assert_eq!(line.rescues.count(), 0);
}

#[test]
fn one_task_has_two_thousand_calls_in_flight() {
    let broker = Broker::new();
    let (line, worker) = pair(&broker, 8);
    echoing(&worker, || {
        let mut open: Vec<_> = (0..2000_usize).map(|n| (n, start(&line, &n.to_le_bytes(), LONG))).collect();
        block_on(poll_fn(|context| {
            open.retain_mut(|(number, started)| match poll(started, context) {
                Poll::Pending => true,
                Poll::Ready(reply) => {
                    assert_eq!(reply.unwrap(), number.to_le_bytes());
                    false
                }
            });
            if open.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        }));
    });
    assert_eq!(line.rescues.count(), 0);
}

#[test]
fn threads_and_tasks_share_a_link_and_nobody_loses_a_wake() {
    let broker = Broker::new();
    let (line, worker) = pair(&broker, 4);
    echoing(&worker, || {
        thread::scope(|scope| {
            for caller in 0..3_usize {
                let line = &line;
                scope.spawn(move || {
                    for round in 0..150 {
                        let body = bytes(caller * 100 + round);
                        assert_eq!(call(line, &body, LONG).unwrap(), body);
                        assert_eq!(awaited(start(line, &body, LONG)).unwrap(), body);
                    }
                });
            }
        });
    });
    assert_eq!(line.rescues.count(), 0);
}

#[test]
fn a_call_that_is_dropped_is_cancelled_and_its_slot_comes_back() {
    let broker = Broker::new();
    let (line, worker) = pair(&broker, 1);
    drop(start(&line, b"x", LONG));
    let cancelled = worker.take();
    assert!(cancelled.request.cancelled, "nobody must run it");
    worker.announce(&cancelled, Status::Failed(Code::Cancelled, Outcome::NotStarted), 0);
    let open = start(&line, b"y", LONG);
    drop(start(&line, b"never sent", LONG));
    let next = start(&line, b"z", LONG);
    let taken = worker.take();
    assert_eq!(worker.body(&taken), b"y");
    drop(open);
    assert!(worker.try_take().is_none(), "the slot is in use until its reply comes");
    worker.answer(&taken, Status::Ok, b"for nobody");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(next));
        let taken = worker.take();
        assert_eq!(worker.body(&taken), b"z");
        worker.answer(&taken, Status::Ok, b"for somebody");
        assert_eq!(waiter.join().unwrap().unwrap(), b"for somebody");
    });
}

#[test]
fn who_gives_a_slot_back_posts_the_next_call() {
    let broker = Broker::new();
    let (line, worker) = pair(&broker, 1);
    let (first, second) = (start(&line, b"first", LONG), start(&line, b"second", LONG));
    worker.answer(&worker.take(), Status::Ok, b"");
    assert!(worker.try_take().is_none());
    wait(first).unwrap();
    let taken = worker.take();
    assert_eq!(worker.body(&taken), b"second", "nobody has waited for it yet");
    worker.answer(&taken, Status::Ok, b"");
    wait(second).unwrap();
}

#[test]
fn calls_of_one_burst_share_a_look_for_their_worker() {
    let broker = Broker::new();
    let (line, worker) = pair(&broker, 4);
    let calls = [0, 1, 2].map(|_| begin(&line, b"x", LONG));
    assert_eq!(worker.rings(), 0);
    line.flush();
    line.flush();
    assert_eq!(worker.rings(), 1);
    let late = begin(&line, b"x", LONG);
    echoing(&worker, || {
        // Waiting looks as well.
        wait(late).unwrap();
        for call in calls {
            wait(call).unwrap();
        }
    });
}

#[test]
fn time_ends_for_tasks_too() {
    let broker = Broker::new();
    let (line, worker) = pair(&broker, 1);
    let error = awaited(start(&line, b"x", SHORT)).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::NotStarted));
    let cancelled = worker.take();
    worker.announce(&cancelled, Status::Failed(Code::Cancelled, Outcome::NotStarted), 0);
    let taken = thread::scope(|scope| {
        let waiter = scope.spawn(|| awaited(start(&line, b"y", SHORT)));
        let taken = worker.take();
        let error = waiter.join().unwrap().unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::Unknown));
        taken
    });
    let error = awaited(start(&line, b"z", SHORT)).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::ResourceExhausted, Outcome::NotStarted));
    assert!(error.message().contains("until it is waited for"), "{error}");
    worker.answer(&taken, Status::Ok, b"");
    echoing(&worker, || assert_eq!(awaited(start(&line, b"z", LONG)).unwrap(), b"z"));
}

#[test]
fn a_task_fetches_what_did_not_fit() {
    let broker = Broker::new();
    let (line, worker) = pair(&broker, 1);
    let big = bytes(70_000);
    for way in [awaited, wait] {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| way(start(&line, b"x", LONG)));
            let first = worker.take();
            let reply = if first.grant.capacity < 70_000 {
                worker.announce(&first, Status::Need, 70_000);
                worker.take()
            } else {
                first
            };
            worker.answer(&reply, Status::Ok, &big);
            assert_eq!(waiter.join().unwrap().unwrap(), big);
        });
        for _ in 0..64 {
            echoing(&worker, || assert_eq!(awaited(start(&line, b"y", LONG)).unwrap(), b"y"));
        }
    }
}

#[test]
fn calls_that_nobody_took_move_to_a_new_link() {
    let broker = Broker::new();
    for way in [awaited, wait] {
        let (line, mut worker) = pair(&broker, 1);
        let (first, second) = (start(&line, b"1", LONG), start(&line, b"2", LONG));
        worker.hang_up();
        thread::scope(|scope| {
            let waiters = [scope.spawn(|| way(first)), scope.spawn(|| way(second))];
            let next = broker.attach(1, super::MESSAGE_MAX);
            echoing(&next, || {
                let [first, second] = waiters.map(|waiter| waiter.join().unwrap().unwrap());
                assert_eq!((&first[..], &second[..]), (&b"1"[..], &b"2"[..]));
            });
        });
    }
}

#[test]
fn a_task_hears_of_a_broker_that_does_not_come_back() {
    let broker = Broker::new();
    let (line, mut worker) = pair(&broker, 2);
    let (claimed, open) = (start(&line, b"1", LONG), start(&line, b"2", LONG));
    let _taken = worker.take();
    worker.hang_up();
    drop(broker);
    let outcome = |started| awaited(started).map_err(|error| (error.code(), error.outcome()));
    assert_eq!(outcome(claimed), Err((Code::Unavailable, Outcome::Unknown)));
    assert_eq!(outcome(open), Err((Code::Unavailable, Outcome::NotStarted)));
    assert_eq!(outcome(start(&line, b"3", LONG)), Err((Code::Unavailable, Outcome::NotStarted)));
}

#[test]
fn the_thread_that_sleeps_for_tasks_ends_with_the_line() {
    let broker = Broker::new();
    let (line, worker) = pair(&broker, 1);
    let link = match line.usable() {
        Some(Connection::Shm(link)) => Arc::downgrade(&link),
        _ => panic!("no link"),
    };
    // Parked for certain: nobody answers before.
    let mut started = start(&line, b"x", LONG);
    assert!(poll(&mut started, &mut Context::from_waker(Waker::noop())).is_pending());
    worker.answer(&worker.take(), Status::Ok, b"");
    assert_eq!(awaited(started).unwrap(), b"");
    drop(line);
    until("the link to be given up", || link.upgrade().is_none().then_some(()));
}

#[test]
fn a_started_call_keeps_its_line_and_nothing_does_after_it() {
    let broker = Broker::new();
    let (line, worker) = pair(&broker, 2);
    let alive = Arc::downgrade(&line);
    let mut started = start(&line, b"hi", LONG);
    drop(line);
    assert_eq!(alive.strong_count(), 1, "one count for the line and its link");
    let taken = worker.take();
    assert!(poll(&mut started, &mut Context::from_waker(Waker::noop())).is_pending());
    worker.answer(&taken, Status::Ok, b"hi");
    assert_eq!(wait(started).unwrap(), b"hi");
    assert_eq!(alive.strong_count(), 0);
}

#[test]
fn a_started_call_that_fails_at_once_says_so_when_its_line_is_held_by_nobody_else() {
    let broker = Broker::new();
    let (line, worker) = pair(&broker, 2);
    let started = start(&line, b"hi", LONG);
    drop(line);
    let taken = worker.take();
    worker.answer(&taken, Status::Failed(Code::Internal, Outcome::Done), b"it broke");
    let error = wait(started).unwrap_err();
    assert_eq!((error.code(), error.outcome(), error.message()), (Code::Internal, Outcome::Done, "it broke"));
}
