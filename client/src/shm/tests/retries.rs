//! Calls that are made again, over shared memory.

use std::sync::Arc;
use std::thread;

use speedysvc_protocol::hello::Hello;
use speedysvc_protocol::status::{Code, Outcome, Status};

use super::fake::{Broker, IDEMPOTENT, Worker};
use super::{LONG, MESSAGE_MAX, bytes, call};
use crate::clock::Deadline;
use crate::error::Error;
use crate::line::Line;
use crate::test_calls::{awaited, routes, start, wait};

type Way = fn(&Arc<Line>) -> Result<Vec<u8>, Error>;

/// The three ways to make a call.
const WAYS: [Way; 3] =
    [|line| call(line, b"x", LONG), |line| wait(start(line, b"x", LONG)), |line| awaited(start(line, b"x", LONG))];
/// What the broker says of a call whose worker died.
const DIED: Status = Status::Failed(Code::Unavailable, Outcome::Unknown);

fn pair(broker: &Broker, method: &str) -> (Arc<Line>, Worker) {
    thread::scope(|scope| {
        let worker = scope.spawn(|| broker.attach(2, MESSAGE_MAX));
        let routes = routes(&format!("shm://{}", broker.path.display()));
        let line = Line::open(routes, Hello::by_name("", method), Deadline::after(LONG)).unwrap();
        (Arc::new(line), worker.join().unwrap())
    })
}

#[test]
fn a_death_costs_an_idempotent_call_nothing() {
    for way in WAYS {
        let broker = Broker::new();
        let (line, worker) = pair(&broker, IDEMPOTENT);
        thread::scope(|scope| {
            let caller = scope.spawn(|| way(&line));
            worker.answer(&worker.take(), DIED, b"");
            let again = worker.take();
            worker.answer(&again, Status::Ok, &worker.body(&again));
            assert_eq!(caller.join().unwrap().unwrap(), b"x");
        });
    }
}

#[test]
fn and_any_other_call_is_made_once() {
    for way in WAYS {
        let broker = Broker::new();
        let (line, worker) = pair(&broker, "echo");
        thread::scope(|scope| {
            let caller = scope.spawn(|| way(&line));
            worker.answer(&worker.take(), DIED, b"");
            let error = caller.join().unwrap().unwrap_err();
            assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown), "{error}");
            assert_eq!(error.attempts(), 1);
            assert!(worker.try_take().is_none());
        });
    }
}

/// A reply that was too large for its buffer is held by the worker that made it, and dies with it.
#[test]
fn a_reply_that_is_lost_is_made_again() {
    for way in WAYS {
        let broker = Broker::new();
        let (line, worker) = pair(&broker, IDEMPOTENT);
        thread::scope(|scope| {
            let caller = scope.spawn(|| way(&line));
            worker.announce(&worker.take(), Status::Need, 100_000);
            let fetch = worker.take();
            assert!(fetch.request.head.fetch);
            worker.answer(&fetch, Status::Failed(Code::DataLoss, Outcome::Done), b"the worker that held it is gone");
            let again = worker.take();
            assert!(!again.request.head.fetch && again.grant.capacity >= 100_000);
            worker.answer(&again, Status::Ok, &bytes(100_000));
            assert_eq!(caller.join().unwrap().unwrap(), bytes(100_000));
        });
    }
}

/// The line counts calls by the numbers that slots have used: a death in every tenth call is survived for ever, one in
/// every second call is not.
#[test]
fn retries_are_a_tenth_of_the_calls() {
    let broker = Broker::new();
    let (line, worker) = pair(&broker, IDEMPOTENT);
    let refused = |of: usize, calls: usize| {
        thread::scope(|scope| {
            let caller = scope.spawn(|| (0..calls).filter(|_| call(&line, b"x", LONG).is_err()).count());
            let mut taken = 0;
            while !caller.is_finished() {
                if let Some(call) = worker.try_take() {
                    taken += 1;
                    worker.answer(&call, if taken % of == 0 { DIED } else { Status::Ok }, b"");
                }
                thread::yield_now();
            }
            caller.join().unwrap()
        })
    };
    assert_eq!(refused(11, 3_000), 0);
    assert!(refused(2, 3_000) > 1_000);
}
