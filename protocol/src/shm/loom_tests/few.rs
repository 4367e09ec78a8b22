//! Few slots, or all (decision 0082): the word that says so is a part of the first request in a higher slot.

use std::sync::Arc;

use loom::thread;

use super::{World, explore, incarnation};
use crate::shm::sync::{AtomicU64, Ordering};
use crate::shm::wake::before_second_look;

const FEW: usize = 8;
const ALL: usize = 64;

/// When the client says that it uses all slots.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    BeforeItPublishes,
    BeforeItLooksForABell,
    AfterThat,
}

impl World {
    /// A loop's look at all slots that are said to be in use; ours is a higher one.
    fn claim_in_higher_slot(&self) -> bool {
        self.toss();
        self.request.slots_in_use(ALL) == ALL && self.claim(1).is_some()
    }

    /// Loop 1 leaves the link, and looks once more.
    fn fall_asleep(&self) -> bool {
        self.poller().leave(incarnation(1));
        before_second_look();
        self.claim_in_higher_slot()
    }
}

pub(super) fn publish_in_a_higher_slot_while_a_loop_falls_asleep(says: Says) {
    explore(None, move || {
        let world = World::polled_by_1();
        world.request.use_few(Some(FEW));
        let worker = thread::spawn({
            let world = Arc::clone(&world);
            move || world.fall_asleep()
        });
        let say = |when| {
            if says == when {
                world.toss();
                world.request.use_few(None);
            }
        };
        say(Says::BeforeItPublishes);
        world.post(1);
        say(Says::BeforeItLooksForABell);
        let rings = world.poller().needs_bell(|n| world.line(n));
        say(Says::AfterThat);
        assert!(worker.join().unwrap() || rings, "no bell, and nobody saw the request");
    });
}

#[test]
fn a_request_in_a_higher_slot_meets_a_loop_that_falls_asleep() {
    publish_in_a_higher_slot_while_a_loop_falls_asleep(Says::BeforeItPublishes);
    // It is the fence behind it that counts.
    publish_in_a_higher_slot_while_a_loop_falls_asleep(Says::BeforeItLooksForABell);
}

/// One thread of the client says it, and another one publishes because of that.
#[test]
fn a_request_of_a_thread_that_has_not_said_it_itself() {
    explore(None, || {
        let world = World::polled_by_1();
        world.request.use_few(Some(FEW));
        let said = Arc::new(AtomicU64::new(0));
        let worker = thread::spawn({
            let world = Arc::clone(&world);
            move || world.fall_asleep()
        });
        let other = thread::spawn({
            let (world, said) = (Arc::clone(&world), Arc::clone(&said));
            move || {
                world.toss();
                world.request.use_few(None);
                said.store(1, Ordering::Release);
            }
        });
        let publishes = said.load(Ordering::Acquire) == 1;
        let rings = publishes && {
            world.post(1);
            world.poller().needs_bell(|n| world.line(n))
        };
        other.join().unwrap();
        assert!(worker.join().unwrap() || rings || !publishes, "no bell, and nobody saw the request");
    });
}
