//! Whoever waits, for whatever, holds up nobody else.

use std::sync::Arc;
use std::sync::TryLockError;
use std::thread;

use speedysvc_protocol::status::Status;

use super::fake::{Broker, until};
use super::{LONG, MESSAGE_MAX, attached, bytes, call};
use crate::shm::ShmConnection;
use crate::shm::room::Lack;
use crate::test_calls::{start, wait};

/// How many stand in line for slots, and for memory; `None` while somebody has the lock that all of them need.
fn in_line(link: &ShmConnection) -> Option<(usize, usize)> {
    match link.room.0.try_lock() {
        Ok(mut room) => Some((room.line(Lack::Slots).len(), room.line(Lack::Memory).len())),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Poisoned(_)) => panic!("somebody panicked with the lock"),
    }
}

/// Four wait for replies, with all of the memory; two have slots and wait for memory; three wait for slots, one of them
/// a task. None of them has the lock that all of them need.
#[test]
fn no_lock_is_held_by_who_waits() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 6);
    let line = Arc::new(line);
    let link = line.first().expect("it was just attached");
    let (large, medium) = (bytes(usize::try_from(MESSAGE_MAX).unwrap()), bytes(70_000));
    thread::scope(|scope| {
        let caller = |body| {
            let line = &line;
            scope.spawn(move || call(line, body, LONG).unwrap())
        };
        let mut callers: Vec<_> = (0..4).map(|_| caller(&large[..])).collect();
        let taken: Vec<_> = (0..4).map(|_| worker.take()).collect();
        callers.extend((0..2).map(|_| caller(&medium[..])));
        until("two that wait for memory", || (in_line(link)? == (0, 2)).then_some(()));
        callers.extend((0..2).map(|_| caller(b"small")));
        let task = start(&line, b"small", LONG);
        until("three that wait for slots", || (in_line(link)? == (3, 2)).then_some(()));
        let sleeps = |slot: usize, seq| worker.link.slot(slot).says_it_sleeps(seq);
        until("four that sleep", || taken.iter().all(|call| sleeps(call.slot, call.request.seq)).then_some(()));
        // They look for their link ten times a second, with the lock, and for microseconds. One that was held while
        // somebody sleeps would be free in moments only.
        let free = (0..10_000).filter(|_| {
            thread::yield_now();
            in_line(link).is_some()
        });
        let free = free.count();
        assert!(free > 5_000, "the lock was free {free} times of 10,000");
        // So another one can begin, wait and give up.
        drop(start(&line, b"another", LONG));
        assert_eq!(until("the lock", || in_line(link)), (3, 2));

        taken.iter().for_each(|call| worker.answer(call, Status::Ok, b""));
        (0..5).for_each(|_| worker.answer(&worker.take(), Status::Ok, b""));
        callers.into_iter().for_each(|caller| drop(caller.join().unwrap()));
        wait(task).unwrap();
    });
    assert_eq!(in_line(link), Some((0, 0)));
}
