//! Calls in few steps: what goes that way, and that it ends as any other call does.

use std::sync::Arc;

use speedysvc_protocol::archive::{self, Buffer, Bytes};
use speedysvc_protocol::byte_string;
use speedysvc_protocol::context;
use speedysvc_protocol::shm::layout::SLOT_BUFFER;
use speedysvc_protocol::status::Failure;
use speedysvc_protocol::trace::TraceContext;

use super::own::kept_after_many_calls;
use super::*;
use crate::call::Stop;
use crate::channel::Channel;
use crate::pending::{Boxed, Started, started};
use crate::shm::{Posted, ShmConnection, Short, ShortFlight};

fn archive(bytes: &[u8]) -> Vec<u8> {
    let mut buffer = Buffer::new(1 << 20);
    archive::encode(&(Bytes(bytes),), &mut buffer).unwrap();
    buffer.as_slice().to_vec()
}

/// A link on which this thread keeps a slot.
fn settled(test: impl FnOnce(&ShmConnection, &mut Worker)) {
    let broker = Broker::new();
    let (line, mut worker) = attached(&broker, 4);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| worker.echo(&stop));
        assert_eq!(kept_after_many_calls(&line), 1);
        stop.store(true, Ordering::Relaxed);
    });
    test(line.first().unwrap(), &mut worker);
}

/// Long ago: then no slot was unused for long since, however slow the machine is.
const BEGUN_NS: u64 = 1;

fn times() -> (u64, Deadline) {
    times_after(0)
}

fn times_after(millis: u64) -> (u64, Deadline) {
    (BEGUN_NS + millis * 1_000_000, Deadline::after(LONG))
}

fn ask_for(body: &[u8]) -> Ask<'_> {
    let (begun_ns, deadline) = times();
    Ask { method: MethodIndex(0), codec: Codec::Rkyv, body, begun_ns, deadline, trace: None }
}

fn finish(link: &ShmConnection, posted: Posted<'_>) -> Result<(Answer, Reply), Stop> {
    let mut reply = Reply::new();
    link.finish_posted(posted, &ask_for(&[]), &mut reply).map(|answer| (answer, reply))
}

#[test]
fn byte_strings_cross_as_their_archives() {
    settled(|link, worker| {
        for len in (0..50).chain([1000, 4080, 4087, 4088]) {
            let (sent, returned) = (bytes(len), bytes(4088 - len));
            let posted = link.posted_short(&sent, times()).unwrap();
            let taken = worker.try_take().unwrap();
            assert_eq!(worker.body(&taken), archive(&sent));
            assert_eq!(taken.request.head.codec, Codec::Rkyv as u8);
            worker.answer(&taken, Status::Ok, &archive(&returned));
            match link.answered_short(posted) {
                Short::Answered(bytes) => assert_eq!(bytes, returned, "{len} bytes"),
                Short::Posted(_) | Short::NotMade => panic!("{len} bytes have no short way"),
            }
        }
        assert!(link.posted_short(&bytes(4089), times()).is_none(), "larger than a slot's buffer");
    });
}

#[test]
fn archives_cross_as_they_are() {
    settled(|link, worker| {
        for len in (0..50).chain([1000, 4095, 4096]) {
            let (sent, returned) = (bytes(len), bytes(4096 - len));
            let posted = link.posted_archived(&ask_for(&sent)).unwrap();
            let taken = worker.try_take().unwrap();
            assert_eq!((worker.body(&taken), taken.request.head.codec), (sent, Codec::Rkyv as u8));
            worker.answer(&taken, Status::Ok, &returned);
            let mut reply = Reply::new();
            assert!(matches!(link.answered_archived(posted, &mut reply), Short::Answered(())), "{len} bytes");
            assert_eq!(reply.body.as_slice(), returned);
        }
        assert!(link.posted_archived(&ask_for(&bytes(4097))).is_none(), "larger than a slot's buffer");
    });
}

#[test]
fn who_keeps_no_slot_has_no_short_way() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 4);
    assert!(line.first().unwrap().posted_short(b"hi", times()).is_none());
    assert!(worker.try_take().is_none());
}

