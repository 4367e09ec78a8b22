//! The shared-memory client against a broker and a worker in this process.

mod ebb;
mod fake;
mod large;
mod own;
mod queued;
mod rescues;
mod retries;
mod short;
mod started;
mod waits;

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use speedysvc_protocol::control::Attached;
use speedysvc_protocol::hello::{Hello, Refusal};
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::shm::handover;
use speedysvc_protocol::status::{Code, Outcome, Status};

use crate::call::{Answer, Ask};
use crate::clock::{Deadline, now_ns};
use crate::error::Error;
use crate::line::Line;
use crate::reply::Reply;
use crate::test_calls::routes;
use fake::{Broker, Worker, until};

const LONG: Duration = Duration::from_secs(20);
/// Long enough for the other side to do its part on a busy machine.
const SHORT: Duration = Duration::from_millis(400);
const MESSAGE_MAX: u64 = 1 << 20;

fn try_open(broker: &Broker, timeout: Duration) -> Result<Line, Error> {
    open_at(broker.path.clone(), timeout)
}

fn open_at(path: PathBuf, timeout: Duration) -> Result<Line, Error> {
    Line::open(routes(&format!("shm://{}", path.display())), Hello::by_name("", "echo"), Deadline::after(timeout))
}

/// A client with a link of its own, and who answers it.
fn attached(broker: &Broker, slots: u16) -> (Line, Worker) {
    thread::scope(|scope| {
        let worker = scope.spawn(|| broker.attach(slots, MESSAGE_MAX));
        (try_open(broker, LONG).unwrap(), worker.join().unwrap())
    })
}

fn call(line: &Line, body: &[u8], timeout: Duration) -> Result<Vec<u8>, Error> {
    let (begun_ns, deadline) = (now_ns(), Deadline::after(timeout));
    let ask = Ask { method: MethodIndex(0), codec: Codec::Json, body, begun_ns, deadline, trace: None };
    let mut reply = Reply::new();
    let answer = line.exchange(&ask, &mut reply)?;
    assert_eq!(answer, Answer::Result);
    Ok(reply.body.as_slice().to_vec())
}

fn bytes(len: usize) -> Vec<u8> {
    (0..=250_u8).cycle().take(len).collect()
}

#[test]
fn bodies_of_every_size_cross() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 2);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| worker.echo(&stop));
        for len in [0, 1, 40, 41, 4096, 4097, 8192, 100_000, 1 << 20] {
            assert_eq!(call(&line, &bytes(len), LONG).unwrap(), bytes(len), "{len} bytes");
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(line.rescues.count(), 0);
}

#[test]
fn threads_share_few_slots_and_little_memory() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 3);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| worker.echo(&stop));
        let callers: Vec<_> = (0..8_usize)
            .map(|caller| {
                let line = &line;
                scope.spawn(move || {
                    for round in 0..60 {
                        let body = bytes((caller * 37 + round * 4099) % 300_000);
                        assert_eq!(call(line, &body, LONG).unwrap(), body);
                    }
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(line.rescues.count(), 0);
}

#[test]
fn a_request_over_the_limit_is_refused_here() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 1);
    let error = call(&line, &bytes((1 << 20) + 1), LONG).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::ResourceExhausted, Outcome::NotStarted));
    assert!(error.message().contains("1048577") && error.message().contains("1048576"), "{error}");
    assert!(worker.try_take().is_none());
}

#[test]
fn a_reply_that_does_not_fit_is_fetched_and_its_size_learned() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 1);
    let big = bytes(70_000);
    thread::scope(|scope| {
        scope.spawn(|| {
            let first = worker.take();
            assert_eq!(first.grant.capacity, 4096);
            worker.rings();
            worker.announce(&first, Status::Need, 70_000);
            let fetch = worker.take();
            assert!(fetch.request.head.fetch && fetch.request.head.method == worker.me.0.get());
            assert_eq!(fetch.request.seq, first.request.seq.next().unwrap());
            until("the bell, which a fetch always rings", || (worker.rings() > 0).then_some(()));
            worker.answer(&fetch, Status::Ok, &big);
            let second = worker.take();
            assert!(second.grant.capacity >= 70_000, "the size was not learned");
            worker.answer(&second, Status::Ok, &big);
        });
        assert_eq!(call(&line, b"x", LONG).unwrap(), big);
        assert_eq!(call(&line, b"x", LONG).unwrap(), big);
    });
}

