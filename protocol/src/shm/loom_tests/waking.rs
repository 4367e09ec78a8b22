//! The Dekker handshakes of waking. Rules 18 to 23.

use std::sync::Arc;

use loom::sync::Mutex;
use loom::thread;

use super::{Mode, World, explore, incarnation, seq};
use crate::shm::sync::{AtomicU64, Ordering};
use crate::shm::wake::before_second_look;

#[test]
fn a_client_that_sleeps_is_woken() {
    explore(None, || {
        let world = World::new();
        world.post(1);
        let worker = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let request = world.claim(1).expect("posted before the thread began");
                world.answer(1, request);
                world.toss();
                world.taker().must_wake(seq(1))
            }
        });
        // The kernel looks at the word once more before it sleeps; that look can only help, so it is left out.
        world.toss();
        let slept = world.caller().announce_sleep(seq(1)).is_some();
        let woken = worker.join().unwrap();
        assert!(woken || !slept, "sleeps for ever");
    });
}

#[test]
fn a_client_that_sleeps_is_woken_by_the_verdict() {
    explore(None, || {
        let world = World::new();
        world.post(1);
        assert!(world.claim(1).is_some()); // and dies
        let supervisor = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                world.toss();
                let resolved = world.taker().resolve(incarnation(1));
                world.toss();
                resolved.is_some_and(|seq| world.taker().must_wake(seq))
            }
        });
        world.toss();
        let slept = world.caller().announce_sleep(seq(1)).is_some();
        assert!(supervisor.join().unwrap() || !slept, "sleeps for ever");
    });
}

/// A task parks while the thread that sleeps for it falls asleep, and a worker answers.
pub(super) fn park_while_a_thread_falls_asleep(looks_first: bool) {
    #[derive(Default)]
    struct Kernel {
        asleep: bool,
        woken: bool,
    }
    explore(Some(3), move || {
        let world = World::new();
        world.post(1);
        let kernel = Arc::new(Mutex::new(Kernel::default()));
        let parked = Arc::new(Mutex::new(false));
        let worker = thread::spawn({
            let (world, kernel) = (Arc::clone(&world), Arc::clone(&kernel));
            move || {
                let request = world.claim(1).expect("posted before the thread began");
                world.answer(1, request);
                world.toss();
                if world.taker().must_wake(seq(1)) {
                    let mut kernel = kernel.lock().unwrap();
                    kernel.woken = kernel.asleep;
                }
            }
        });
        let sleeper = thread::spawn({
            let (world, kernel, parked) = (Arc::clone(&world), Arc::clone(&kernel), Arc::clone(&parked));
            move || {
                let parked = parked.lock().unwrap();
                world.toss();
                let before = world.caller().look();
                let found = *parked && world.caller().poll(seq(1)).is_some();
                drop(parked);
                world.toss();
                let seen = if looks_first { before } else { world.caller().look() };
                // The kernel compares under the lock that a wake takes, too.
                let mut kernel = kernel.lock().unwrap();
                kernel.asleep = world.caller().look() == seen;
                found
            }
        });
        *parked.lock().unwrap() = true;
        world.toss();
        let slept = world.caller().announce_sleep(seq(1)).is_some();
        worker.join().unwrap();
        let found = sleeper.join().unwrap();
        let kernel = kernel.lock().unwrap();
        assert!(!slept || found || !kernel.asleep || kernel.woken, "sleeps for ever");
    });
}

#[test]
fn a_thread_that_sleeps_for_a_task_is_woken() {
    park_while_a_thread_falls_asleep(true);
}

/// How a loop stops looking at a link.
#[derive(Clone, Copy)]
enum Stop {
    Leave,
    Asleep,
    Busy,
}

impl Stop {
    fn say(self, world: &World) {
        world.toss();
        match self {
            Self::Leave => world.poller().leave(incarnation(1)),
            Self::Asleep => world.line(1).set(incarnation(1), Mode::Asleep),
            Self::Busy => world.line(1).set(incarnation(1), Mode::Busy),
        }
    }
}

/// Loop 1 stops looking while the client publishes: the bell rings, or the loop's second look finds the request.
fn publish_while_a_loop_stops(stop: Stop) {
    explore(None, move || {
        let world = World::polled_by_1();
        let worker = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                stop.say(&world);
                before_second_look();
                world.claim(1).is_some()
            }
        });
        world.post(1);
        let rings = world.poller().needs_bell(|n| world.line(n));
        assert!(worker.join().unwrap() || rings, "no bell, and nobody saw the request");
    });
}

#[test]
fn a_request_meets_a_loop_that_leaves() {
    publish_while_a_loop_stops(Stop::Leave);
}

#[test]
fn a_request_meets_a_loop_that_falls_asleep() {
    publish_while_a_loop_stops(Stop::Asleep);
}

#[test]
fn a_request_meets_a_loop_that_turns_busy() {
    publish_while_a_loop_stops(Stop::Busy);
}