#[test]
fn a_call_within_a_call_has_another_slot_than_the_one_that_is_kept() {
    settled(|link, worker| {
        let first = link.posted_short(b"1", times()).unwrap();
        assert!(link.posted_short(b"2", times()).is_none(), "the slot is in use");
        let taken = worker.try_take().unwrap();
        worker.answer(&taken, Status::Ok, &archive(b"one"));
        assert!(matches!(link.answered_short(first), Short::Answered(bytes) if bytes == b"one"));
        assert!(link.posted_short(b"2", times()).is_some());
    });
}

#[test]
fn a_slot_whose_call_was_answered_is_kept_and_nobody_elses() {
    settled(|link, worker| {
        let first = link.posted_short(b"1", times()).unwrap();
        let taken = worker.try_take().unwrap();
        worker.answer(&taken, Status::Ok, &archive(b"one"));
        assert!(matches!(link.answered_short(first), Short::Answered(bytes) if bytes == b"one"));
        let others = std::iter::from_fn(|| link.slots.find()).count();
        assert_eq!((others, link.slots.kept()), (3, 1), "of 4");
        assert!(link.posted_short(b"2", times()).is_some());
    });
}

#[test]
fn replies_of_another_kind_are_finished_in_the_usual_way() {
    settled(|link, worker| {
        let failure = Failure::done(Code::NotFound, "nobody has it");
        let kinds = [
            (Status::Application, archive(b"mine")),
            (Status::Failed(failure.code, failure.outcome), failure.message.as_bytes().to_vec()),
            (Status::Ok, b"no archive".to_vec()),
        ];
        for (status, body) in kinds {
            let posted = link.posted_short(b"hi", times()).unwrap();
            worker.answer(&worker.try_take().unwrap(), status, &body);
            let Short::Posted(posted) = link.answered_short(posted) else { panic!("{status:?} has no short way") };
            match (status, finish(link, posted)) {
                (Status::Application, Ok((Answer::Application, reply))) | (Status::Ok, Ok((Answer::Result, reply))) => {
                    assert_eq!(reply.body.as_slice(), body)
                }
                (Status::Failed(..), Err(stop)) => {
                    assert_eq!((stop.error.code(), stop.error.message()), (Code::NotFound, "nobody has it"));
                }
                (status, other) => panic!("{status:?}: {:?}", other.map(|(answer, _)| answer)),
            }
        }
    });
}

#[test]
fn a_reply_that_comes_late_or_is_large_is_finished_in_the_usual_way() {
    settled(|link, worker| {
        let posted = link.posted_short(b"hi", times()).unwrap();
        let Short::Posted(posted) = link.answered_short(posted) else { panic!("nobody has answered") };
        let taken = worker.try_take().unwrap();
        worker.answer(&taken, Status::Ok, b"late");
        assert_eq!(finish(link, posted).unwrap().1.body.as_slice(), b"late");

        let big = bytes(70_000);
        let posted = link.posted_short(b"hi", times()).unwrap();
        worker.announce(&worker.try_take().unwrap(), Status::Need, 70_000);
        let Short::Posted(posted) = link.answered_short(posted) else { panic!("the reply is not there") };
        thread::scope(|scope| {
            scope.spawn(|| worker.answer(&worker.take(), Status::Ok, &big));
            assert_eq!(finish(link, posted).unwrap().1.body.as_slice(), big);
        });
        assert!(link.posted_short(b"hi", times()).is_none(), "its method has large replies");
    });
}

#[test]
fn a_link_that_was_unused_for_long_is_looked_after_first() {
    settled(|link, worker| {
        for (millis, is_short) in [(0, true), (90, true), (180, true), (290, false), (270, true)] {
            let posted = link.posted_short(b"hi", times_after(millis));
            assert_eq!(posted.is_some(), is_short, "after {millis} ms");
            let Some(posted) = posted else {
                assert!(worker.try_take().is_none());
                continue;
            };
            worker.answer(&worker.try_take().unwrap(), Status::Ok, &archive(b"hi"));
            assert!(matches!(link.answered_short(posted), Short::Answered(_)));
        }
    });
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 2);
    let later = (now_ns() + 1_000_000_000, Deadline::after(LONG));
    assert!(ShortFlight::start(&Arc::new(line), MethodIndex(0), b"hi", later).is_none());
    assert!(worker.try_take().is_none());
}