#[test]
fn a_reply_that_cannot_be_fetched_was_done() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 1);
    let check = |error: Error, code, text: &str| {
        assert_eq!((error.code(), error.outcome()), (code, Outcome::Done), "{error}");
        assert!(error.message().starts_with("the reply was lost: ") && error.message().contains(text), "{error}");
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            worker.announce(&worker.take(), Status::Need, 70_000);
            let gone = Status::Failed(Code::DataLoss, Outcome::NotStarted);
            worker.answer(&worker.take(), gone, b"the holder is gone");
            worker.announce(&worker.take(), Status::Need, 1 << 21);
            worker.announce(&worker.take(), Status::Need, 70_000);
        });
        check(call(&line, b"x", LONG).unwrap_err(), Code::DataLoss, "the holder is gone");
        check(call(&line, b"x", LONG).unwrap_err(), Code::DataLoss, "over its own limit");
        check(call(&line, b"x", SHORT).unwrap_err(), Code::DeadlineExceeded, "no worker took");
    });
}

#[test]
fn a_call_that_nobody_takes_has_not_started_and_leaves_no_trace() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 1);
    for _ in 0..3 {
        let error = call(&line, b"x", Duration::from_millis(20)).unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::NotStarted));
    }
    let late = worker.take();
    assert!(late.request.cancelled);
    worker.announce(&late, Status::Failed(Code::Cancelled, Outcome::NotStarted), 0);
    thread::scope(|scope| {
        scope.spawn(|| worker.answer(&worker.take(), Status::Ok, b"y"));
        assert_eq!(call(&line, b"x", LONG).unwrap(), b"y");
    });
}

#[test]
fn a_slot_whose_reply_is_late_stays_out_of_use_until_it_comes() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 1);
    let taken = thread::scope(|scope| {
        let worker = scope.spawn(|| worker.take());
        let error = call(&line, &bytes(2 << 18), SHORT).unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::Unknown));
        worker.join().unwrap()
    });
    let error = call(&line, b"x", SHORT).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::ResourceExhausted, Outcome::NotStarted));
    assert!(error.message().contains("all 1 slots of this link are in use"), "{error}");
    assert_eq!(worker.body(&taken), bytes(2 << 18), "the buffer was used by another");
    thread::scope(|scope| {
        scope.spawn(|| {
            worker.answer(&taken, Status::Ok, b"late");
            worker.answer(&worker.take(), Status::Ok, b"new");
        });
        assert_eq!(call(&line, b"x", LONG).unwrap(), b"new");
    });
}

#[test]
fn what_no_line_or_buffer_can_hold_is_data_loss() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 1);
    thread::scope(|scope| {
        scope.spawn(|| worker.announce(&worker.take(), Status::Ok, u32::MAX));
        let error = call(&line, b"x", LONG).unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::DataLoss, Outcome::Done));
    });
}

#[test]
fn failures_come_with_their_words_and_a_death_with_ours() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 1);
    thread::scope(|scope| {
        scope.spawn(|| {
            worker.answer(&worker.take(), Status::Failed(Code::NotFound, Outcome::Done), b"no such page, nowhere");
            let taken = worker.take();
            let slot = worker.link.slot(taken.slot);
            slot.wake(slot.resolve(worker.me).unwrap());
        });
        let error = call(&line, b"x", LONG).unwrap_err();
        assert_eq!(error.to_string(), "NOT_FOUND: no such page, nowhere (the call ran)");
        let error = call(&line, b"x", LONG).unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown));
        assert_eq!(error.message(), "the worker that had taken the call died");
    });
}

