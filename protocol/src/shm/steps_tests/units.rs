//! One step at a time.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;

use super::{Lines, PLAIN, incarnation, seq};
use crate::byte_string;
use crate::shm::PeerFault;
use crate::shm::board::{BoardLine, Mode};
use crate::shm::claim::{Look, Request};
use crate::shm::layout::{Geometry, Grant, INLINE, RequestHead};
use crate::shm::seq::Seq;
use crate::shm::slot::GivenUp;
use crate::shm::wake::Poller;
use crate::status::{Code, Outcome, Status};

fn claim(lines: &Lines, me: u16) -> Option<Request> {
    claim_while(lines, me, |_| true)
}

fn claim_while(lines: &Lines, me: u16, alive: impl Fn(u16) -> bool) -> Option<Request> {
    match lines.taker().claim(incarnation(me), alive) {
        Look::Taken(request) => Some(request),
        Look::Nothing | Look::Left(_) => None,
        Look::Broken(fault) => panic!("{fault}"),
    }
}

#[test]
fn inline_bytes_of_every_length_cross_both_ways() {
    let lines = Lines::default();
    for (call, len) in (1..).zip((0..=INLINE).chain((0..=INLINE).rev())) {
        let bytes: Vec<u8> = (0..len).map(|i| u8::try_from(call + i).unwrap()).collect();
        let call = call as u64;
        let wire_len = u32::try_from(len).unwrap();
        lines.post(call, RequestHead { len: wire_len, ..PLAIN }, &bytes);
        let request = claim(&lines, 1).unwrap();
        assert_eq!((request.seq, request.head.len, request.deadline_ns), (seq(call), wire_len, 5));
        let mut there = vec![0; len];
        lines.taker().read_inline(&mut there);
        assert_eq!(there, bytes);
        there.reverse();
        lines.taker().publish(incarnation(1), request.seq, Status::Application, wire_len, &there);
        let reply = lines.caller().poll(seq(call)).unwrap();
        assert_eq!((reply.status, reply.len, reply.owner), (Status::Application, wire_len, 1));
        let mut back = vec![0; len];
        lines.caller().read_inline(&mut back);
        assert_eq!(back, there);
    }
}

#[test]
fn a_byte_string_is_taken_from_its_line_as_it_would_be_from_a_copy() {
    let lines = Lines::default();
    let mut call = 0;
    for len in 0..=INLINE {
        for (at, change) in (0..len).flat_map(|at| [0, 1, 4, 0xFF].map(|change| (at, change))) {
            let mut archive: Vec<u8> = (0..len).map(|place| u8::try_from(place).unwrap()).collect();
            if let Some((body, root)) = archive.split_last_chunk_mut::<{ byte_string::ROOT }>() {
                let (pointer, bytes) = (body.len(), body.len().saturating_sub(call % 4));
                let word = u64::from((-i32::try_from(pointer).unwrap()).cast_unsigned()) | (bytes as u64) << 32;
                *root = word.to_le_bytes();
            }
            archive[at] = archive[at].wrapping_add(change);
            call += 1;
            lines.post(call as u64, PLAIN, &[]);
            let request = claim(&lines, 1).unwrap();
            lines.taker().publish(incarnation(1), request.seq, Status::Ok, u32::try_from(len).unwrap(), &archive);
            let copied = byte_string::slice(&archive);
            let taken = lines.caller().inline_byte_string(len);
            // One that does not begin at the beginning is left to others: nobody writes such a one.
            let begins = copied.is_some_and(|bytes| std::ptr::eq(bytes.as_ptr(), archive.as_ptr()));
            assert_eq!(taken.as_deref(), copied.filter(|_| begins), "{archive:?}");
        }
    }
    assert!(call > 1_000);
}

