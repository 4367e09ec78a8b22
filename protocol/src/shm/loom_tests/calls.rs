//! Claim, publish, cancel and verdict. Rules 7 to 15.

use std::sync::Arc;

use loom::thread;

use super::{CANCELLED, World, explore, incarnation, seq};
use crate::shm::claim::Request;
use crate::shm::slot::GivenUp;
use crate::shm::sync::Ordering;
use crate::status::{Code, Outcome, Status};

const UNKNOWN: Status = Status::Failed(Code::Unavailable, Outcome::Unknown);

/// The client makes a call and, if it finds the reply in one of a few looks, a second one.
fn up_to_two_calls(world: &World, looks: usize) -> [Option<Status>; 2] {
    let call = |call| {
        world.post(call);
        (0..looks).find_map(|_| world.poll(call)).map(|reply| reply.status)
    };
    let first = call(1);
    [first, first.and_then(|_| call(2))]
}

#[test]
fn two_calls_in_one_slot_bring_back_their_own_bytes() {
    explore(None, || {
        let world = World::new();
        let worker = thread::spawn({
            let world = Arc::clone(&world);
            move || world.serve(1, 2)
        });
        let replies = up_to_two_calls(&world, 2);
        worker.join().unwrap();
        assert_consistent(&world, replies);
    });
}

/// Whatever ran did so once, and what the client was told is so. The rest is answered by one more loop: nothing hangs.
fn assert_consistent(world: &World, told: [Option<Status>; 2]) {
    world.serve(3, 1);
    let last = if told[0].is_some() { 2 } else { 1 };
    assert!(world.poll(last).is_some(), "call {last} was never answered");
    for (call, told) in [1, 2].into_iter().zip(told) {
        let ran = world.runs(call);
        assert!(ran <= 1, "call {call} ran {ran} times");
        assert!(told != Some(Status::Ok) || ran == 1, "call {call} did not run");
    }
}

#[test]
fn of_two_workers_one_claims() {
    explore(None, || {
        let world = World::new();
        let workers = [1, 2].map(|me| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.claim(me).map(|request| world.answer(me, request)).is_some())
        });
        world.post(1);
        let claimed = workers.map(|worker| worker.join().unwrap());
        assert!(!(claimed[0] && claimed[1]), "both claimed");
        assert_eq!(world.runs(1), usize::from(claimed[0] || claimed[1]));
    });
}

#[test]
fn two_workers_take_turns_in_one_slot() {
    explore(Some(4), || {
        let world = World::new();
        let workers = [1, 2].map(|me| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.serve(me, 2))
        });
        let replies = up_to_two_calls(&world, 1);
        for worker in workers {
            worker.join().unwrap();
        }
        assert_consistent(&world, replies);
    });
}

/// The client gives call 1 up and, if that is final, uses the slot again at once; loop 1 looks twice.
pub(super) fn cancel_and_reuse(world: &Arc<World>, look: fn(&World, u16) -> Option<Request>) {
    let worker = thread::spawn({
        let world = Arc::clone(world);
        move || {
            for _ in 0..2 {
                if let Some(request) = look(&world, 1) {
                    world.answer(1, request);
                }
            }
        }
    });
    world.post(1);
    world.toss();
    let given_up = world.caller().give_up(seq(1));
    if given_up == GivenUp::NotStarted {
        world.post(2);
    }
    worker.join().unwrap();
    if given_up == GivenUp::NotStarted {
        assert_eq!(world.runs(1), 0, "not started, and yet it ran");
    } else {
        let reply = world.poll(1).map(|reply| reply.status);
        assert_eq!(reply, Some(if world.runs(1) == 1 { Status::Ok } else { CANCELLED }));
    }
    assert!(world.runs(1) <= 1 && world.runs(2) <= 1);
}

#[test]
fn a_call_that_was_not_started_never_runs() {
    explore(None, || cancel_and_reuse(&World::new(), World::claim));
}

/// The client need not wait for a proven NOT_STARTED: loop 1 may still be writing it when loop 2 answers the next call.
#[test]
fn a_late_not_started_does_not_spill_into_the_next_reply() {
    explore(Some(3), || {
        let world = World::new();
        let late = thread::spawn({
            let world = Arc::clone(&world);
            move || world.serve(1, 1)
        });
        let next = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                if let Some(mut request) = world.claim(2) {
                    request.cancelled |= request.seq == seq(1);
                    world.answer(2, request);
                }
            }
        });
        world.post(1);
        world.toss();
        let reused = world.caller().give_up(seq(1)) == GivenUp::NotStarted;
        if reused {
            world.post(2);
        }
        late.join().unwrap();
        next.join().unwrap();
        if let Some(reply) = world.poll(2).filter(|_| reused) {
            assert_eq!(reply.status, Status::Ok, "another call's reply");
        }
    });
}

#[test]
fn a_dead_loops_call_is_unknown_and_the_slot_lives_on() {
    explore(Some(3), || {
        let world = World::new();
        let a = thread::spawn({
            let world = Arc::clone(&world);
            // Dies after its claim, in the middle of publishing: everything is written but the number.
            move || {
                if world.claim(1).is_some() {
                    world.reply.head.store(0xDEAD, Ordering::Relaxed);
                    world.reply.owner.store(9, Ordering::Relaxed);
                }
            }
        });
        let b = thread::spawn({
            let world = Arc::clone(&world);
            move || world.serve(2, 2)
        });
        let supervisor = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                a.join().unwrap(); // the pidfd
                world.toss();
                let resolved = world.taker().resolve(incarnation(1));
                assert_eq!(world.taker().resolve(incarnation(1)), None, "resolved twice");
                resolved
            }
        });
        let replies = up_to_two_calls(&world, 1);
        b.join().unwrap();
        let resolved = supervisor.join().unwrap();
        // Loop 1 looks once, so it takes the first call, the second or none.
        for (call, told) in [1, 2].into_iter().zip(replies) {
            let unknown = resolved == Some(seq(call));
            assert!(told.is_none() || told == Some(if unknown { UNKNOWN } else { Status::Ok }));
            assert!(!unknown || world.runs(call) == 0);
        }
        assert_consistent(&world, replies);
    });
}