#[test]
fn a_second_call_meets_a_loop_that_never_saw_the_first() {
    // The second look must not be fooled by a claim word or a reply older than the request that it finds.
    explore(Some(4), || {
        let world = World::polled_by_1();
        let sleeper = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                Stop::Leave.say(&world);
                before_second_look();
                world.claim(1).map(|request| request.seq)
            }
        });
        let other = thread::spawn({
            let world = Arc::clone(&world);
            move || world.claim(2).map(|request| world.answer(2, request))
        });
        world.post(1);
        let mut rings = world.poller().needs_bell(|n| world.line(n));
        let mut last = 1;
        if world.poll(1).is_some() {
            world.post(2);
            last = 2;
            rings |= world.poller().needs_bell(|n| world.line(n));
        }
        let seen = sleeper.join().unwrap();
        other.join().unwrap();
        let claimed = world.claim.load(Ordering::Relaxed) & 0xFFFF_FFFF_FFFF;
        assert!(rings || seen.is_some() || claimed == last, "no bell, and nobody saw call {last}");
    });
}

#[test]
fn of_two_loops_that_answer_a_bell_one_takes_over() {
    explore(None, || {
        let world = World::new();
        let loops = [1, 2].map(|me| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                world.line(me).set(incarnation(me), Mode::Scan);
                world.toss();
                world.poller().adopt(incarnation(me), |n| world.line(n))
            })
        });
        let took = loops.map(|one| one.join().unwrap());
        assert_ne!(took[0], took[1], "exactly one takes over");
        assert!(world.poller().is(incarnation(if took[0] { 1 } else { 2 })));
    });
}

#[test]
fn a_loop_that_takes_over_before_it_says_that_it_scans_may_lose_the_link_again() {
    explore(None, || {
        let world = World::new();
        let loops = [1, 2].map(|me| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                world.toss();
                let took = world.poller().adopt(incarnation(me), |n| world.line(n));
                world.line(me).set(incarnation(me), Mode::Scan);
                took
            })
        });
        let took = loops.map(|one| one.join().unwrap());
        let is = [1, 2].map(|me| world.poller().is(incarnation(me)));
        // Both may believe that they took it, one after the other; the word names one of those.
        assert!(is[0] != is[1] && (took[0] || !is[0]) && (took[1] || !is[1]));
    });
}

/// Loop 1 comes back from a long handler and then sleeps; loop 2 sleeps, and answers the bell if it finds it rung.
#[test]
fn a_loop_that_comes_back_and_its_taker_lose_no_request() {
    explore(Some(4), || {
        let world = World::polled_by_1();
        world.line(1).set(incarnation(1), Mode::Busy);
        let bell = Arc::new(AtomicU64::new(0));
        let back = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                world.line(1).set(incarnation(1), Mode::Scan);
                let seen = world.poller().is(incarnation(1)) && world.claim(1).is_some();
                world.toss();
                world.line(1).set(incarnation(1), Mode::Asleep);
                before_second_look();
                seen || world.poller().is(incarnation(1)) && world.claim(1).is_some()
            }
        });
        let taker = thread::spawn({
            let (world, bell) = (Arc::clone(&world), Arc::clone(&bell));
            move || {
                world.toss();
                let answered = bell.swap(0, Ordering::AcqRel) == 1;
                if answered {
                    world.line(2).set(incarnation(2), Mode::Scan);
                    world.toss();
                    if world.poller().adopt(incarnation(2), |n| world.line(n)) {
                        return world.claim(2).is_some();
                    }
                }
                false
            }
        });
        world.post(1);
        if world.poller().needs_bell(|n| world.line(n)) {
            // Loom lets a plain store race past a swap that did not see it; an eventfd counts up anyhow.
            bell.fetch_add(1, Ordering::AcqRel);
        }
        let seen = back.join().unwrap() | taker.join().unwrap();
        // Otherwise somebody still must look: a loop that scans, or one that the pending bell wakes.
        let looks = world.poller().is(incarnation(2)) && world.line(2).mode(2) == Mode::Scan;
        assert!(seen || looks || bell.load(Ordering::Relaxed) == 1, "nobody saw the request, and nobody will look");
    });
}

/// Loop 1 is in a handler; who watches over it says that it is busy and rings; loop 2 answers the bell if it finds it
/// rung.
pub(super) fn watch_over_a_loop(says_first: bool, fences: bool) {
    explore(Some(4), move || {
        let world = World::polled_by_1();
        let bell = Arc::new(AtomicU64::new(0));
        let watcher = thread::spawn({
            let (world, bell) = (Arc::clone(&world), Arc::clone(&bell));
            move || {
                if !says_first {
                    bell.fetch_add(1, Ordering::AcqRel);
                }
                world.toss();
                assert!(world.line(1).turn_busy(incarnation(1)), "nobody else writes it");
                if fences {
                    before_second_look();
                }
                world.toss();
                if says_first {
                    bell.fetch_add(1, Ordering::AcqRel);
                }
            }
        });
        let taker = thread::spawn({
            let (world, bell) = (Arc::clone(&world), Arc::clone(&bell));
            move || {
                world.toss();
                bell.swap(0, Ordering::AcqRel) > 0 && world.claim(2).is_some()
            }
        });
        world.post(1);
        if world.poller().needs_bell(|n| world.line(n)) {
            bell.fetch_add(1, Ordering::AcqRel);
        }
        watcher.join().unwrap();
        let seen = taker.join().unwrap();
        assert!(seen || bell.load(Ordering::Relaxed) > 0, "nobody saw the request, and nobody will look");
    });
}

#[test]
fn a_request_meets_a_loop_that_is_said_to_be_busy() {
    watch_over_a_loop(true, true);
}
