//! Rules left out on purpose: each of these must fail, or the models prove nothing.

use std::sync::Arc;

use loom::thread;

use super::calls::cancel_and_reuse;
use super::{Grant, Mode, Post, RequestHead, World, explore, incarnation, seq};
use crate::shm::claim::Request;
use crate::shm::seq::ClaimWord;
use crate::shm::slot::{GivenUp, store_bytes};
use crate::shm::sync::Ordering;

#[test]
#[should_panic(expected = "ran twice")]
fn a_claim_by_a_plain_store() {
    explore(None, || {
        let world = World::new();
        world.post(1);
        let workers = [1, 2].map(|me| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let claimed = ClaimWord::from_word(world.claim.load(Ordering::Acquire)).seq;
                let requested = world.request.seq.load(Ordering::Acquire);
                if requested > claimed.word() {
                    let mine = ClaimWord { seq: seq(requested), owner: Some(incarnation(me)) };
                    world.claim.store(mine.word(), Ordering::SeqCst);
                    world.run(seq(requested));
                }
            })
        });
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(world.runs(1), 1, "ran twice");
    });
}

/// A reply whose number is stored with `order`, before or after the fields.
fn reply_without_order(fields_first: bool, order: Ordering) {
    explore(None, move || {
        let world = World::new();
        world.post(1);
        let worker = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let _claimed = world.claim(1).expect("posted before the thread began");
                if fields_first {
                    store_bytes(&world.reply.inline, &[111]);
                }
                world.reply.seq.store(1, order);
                if !fields_first {
                    store_bytes(&world.reply.inline, &[111]);
                }
            }
        });
        world.toss();
        if world.caller().poll(seq(1)).is_some() {
            let mut body = [0];
            world.caller().read_inline(&mut body);
            assert_eq!(body[0], 111, "a reply's number came before its bytes");
        }
        worker.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "a reply's number came before its bytes")]
fn a_reply_published_relaxed() {
    reply_without_order(true, Ordering::Relaxed);
}

#[test]
#[should_panic(expected = "a reply's number came before its bytes")]
fn a_reply_numbered_before_it_is_written() {
    reply_without_order(false, Ordering::Release);
}

#[test]
#[should_panic(expected = "not started, and yet it ran")]
fn no_look_at_cancel_after_the_claim() {
    explore(None, || {
        let world = World::new();
        let worker = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let cancelled = world.request.cancel.load(Ordering::SeqCst) >= 1;
                if let Some(request) = world.claim(1).filter(|_| !cancelled) {
                    world.run(request.seq);
                }
            }
        });
        world.post(1);
        world.toss();
        let given_up = world.caller().give_up(seq(1));
        worker.join().unwrap();
        assert!(given_up == GivenUp::Claimed || world.runs(1) == 0, "not started, and yet it ran");
    });
}

#[test]
#[should_panic(expected = "not started, and yet it ran")]
fn no_fence_between_cancel_and_the_look_at_the_claim() {
    explore(None, || {
        let world = World::new();
        let worker = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                if let Some(request) = world.claim(1) {
                    world.answer(1, request);
                }
            }
        });
        world.post(1);
        world.request.cancel.store(1, Ordering::Relaxed);
        let not_started = world.caller().unclaimed(seq(1));
        worker.join().unwrap();
        assert!(!not_started || world.runs(1) == 0, "not started, and yet it ran");
    });
}

/// A claim whose pair is weaker than it is: the compare-and-swap, or the load of `cancel` behind it.
fn claim_weakly(world: &World, swap: Ordering, cancel: Ordering) -> Option<Request> {
    world.toss();
    let old = world.claim.load(Ordering::Acquire);
    let requested = world.request.seq.load(Ordering::Acquire);
    let claimed = ClaimWord::from_word(old).seq;
    if requested <= claimed.word() || world.reply.seq.load(Ordering::Acquire) != claimed.word() {
        return None;
    }
    let mine = ClaimWord { seq: seq(requested), owner: Some(incarnation(1)) };
    world.claim.compare_exchange(old, mine.word(), swap, Ordering::Relaxed).ok()?;
    let cancelled = world.request.cancel.load(cancel) >= requested;
    let mut request = world.taker().read(mine.seq);
    request.cancelled = cancelled;
    Some(request)
}

#[test]
fn the_claim_by_hand_is_as_good_as_the_real_one() {
    explore(None, || {
        cancel_and_reuse(&World::new(), |world, _| claim_weakly(world, Ordering::SeqCst, Ordering::SeqCst));
    });
}

#[test]
#[should_panic(expected = "not started, and yet it ran")]
fn a_claim_that_acquires_and_releases_only() {
    explore(None, || {
        cancel_and_reuse(&World::new(), |world, _| claim_weakly(world, Ordering::AcqRel, Ordering::SeqCst));
    });
}

#[test]
#[should_panic(expected = "not started, and yet it ran")]
fn a_cancel_that_is_only_acquired() {
    explore(None, || {
        cancel_and_reuse(&World::new(), |world, _| claim_weakly(world, Ordering::SeqCst, Ordering::Acquire));
    });
}