#[test]
fn nobody_rings_a_loop_that_is_looking_unless_it_does_not_take() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 1);
    worker.poll_openly();
    thread::scope(|scope| {
        let caller = scope.spawn(|| call(&line, b"x", LONG));
        // Rule 19: at the end of its spin the caller sees that nobody took the call.
        until("the bell", || (worker.rings() > 0).then_some(()));
        let taken = worker.take();
        worker.answer(&taken, Status::Ok, b"");
        caller.join().unwrap().unwrap();
    });
}

#[test]
fn calls_that_nobody_took_move_to_a_new_link_when_the_broker_hangs_up() {
    let broker = Broker::new();
    let (line, mut worker) = attached(&broker, 1);
    worker.hang_up();
    thread::scope(|scope| {
        let caller = scope.spawn(|| call(&line, b"x", LONG));
        let next = broker.attach(1, MESSAGE_MAX);
        next.answer(&next.take(), Status::Ok, b"y");
        assert_eq!(caller.join().unwrap().unwrap(), b"y");
    });
}

#[test]
fn calls_that_were_taken_when_the_broker_hung_up_are_unknown_or_answered() {
    let broker = Broker::new();
    let (line, mut worker) = attached(&broker, 2);
    thread::scope(|scope| {
        let callers = [0, 1].map(|_| scope.spawn(|| call(&line, b"x", LONG)));
        let taken = [worker.take(), worker.take()];
        worker.hang_up();
        let cancelled = || worker.link.slot(taken[0].slot).0.request;
        until("a caller to notice", || (!format!("{:?}", cancelled()).contains("cancel: 0")).then_some(()));
        worker.answer(&taken[1], Status::Ok, b"y");
        let ends = callers.map(|caller| caller.join().unwrap());
        assert!(ends.iter().any(|end| end.as_deref() == Ok(b"y")), "{ends:?}");
        let error = ends.into_iter().find_map(Result::err).unwrap();
        assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown));
    });
}

#[test]
fn a_service_that_does_not_come_back_is_given_up_soon() {
    let broker = Broker::new();
    let (line, mut worker) = attached(&broker, 1);
    worker.hang_up();
    drop(broker);
    let start = Instant::now();
    let error = call(&line, b"x", LONG).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::NotStarted));
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    // A machine may be slow in one of them, or in some.
    let fastest = (0..20).map(|_| {
        let start = Instant::now();
        assert_eq!(call(&line, b"x", LONG).unwrap_err().code(), Code::Unavailable);
        start.elapsed()
    });
    assert!(fastest.min().unwrap() < Duration::from_millis(500), "a call that finds no connection fails at once");
}

#[test]
fn nobody_there_is_said_at_once_with_the_path() {
    let broker = Broker::new();
    let error = open_at(broker.path.with_file_name("other.sock"), LONG).err().unwrap();
    assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::NotStarted));
    assert!(error.message().contains("other.sock: no such socket: is the service running?"), "{error}");
    let left_over = broker.path.with_file_name("left-over.sock");
    drop(UnixDatagram::bind(&left_over).unwrap());
    let error = open_at(left_over, LONG).err().unwrap();
    assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::NotStarted));
    assert!(error.message().contains("nobody listens"), "{error}");
}

#[test]
fn a_refusal_comes_through_and_silence_has_an_end() {
    let broker = Broker::new();
    thread::scope(|scope| {
        let broker = &broker;
        scope.spawn(move || {
            let refusal = Refusal::new(Code::NotFound, "this is service `a`, not `b`");
            handover::send(&broker.accept().0, &Attached::Refused { refusal }, &[]).unwrap();
        });
        let error = try_open(broker, LONG).err().unwrap();
        assert_eq!((error.code(), error.outcome()), (Code::NotFound, Outcome::NotStarted));
        assert!(error.message().contains("this is service `a`, not `b`"), "{error}");
    });
    let error = try_open(&broker, Duration::from_millis(50)).err().unwrap();
    assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::NotStarted));
}