#[test]
fn a_call_is_claimed_once_and_the_next_after_its_reply() {
    let lines = Lines::default();
    assert!(claim(&lines, 1).is_none());
    lines.post(1, PLAIN, &[]);
    assert!(lines.caller().unclaimed(seq(1)));
    let request = claim(&lines, 1).unwrap();
    assert!(!lines.caller().unclaimed(seq(1)) && !request.cancelled);
    assert!(claim(&lines, 1).is_none() && claim(&lines, 2).is_none());
    // A client that does not wait for its reply makes only itself wait.
    lines.post(2, PLAIN, &[]);
    assert!(claim(&lines, 2).is_none());
    lines.taker().publish(incarnation(1), seq(1), Status::Ok, 0, &[]);
    assert_eq!(claim(&lines, 2).unwrap().seq, seq(2));
    assert_eq!(lines.caller().poll(seq(2)), None);
}

#[test]
fn a_fetch_is_left_to_its_loop_while_that_lives() {
    let lines = Lines::default();
    let fetch = RequestHead { method: 3, fetch: true, ..PLAIN };
    lines.post(1, fetch, &[]);
    assert!(claim_while(&lines, 1, |number| number == 3).is_none());
    assert!(lines.caller().unclaimed(seq(1)));
    assert_eq!(claim(&lines, 3).unwrap().head, fetch);
    lines.taker().publish(incarnation(3), seq(1), Status::Ok, 0, &[]);
    lines.post(2, fetch, &[]);
    assert_eq!(claim_while(&lines, 1, |number| number != 3).unwrap().head, fetch);
}

#[test]
fn giving_up_before_the_claim_is_final_and_after_it_is_not() {
    let lines = Lines::default();
    lines.post(1, PLAIN, &[]);
    assert_eq!(lines.caller().give_up(seq(1)), GivenUp::NotStarted);
    lines.post(2, PLAIN, &[]);
    // The cancel of call 1 is not one of call 2.
    let request = claim(&lines, 1).unwrap();
    assert!(request.seq == seq(2) && !request.cancelled);
    assert_eq!(lines.caller().give_up(seq(2)), GivenUp::Claimed);
    lines.taker().publish(incarnation(1), seq(2), Status::Ok, 0, &[]);
    lines.post(3, PLAIN, &[]);
    assert_eq!(lines.caller().give_up(seq(3)), GivenUp::NotStarted);
    assert!(claim(&lines, 1).unwrap().cancelled);
}

#[test]
fn numbers_that_go_backwards_or_too_far_are_a_broken_rule() {
    let lines = Lines::default();
    lines.post(5, PLAIN, &[]);
    claim(&lines, 1).unwrap();
    let before = lines.claim.load(Relaxed);
    for bad in [0, 4, Seq::MAX.word() + 1, Seq::MAX.word() + 6, u64::MAX] {
        // Both while the call runs and after its reply.
        for answered in [0, 5] {
            lines.reply.seq.store(answered, Relaxed);
            lines.request.seq.store(bad, Relaxed);
            let look = lines.taker().claim(incarnation(2), |_| true);
            assert!(matches!(look, Look::Broken(PeerFault::Sequence)), "{bad}: {look:?}");
        }
    }
    assert_eq!(lines.claim.load(Relaxed), before, "nothing was claimed");
    lines.request.seq.store(Seq::MAX.word(), Relaxed);
    assert_eq!(claim(&lines, 2).unwrap().seq, Seq::MAX);
}