#[test]
fn a_worker_that_does_not_look_is_rung_for() {
    settled(|link, worker| {
        worker.rings();
        let posted = link.posted_short(b"hi", times()).unwrap();
        assert_eq!(worker.rings(), 1);
        worker.answer(&worker.try_take().unwrap(), Status::Ok, &archive(b"hi"));
        assert!(matches!(link.answered_short(posted), Short::Answered(_)));
        worker.poll_openly();
        let _posted = link.posted_short(b"hi", times()).unwrap();
        assert_eq!(worker.rings(), 0, "it looks");
    });
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 2);
    let line = Arc::new(line);
    let _flight = begun(&line, b"hi").unwrap();
    assert_eq!(worker.rings(), 0, "others may follow");
    line.flush();
    assert_eq!(worker.rings(), 1);
}

#[test]
fn once_in_a_while_a_thread_looks_for_a_better_slot_than_its_own() {
    settled(|link, worker| {
        let short = (0..2 * 1024).filter(|_| {
            let Some(posted) = link.posted_short(b"hi", times()) else {
                return false;
            };
            worker.answer(&worker.try_take().unwrap(), Status::Ok, &archive(b"hi"));
            matches!(link.answered_short(posted), Short::Answered(_))
        });
        let short = short.count();
        assert!((1..1024).contains(&short), "{short} in a row");
    });
}

#[test]
fn calls_with_more_to_their_terms_do_not_go_this_way() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 4);
    let channel = Channel::on(Arc::new(line));
    let begins = |channel: &Channel| channel.begin_short(MethodIndex(0), b"hi").is_some();
    assert!(begins(&channel));
    assert!(!begins(&channel.with_trace(TraceContext::root())), "its trace would be lost");
    assert!(!begins(&channel.with_timeout(Duration::ZERO)), "there is no time for it");
    let call = context::CallName::Http;
    let served = context::Served { call, peer: context::Peer::Unknown, deadline_ns: 0, trace: None };
    {
        let _in = context::Context::new(served).enter();
        assert!(!begins(&channel), "it has no more time than the call that is served");
    }
    assert!(begins(&channel));
    drop(worker);
}

#[test]
fn a_call_without_time_is_not_sent() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 4);
    let (line, stop) = (Arc::new(line), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| worker.echo(&stop));
        assert_eq!(kept_after_many_calls(&line), 1);
        stop.store(true, Ordering::Relaxed);
    });
    line.first().unwrap().looking.ignore_the_crowd();
    let channel = Channel::on(line).with_timeout(Duration::ZERO);
    assert_eq!(channel.call::<u64, u64>(MethodIndex(0), &7).unwrap_err().code(), Code::DeadlineExceeded);
    assert!(channel.call_for_bytes(MethodIndex(0), &byte_string::OnlyArgument(b"hi")).is_err());
    assert!(worker.try_take().is_none());
}

#[test]
fn whoever_waits_no_more_gives_the_call_up() {
    settled(|link, worker| {
        drop(link.posted_short(b"hi", times()).unwrap());
        assert!(worker.try_take().unwrap().request.cancelled);
        assert!(link.posted_short(b"hi", times()).is_some(), "its slot is the thread's again");
    });
}

#[test]
fn who_looks_in_vain_looks_twice_as_long_while_its_worker_wakes() {
    settled(|link, worker| {
        let posted = link.posted_short(b"hi", times()).unwrap();
        let looking = || {
            link.looking.hit();
            let (longest, begun) = (link.looking.longest(SLOT_BUFFER), Instant::now());
            assert!(link.looked_in_vain(&posted));
            begun.elapsed().div_duration_f64(longest)
        };
        assert!((0..10).all(|_| looking() >= 2.0));
        // Others may have the processors for a while, but not each time.
        let is_once = || (0..1_000).any(|_| (1.0..2.0).contains(&looking()));
        worker.poll_openly();
        assert!(is_once(), "nobody was rung for");
        worker.poll_no_more();
        assert!((0..10).all(|_| looking() >= 2.0));
        let _taken = worker.take();
        assert!(is_once(), "it is taken");
    });
}

