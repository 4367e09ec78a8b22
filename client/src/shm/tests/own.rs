//! Slots that threads keep between their calls.

use std::sync::Arc;

use super::*;
use crate::test_calls::{start, wait};

/// More than after which a thread looks for a slot of its own.
const MANY: usize = 1100;

pub(super) fn kept_after_many_calls(line: &Line) -> usize {
    (0..MANY).for_each(|_| assert_eq!(call(line, b"hi", LONG).unwrap(), b"hi"));
    line.first().unwrap().slots.kept()
}

fn free_slots(line: &Line) -> usize {
    let slots = &line.first().unwrap().slots;
    let free: Vec<usize> = std::iter::from_fn(|| slots.find()).collect();
    free.iter().for_each(|slot| assert!(!slots.give_back(*slot)));
    free.len()
}

#[test]
fn a_quarter_of_the_slots_is_kept_at_most_and_only_by_threads_that_live() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 8);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| worker.echo(&stop));
        assert_eq!((line.first().unwrap().slots.kept(), free_slots(&line)), (0, 8));
        assert_eq!((kept_after_many_calls(&line), free_slots(&line)), (1, 7));
        let other = scope.spawn(|| {
            assert_eq!((kept_after_many_calls(&line), free_slots(&line)), (2, 6));
            let third = scope.spawn(|| kept_after_many_calls(&line));
            assert_eq!(third.join().unwrap(), 2, "the third has none");
        });
        other.join().unwrap();
        until("the end of the thread", || (free_slots(&line) == 7).then_some(()));
        assert_eq!(kept_after_many_calls(&line), 1);
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_thread_takes_its_slot_along_to_the_link_that_it_calls() {
    let broker = Broker::new();
    let (one, one_worker) = attached(&broker, 4);
    let (two, two_worker) = attached(&broker, 4);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| one_worker.echo(&stop));
        scope.spawn(|| two_worker.echo(&stop));
        assert_eq!((kept_after_many_calls(&one), kept_after_many_calls(&two)), (1, 1));
        assert_eq!((one.first().unwrap().slots.kept(), free_slots(&one), free_slots(&two)), (0, 4, 3));
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_call_that_was_given_up_leaves_its_thread_without_a_slot_until_it_is_answered() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 4);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let echo = scope.spawn(|| worker.echo(&stop));
        assert_eq!((kept_after_many_calls(&line), free_slots(&line)), (1, 3));
        stop.store(true, Ordering::Relaxed);
        echo.join().unwrap();
        let taking = scope.spawn(|| worker.take());
        assert_eq!(call(&line, b"late", SHORT).unwrap_err().outcome(), Outcome::Unknown);
        let taken = taking.join().unwrap();
        assert_eq!((taken.slot, free_slots(&line)), (0, 3), "it was the thread's own");
        stop.store(false, Ordering::Relaxed);
        scope.spawn(|| worker.echo(&stop));
        assert_eq!(call(&line, b"hi", LONG).unwrap(), b"hi");
        worker.answer(&taken, Status::Ok, b"at last");
        line.first().unwrap().revive();
        assert_eq!(free_slots(&line), 3, "and is so again");
        assert_eq!(call(&line, b"hi", LONG).unwrap(), b"hi");
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_started_call_uses_the_slot_that_its_thread_keeps_and_the_next_one_too() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 8);
    let line = Arc::new(line);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| worker.echo(&stop));
        assert_eq!((kept_after_many_calls(&line), free_slots(&line)), (1, 7));
        let [first, second] = [b"1", b"2"].map(|body| start(&line, body, LONG));
        assert_eq!(free_slots(&line), 6, "one of the two is in the slot that was kept");
        assert_eq!(wait(second).unwrap(), b"2");
        assert_eq!(free_slots(&line), 6, "what has ended first leaves its slot to the thread");
        assert_eq!(wait(first).unwrap(), b"1");
        assert_eq!(free_slots(&line), 7, "and no thread keeps two");
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn nobody_keeps_a_slot_while_others_wait_for_one() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 4);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| worker.echo(&stop));
        assert_eq!((kept_after_many_calls(&line), free_slots(&line)), (1, 3));
        let slots = &line.first().unwrap().slots;
        slots.set_waiting(1);
        assert_eq!(call(&line, b"hi", LONG).unwrap(), b"hi");
        slots.set_waiting(0);
        assert_eq!(free_slots(&line), 4);
        assert_eq!(call(&line, b"hi", LONG).unwrap(), b"hi");
        assert_eq!(free_slots(&line), 3);
        stop.store(true, Ordering::Relaxed);
    });
}