#[test]
fn a_granted_buffer_must_be_inside_the_arena_and_hold_the_request() {
    let geometry = Geometry::new(1, 4096).unwrap();
    let lines = Lines::default();
    let inline = u32::try_from(INLINE).unwrap();
    let granted = |call, len, word: u64| {
        lines.post(call, RequestHead { len, ..PLAIN }, &[]);
        lines.request.grant.store(word, Relaxed);
        let grant = claim(&lines, 1).unwrap().grant(geometry);
        lines.taker().publish(incarnation(1), seq(call), Status::Ok, 0, &[]);
        grant
    };
    let grant = Grant { offset: 64, capacity: 128 };
    assert_eq!(granted(1, 128, grant.word()), Ok(grant));
    assert_eq!(granted(2, 129, grant.word()), Err(PeerFault::Length { len: 129, capacity: 128 }));
    assert_eq!(granted(3, u32::MAX, grant.word()), Err(PeerFault::Length { len: u32::MAX, capacity: 128 }));
    assert!(matches!(granted(4, 1, u64::MAX), Err(PeerFault::Grant { arena: 8192, .. })));
    let beyond = Grant { offset: geometry.arena() - 64, capacity: 128 };
    assert!(matches!(granted(5, 1, beyond.word()), Err(PeerFault::Grant { .. })));
    // A short request lies in the line and needs no buffer.
    assert_eq!(granted(6, inline, 0), Ok(Grant { offset: 0, capacity: 0 }));
    assert_eq!(granted(7, inline + 1, 0), Err(PeerFault::Length { len: inline + 1, capacity: 0 }));
}

#[test]
#[should_panic(expected = "a claim of ours was changed by another")]
fn a_reply_to_anothers_claim_is_a_panic() {
    let lines = Lines::default();
    lines.post(1, PLAIN, &[]);
    claim(&lines, 1).unwrap();
    lines.taker().publish(incarnation(2), seq(1), Status::Ok, 0, &[]);
}

#[test]
#[should_panic(expected = "a claim of ours was changed by another")]
fn a_reply_to_an_older_claim_is_a_panic() {
    let lines = Lines::default();
    lines.post(1, PLAIN, &[]);
    claim(&lines, 1).unwrap();
    lines.taker().publish(incarnation(1), seq(1), Status::Ok, 0, &[]);
    lines.post(2, PLAIN, &[]);
    claim(&lines, 1).unwrap();
    lines.taker().publish(incarnation(1), seq(1), Status::Ok, 0, &[]);
}

#[test]
fn a_verdict_falls_once_and_only_on_the_dead() {
    let lines = Lines::default();
    assert_eq!(lines.taker().resolve(incarnation(1)), None, "nothing was claimed");
    lines.post(1, PLAIN, &[]);
    assert_eq!(lines.taker().resolve(incarnation(1)), None, "nobody has the call");
    claim(&lines, 1).unwrap();
    assert_eq!(lines.taker().resolve(incarnation(2)), None, "another has the call");
    // The end came in the middle of publishing.
    lines.reply.head.store(u64::MAX, Relaxed);
    assert_eq!(lines.taker().resolve(incarnation(1)), Some(seq(1)));
    assert_eq!(lines.taker().resolve(incarnation(1)), None, "told already");
    let reply = lines.caller().poll(seq(1)).unwrap();
    assert_eq!(reply.status, Status::Failed(Code::Unavailable, Outcome::Unknown));
    assert_eq!((reply.len, reply.owner), (0, 1));
    lines.post(2, PLAIN, &[]);
    claim(&lines, 2).unwrap();
    lines.taker().publish(incarnation(2), seq(2), Status::Ok, 0, &[]);
    assert_eq!(lines.taker().resolve(incarnation(2)), None, "the dead loop had answered");
}

#[test]
fn a_client_is_woken_only_for_the_call_it_sleeps_for() {
    let lines = Lines::default();
    lines.post(1, PLAIN, &[]);
    claim(&lines, 1).unwrap();
    assert!(!lines.taker().must_wake(seq(1)), "it spins");
    assert_eq!(lines.caller().announce_sleep(seq(1)).unwrap().0, 0);
    assert!(lines.taker().must_wake(seq(1)));
    lines.taker().publish(incarnation(1), seq(1), Status::Ok, 0, &[]);
    assert!(lines.caller().announce_sleep(seq(1)).is_none(), "the reply is there");
    assert!(!lines.taker().must_wake(seq(2)));
    // The largest number keeps its upper bits beside the kind of sleep.
    lines.post(Seq::MAX.word(), PLAIN, &[]);
    assert_eq!(lines.caller().announce_sleep(Seq::MAX).unwrap().0, 1);
    assert!(lines.taker().must_wake(Seq::MAX) && !lines.taker().must_wake(seq(1)));
}