#[test]
#[should_panic(expected = "a verdict and an answer")]
fn a_verdict_before_the_death() {
    explore(None, || {
        let world = World::new();
        world.post(1);
        let a = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let request = world.claim(1).expect("posted before the thread began");
                world.answer(1, request);
            }
        });
        world.toss();
        let verdict = world.taker().resolve(incarnation(1));
        a.join().unwrap();
        assert!(verdict.is_none() || world.runs(1) == 0, "a verdict and an answer");
    });
}

#[test]
#[should_panic(expected = "sleeps for ever")]
fn a_look_after_the_search_for_replies() {
    super::waking::park_while_a_thread_falls_asleep(false);
}

#[test]
#[should_panic(expected = "sleeps for ever")]
fn no_fence_in_announce_sleep() {
    explore(None, || {
        let world = World::new();
        world.post(1);
        let worker = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let request = world.claim(1).expect("posted before the thread began");
                world.answer(1, request);
                world.taker().must_wake(seq(1))
            }
        });
        world.toss();
        world.request.sleep.store(seq(1).word() << 8 | 1, Ordering::Relaxed);
        let slept = world.reply.seq.load(Ordering::Acquire) != 1;
        assert!(worker.join().unwrap() || !slept, "sleeps for ever");
    });
}

#[test]
#[should_panic(expected = "sleeps for ever")]
fn no_fence_before_the_look_for_a_sleeper() {
    explore(None, || {
        let world = World::new();
        world.post(1);
        let worker = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let request = world.claim(1).expect("posted before the thread began");
                world.answer(1, request);
                world.request.sleep.load(Ordering::Relaxed) == (seq(1).word() << 8 | 1)
            }
        });
        world.toss();
        let slept = world.caller().announce_sleep(seq(1)).is_some();
        assert!(worker.join().unwrap() || !slept, "sleeps for ever");
    });
}

/// Loop 1 leaves without a fence before its second look, or without the look; or the client looks without its fence.
fn bell_without(worker_fence: bool, second_look: bool, client_fence: bool) {
    explore(None, move || {
        let world = World::polled_by_1();
        let worker = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                world.line(1).set(incarnation(1), Mode::Asleep);
                if worker_fence {
                    crate::shm::wake::before_second_look();
                }
                second_look && world.claim(1).is_some()
            }
        });
        world.post(1);
        let rings = if client_fence {
            world.poller().needs_bell(|n| world.line(n))
        } else {
            world.line(1).mode(1) != Mode::Scan
        };
        assert!(worker.join().unwrap() || rings, "nobody saw the request");
    });
}

#[test]
#[should_panic(expected = "nobody saw the request")]
fn no_second_look_after_saying_asleep() {
    bell_without(true, false, true);
}

#[test]
#[should_panic(expected = "nobody saw the request")]
fn no_fence_before_the_second_look() {
    bell_without(false, true, true);
}

#[test]
#[should_panic(expected = "nobody saw the request")]
fn no_fence_before_the_look_for_a_poller() {
    bell_without(true, true, false);
}

/// A client that does not wait for its reply makes an innocent loop panic, if another may claim its next call.
#[test]
#[should_panic(expected = "a claim of ours was changed by another")]
fn a_claim_without_a_look_at_the_last_reply() {
    explore(None, || {
        let world = World::new();
        let a = thread::spawn({
            let world = Arc::clone(&world);
            move || world.serve(1, 1)
        });
        let b = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                world.toss();
                let old = world.claim.load(Ordering::Acquire);
                if world.request.seq.load(Ordering::Acquire) == 2 {
                    let mine = ClaimWord { seq: seq(2), owner: Some(incarnation(2)) }.word();
                    let _won = world.claim.compare_exchange(old, mine, Ordering::SeqCst, Ordering::Relaxed);
                }
            }
        });
        world.post(1);
        let same_bytes = RequestHead { method: 7, codec: 1, fetch: false, traced: false, len: 1 };
        let post = Post { head: same_bytes, deadline_ns: 0, grant: Grant { offset: 0, capacity: 0 }, inline: &[] };
        world.caller().post(seq(2), &post);
        a.join().unwrap();
        b.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "no bell, and nobody saw the request")]
fn a_client_that_says_too_late_that_it_uses_all_slots() {
    use super::few::{Says, publish_in_a_higher_slot_while_a_loop_falls_asleep};
    publish_in_a_higher_slot_while_a_loop_falls_asleep(Says::AfterThat);
}

#[test]
#[should_panic(expected = "no bell, and nobody saw the request")]
fn a_loop_that_is_not_watched_over_and_takes_a_link_that_another_has_left() {
    super::woken::publish_while_a_loop_leaves_the_link_to_another(Mode::Scan);
}

#[test]
#[should_panic(expected = "no bell, and nobody saw the request")]
fn a_loop_that_has_only_woken_and_takes_a_link_from_another() {
    super::woken::publish_while_a_loop_comes_back(false);
}

#[test]
#[should_panic(expected = "no bell, and nobody saw the request")]
fn a_loop_that_is_not_watched_over_and_says_that_it_scans() {
    super::woken::publish_while_a_loop_wakes(Mode::Scan);
}

#[test]
#[should_panic(expected = "nobody saw the request, and nobody will look")]
fn a_watcher_that_rings_before_it_says_busy() {
    super::waking::watch_over_a_loop(false, true);
}

#[test]
#[should_panic(expected = "nobody saw the request, and nobody will look")]
fn a_watcher_without_a_fence() {
    super::waking::watch_over_a_loop(true, false);
}
