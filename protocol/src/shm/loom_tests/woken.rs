//! A loop that has only woken, and that nobody watches over (decision 0081): it may never look again.

use std::sync::Arc;

use loom::thread;

use super::{Mode, World, explore, incarnation};
use crate::shm::wake::before_second_look;

/// Loop 1 comes back from a long handler and looks again. Loop 2 has woken, takes over what it may of what has rung,
/// and a handler of another link keeps it from then on.
pub(super) fn publish_while_a_loop_comes_back(takes_only_what_is_free: bool) {
    explore(None, move || {
        let world = World::polled_by_1();
        world.line(1).set(incarnation(1), Mode::Busy);
        world.line(2).set(incarnation(2), Mode::Woken);
        let woken = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                if takes_only_what_is_free {
                    world.poller().adopt_free(incarnation(2))
                } else {
                    world.poller().adopt(incarnation(2), |n| world.line(n))
                }
            }
        });
        let back = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                world.line(1).set(incarnation(1), Mode::Scan);
                world.toss();
                world.poller().is(incarnation(1)) && world.claim(1).is_some()
            }
        });
        world.post(1);
        let rings = world.poller().needs_bell(|n| world.line(n));
        let took = woken.join().unwrap();
        let looks = world.poller().is(incarnation(1));
        assert!(back.join().unwrap() || looks || rings, "no bell, and nobody saw the request");
        assert!(!takes_only_what_is_free || !took);
    });
}

#[test]
fn a_request_meets_a_loop_that_comes_back_beside_one_that_has_woken() {
    publish_while_a_loop_comes_back(true);
}

/// Loop 1 leaves the link and looks once more. Loop 2, which says this, takes it over, and looks nowhere any more.
pub(super) fn publish_while_a_loop_leaves_the_link_to_another(says: Mode) {
    explore(None, move || {
        let world = World::polled_by_1();
        world.line(2).set(incarnation(2), says);
        let leaver = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                world.poller().leave(incarnation(1));
                before_second_look();
                world.claim(1).is_some()
            }
        });
        let taker = thread::spawn({
            let world = Arc::clone(&world);
            move || world.poller().adopt_free(incarnation(2))
        });
        world.post(1);
        let rings = world.poller().needs_bell(|n| world.line(n));
        taker.join().unwrap();
        assert!(leaver.join().unwrap() || rings, "no bell, and nobody saw the request");
    });
}

#[test]
fn a_request_meets_a_loop_that_leaves_the_link_to_one_that_has_woken() {
    publish_while_a_loop_leaves_the_link_to_another(Mode::Woken);
}

/// Loop 1 wakes, says this, takes the link over and looks once: what it finds, or something else, keeps it for ever.
pub(super) fn publish_while_a_loop_wakes(says: Mode) {
    explore(None, move || {
        let world = World::new();
        world.line(1).set(incarnation(1), Mode::Asleep);
        let woken = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                world.line(1).set(incarnation(1), says);
                world.toss();
                assert!(world.poller().adopt_free(incarnation(1)));
                world.claim(1).is_some()
            }
        });
        world.post(1);
        let rings = world.poller().needs_bell(|n| world.line(n));
        assert!(woken.join().unwrap() || rings, "no bell, and nobody saw the request");
    });
}

#[test]
fn a_request_meets_a_loop_that_wakes_and_looks_once() {
    publish_while_a_loop_wakes(Mode::Woken);
}