#[test]
fn a_bell_is_needed_unless_the_poller_scans() {
    let word = AtomicU64::default();
    let board: [BoardLine; 2] = Default::default();
    let poller = Poller(&word);
    let line = |number: u16| &board[usize::from(number) % 2];
    assert!(poller.needs_bell(line) && poller.may_wake(line), "nobody polls");
    assert!(poller.adopt(incarnation(1), line) && poller.is(incarnation(1)));
    for mode in [Mode::Scan, Mode::Woken, Mode::Busy, Mode::Asleep, Mode::Gone] {
        line(1).set(incarnation(1), mode);
        assert_eq!(poller.needs_bell(line), mode != Mode::Scan, "{mode:?}");
        assert_eq!(poller.may_wake(line), mode == Mode::Woken, "{mode:?}");
    }
    // The line belongs to a later loop by now: the one that the word names is gone.
    line(1).set(incarnation(3), Mode::Scan);
    assert!(poller.needs_bell(line));
    // Not a loop's number at all.
    word.store(1 << 16 | 1, Relaxed);
    assert!(poller.needs_bell(line) && !poller.is(incarnation(1)));
}

#[test]
fn a_link_is_taken_from_whoever_does_not_look() {
    let word = AtomicU64::default();
    let board: [BoardLine; 3] = Default::default();
    let poller = Poller(&word);
    let line = |number: u16| &board[usize::from(number)];
    for mode in [Mode::Scan, Mode::Woken] {
        line(1).set(incarnation(1), mode);
        assert!(poller.adopt(incarnation(1), line) && poller.adopt(incarnation(1), line));
        assert!(!poller.adopt(incarnation(2), line), "a loop that looks keeps its link");
        assert_eq!(poller.is_polled(line), mode == Mode::Scan, "others look after one that has only woken");
    }
    for mode in [Mode::Busy, Mode::Asleep, Mode::Gone] {
        line(1).set(incarnation(1), mode);
        assert!(poller.adopt(incarnation(2), line), "{mode:?}");
        assert!(poller.is(incarnation(2)) && !poller.is(incarnation(1)));
        poller.leave(incarnation(1)); // too late, and no harm
        assert!(poller.is(incarnation(2)));
        line(2).set(incarnation(2), Mode::Asleep);
        assert!(poller.adopt(incarnation(1), line));
    }
    line(1).set(incarnation(1), Mode::Gone);
    assert!(!poller.adopt_free(incarnation(2)) && poller.adopt_free(incarnation(1)), "it is not free, not even so");
    poller.leave(incarnation(1));
    assert!(!poller.is(incarnation(1)) && poller.needs_bell(line));
    assert!(poller.adopt_free(incarnation(2)) && poller.is(incarnation(2)));
}

/// Loom cannot show this: it lets another's store come between an exchange's look and its store.
#[test]
fn who_prepares_for_the_next_reply_changes_nothing_that_another_says() {
    let (lines, has_begun) = (Lines::default(), AtomicBool::new(false));
    let answer_all = || {
        while !has_begun.load(Relaxed) {
            thread::yield_now();
        }
        for call in 1..=u16::MAX {
            let me = call % 7 + 1;
            lines.post(call.into(), PLAIN, &[]);
            let request = claim(&lines, me).unwrap();
            lines.taker().publish(incarnation(me), request.seq, Status::Ok, 0, &[]);
            let reply = lines.caller().poll(seq(call.into())).unwrap();
            assert_eq!(reply.owner, me, "who answered call {call}");
        }
    };
    thread::scope(|scope| {
        let answers = scope.spawn(answer_all);
        while !answers.is_finished() {
            lines.taker().prepare_for_next();
            has_begun.store(true, Relaxed);
        }
        answers.join().unwrap();
    });
}