fn begun(line: &Arc<Line>, bytes: &[u8]) -> Option<ShortFlight> {
    ShortFlight::start(line, MethodIndex(0), bytes, times())
}

/// What becomes of a started call that has no short end.
fn waited(flight: ShortFlight) -> Result<Vec<u8>, Error> {
    let (mut boxed, mut reply) = (Started::resume(flight, Boxed::default()), Reply::new());
    started(&mut boxed).wait(&mut reply).map(|_| reply.body.as_slice().to_vec())
}

#[test]
fn started_calls_go_out_and_come_back_in_any_order() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 8);
    let line = Arc::new(line);
    for round in 0..20 {
        let sent: Vec<Vec<u8>> = (0..8).map(|call| bytes((round * 7 + call) % 33)).collect();
        let mut flights: Vec<_> = sent.iter().map(|bytes| begun(&line, bytes).unwrap()).collect();
        assert!(begun(&line, b"more").is_none(), "all slots are in use");
        assert!(flights.iter_mut().all(|flight| flight.answered().is_none()));
        let turned = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>();
        while let Some(taken) = worker.try_take() {
            let body = worker.body(&taken);
            worker.answer(&taken, Status::Ok, &archive(&turned(byte_string::slice(&body).unwrap())));
        }
        let middle = round % 8;
        flights.rotate_left(middle);
        for (place, mut flight) in flights.into_iter().enumerate() {
            assert_eq!(flight.answered().unwrap(), turned(&sent[(place + middle) % 8]));
        }
    }
    assert!(begun(&line, &bytes(33)).is_none(), "longer than a line");
    assert!(worker.try_take().is_none());
}

#[test]
fn a_started_call_of_any_other_end_goes_on_as_usual() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 2);
    let line = Arc::new(line);
    let big = bytes(3_000);
    for body in [&big[..], b"no archive"] {
        let mut flight = begun(&line, b"hi").unwrap();
        worker.answer(&worker.try_take().unwrap(), Status::Ok, body);
        assert!(flight.answered().is_none());
        assert_eq!(waited(flight).unwrap(), body);
    }
    let mut flight = begun(&line, b"hi").unwrap();
    let failure = Failure::done(Code::NotFound, "nobody has it");
    worker.answer(&worker.try_take().unwrap(), Status::Failed(failure.code, failure.outcome), &archive(b"no result"));
    assert!(flight.answered().is_none(), "a failure is no result, whatever its text looks like");
    assert_eq!(waited(flight).unwrap_err().code(), Code::NotFound);

    let flight = begun(&line, b"hi").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let taken = worker.take();
            until("a sleeper's bell", || (worker.rings() > 0).then_some(()));
            worker.answer(&taken, Status::Ok, b"late");
        });
        assert_eq!(waited(flight).unwrap(), b"late");
    });
}

#[test]
fn a_started_call_that_certainly_did_not_begin_is_made_again_with_its_arguments() {
    let broker = Broker::new();
    let (line, mut worker) = attached(&broker, 2);
    let line = Arc::new(line);
    let arguments = bytes(32);
    let flight = begun(&line, &arguments).unwrap();
    worker.hang_up();
    thread::scope(|scope| {
        scope.spawn(|| {
            let next = broker.attach(2, MESSAGE_MAX);
            let taken = next.take();
            assert_eq!(next.body(&taken), archive(&arguments));
            next.answer(&taken, Status::Ok, b"done");
        });
        assert_eq!(waited(flight).unwrap(), b"done");
    });
}

#[test]
fn a_started_call_that_is_dropped_is_given_up() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 2);
    let line = Arc::new(line);
    drop(begun(&line, b"1").unwrap());
    assert!(worker.try_take().unwrap().request.cancelled);
    let [first, second] = [b"2", b"3"].map(|bytes| begun(&line, bytes).unwrap());
    let taken = worker.try_take().unwrap();
    drop((first, second));
    let _fourth = begun(&line, b"4").expect("a slot, as one call was given up before it began");
    assert!(begun(&line, b"5").is_none(), "and the other keeps its slot until it is answered");
    worker.answer(&taken, Status::Ok, b"late");
    line.first().unwrap().revive();
    assert!(begun(&line, b"6").is_some());
}
