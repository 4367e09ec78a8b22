//! Whoever breaks rules harms nobody else, and is named.

use std::time::Duration;

use speedysvc::{Code, Outcome};
use speedysvc_tests::harness::{is_root, wait_until};
use speedysvc_tests::hostile::ground::Ground;
use speedysvc_tests::hostile::link::hears;
use speedysvc_tests::test_service::TestServiceClient;

use crate::siege::{As, Fought, Siege};

/// What the log says of who breaks a rule, before it says which.
const LOST: &str = "broke the protocol and lost its link";

/// The same attack as the engine's own user and as another one, each on an engine of its own.
fn both(attack: &str, rounds: u64, check: impl Fn(&Siege, &Fought)) {
    for who in As::each() {
        let siege = Siege::begin("");
        let fought = siege.withstands(attack, who, rounds);
        check(&siege, &fought);
        siege.end();
    }
}

#[test]
fn requests_that_change_while_they_are_read() {
    both("scribble", 3000, |siege, fought| {
        assert!(fought.number("answers: ") >= 3000);
        assert!(fought.number("results: ") > 0, "{:?}", fought.lines);
        assert!(fought.number("flips: ") > 10_000, "{:?}", fought.lines);
        // Among what is changed are grants, to what cannot be one.
        assert!(fought.number("links lost: ") > 0, "{:?}", fought.lines);
        siege.said(&[&fought.name(), LOST, "is not inside the arena"]);
    });
}

#[test]
fn every_head_word_is_answered() {
    both("heads", 1 << 16, |_, fought| assert!(fought.number("answers: ") >= 1 << 16));
}

#[test]
fn every_broken_rule_costs_its_own_link() {
    both("lies", 1, |siege, fought| {
        let count = |word: &str| fought.lines.iter().filter(|line| line.starts_with(word)).count();
        assert_eq!((count("lost for "), count("answered ")), (10, 8), "{:#?}", fought.lines);
        for rule in ["went backwards or past its range", "is not inside the arena", "longer than its buffer"] {
            siege.said(&[&fought.name(), LOST, rule]);
        }
    });
}

#[test]
fn pages_that_are_dropped_while_they_are_read() {
    both("punch", 300, |siege, fought| {
        assert!(fought.number("answers: ") > 0, "{:?}", fought.lines);
        assert!(fought.number("links lost: ") > 0, "{:?}", fought.lines);
        // A number that was dropped reads as zero.
        siege.said(&[&fought.name(), LOST, "went backwards or past its range"]);
    });
}

#[test]
fn bodies_that_would_be_huge_if_they_were_believed() {
    both("huge", 5, |siege, fought| {
        assert!(fought.number("refused: ") >= 5 * 3 * 5, "{:?}", fought.lines);
        for worker in siege.engine.workers() {
            let status = std::fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
            let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
            assert!(kib < 256 << 10, "{kib} KiB at its peak, for bodies of 4 KiB");
        }
    });
}

#[test]
fn clients_that_do_not_greet() {
    both("mute", 200, |siege, fought| {
        assert_eq!(fought.number("hung up on: "), 160, "{:?}", fought.lines);
        siege.said(&[&fought.name(), "was refused", "this is no greeting"]);
    });
}

#[test]
fn descriptors_that_nobody_asked_for() {
    both("descriptors", 50, |siege, fought| {
        assert!(fought.number("descriptors sent: ") > 50 * 253, "{:?}", fought.lines);
        siege.said(&[&fought.name(), LOST, "after its greeting"]);
    });
}

/// With one worker and with two, where each tells the other of calls that wait while it runs a long one.
#[test]
fn bells_that_are_full_empty_or_blocking() {
    both("bells", 100, |_, fought| assert_eq!(fought.number("rounds: "), 100));
    for who in As::each() {
        let siege = Siege::begin("workers = 2");
        siege.withstands("bells", who, 100);
        siege.end();
    }
}

#[test]
fn bells_that_never_stop_ringing() {
    both("ring", 300_000, |_, _| {});
    for who in As::each() {
        goes_on_until("ring", who, "bells_muted", |siege, fought| {
            siege.said(&[&fought.name(), "rings without a call", "left out of the wait"]);
        });
    }
}

/// However often a worker stops listening to a link, and however many workers do: it is said once.
#[test]
fn who_rings_without_end_is_named_once_for_each_link() {
    let siege = Siege::begin("workers = 2");
    let mut process = siege.attack_until("began", "ring", As::Ourselves, &["--for-ms", "120000"]);
    wait_until("links that are muted again", || (siege.counter("bells_muted") >= 5).then_some(()));
    process.signal(rustix::process::Signal::KILL);
    process.wait();
    siege.is_as_before();
    let said = siege.engine.err().iter().filter(|line| line.contains("rings without a call")).count();
    assert_eq!(said, 2, "the attack has two links: {:#?}", siege.engine.err());
    siege.end();
}

/// Each of them is mapped and unmapped by every worker, so another user waits for its turn after so many.
#[test]
fn links_that_are_taken_and_left_without_end() {
    for who in As::each() {
        if who == As::Ourselves {
            let siege = Siege::begin("");
            assert_eq!(siege.withstands("attaches", who, 2000).number("attached: "), 2000);
            assert_eq!(siege.counter("clients_held_back"), 0);
            siege.end();
        } else {
            goes_on_until("attaches", who, "clients_held_back", |siege, fought| {
                siege.said(&[&fought.name(), "has to wait for its link", "attach too often"]);
                let goal = siege.counter("clients_attached") + 3;
                wait_until("turns that come", || (siege.counter("clients_attached") >= goal).then_some(()));
            });
        }
    }
}

/// Each costs the others more than one that is left, so its user waits sooner.
#[test]
fn links_that_are_lost_count_as_ten() {
    if !is_root() {
        eprintln!("without root nobody else can attach");
    }
    for who in As::each().into_iter().filter(|who| *who != As::Ourselves) {
        goes_on_until("descriptors", who, "clients_held_back", |siege, _| {
            let attached = siege.counter("clients_attached");
            assert!(attached < 512, "{attached} of 1,024 had come before one waited");
        });
    }
}

#[test]
fn connections_by_the_thousand() {
    both("connects", 5000, |_, fought| assert!(fought.number("connects: ") >= 5000));
}

/// More than there is room for: the longest waiting ones of the user that has most of them go, and the log says whose
/// they were. One that has waited longest of all goes first if it is of that user, and stays if it is another's.
#[test]
fn more_silent_clients_than_there_is_room_for() {
    const ROOM: usize = 1024;
    for who in As::each() {
        let siege = Siege::begin("");
        let before = Ground::new(&siege.socket(), 0, None).connect().unwrap();
        let is_theirs = who == As::Ourselves;
        let room = if is_theirs { ROOM } else { ROOM - 1 };
        let fought = siege.goes_through("silent", who, &["--rounds", "1700", "--step", &room.to_string()]);
        let first = 1700 - room as u64;
        let seen = ["first: ", "hung up on: ", "after them: "].map(|words| fought.number(words));
        assert_eq!(seen, [first, first, 0], "{:?}", fought.lines);
        assert_eq!(hears(&before, Duration::ZERO), is_theirs, "who waited longest, of all");
        drop(before);
        siege.said(&[&fought.name(), "was hung up on", "too many clients that do not greet"]);
        siege.is_as_before();
        siege.end();
    }
}

#[test]
fn slots_that_are_hoarded() {
    both("hoard", 30, |_, fought| assert_eq!((fought.number("links: "), fought.number("refused: ")), (30, 0)));
}

/// Who fetches nothing uses up the room of its own user, and of nobody else.
#[test]
fn replies_that_are_never_fetched() {
    for who in As::each() {
        let siege = Siege::begin("limits = { shm_message = \"1MiB\" }");
        let mut process = siege.attack_until("held: ", "unfetched", who, &["--for-ms", "120000"]);
        let held = Fought { pid: process.pid(), who, lines: process.out() }.number("held: ");
        assert!((3 << 20..=4 << 20).contains(&held), "{held} bytes, of at most 4 messages");
        let ours = TestServiceClient::connect(&siege.engine.address("test")).unwrap();
        let before = siege.counter("replies_held");
        let big = ours.big(100_001);
        if who == As::Ourselves {
            let error = big.expect_err("there is no room for this user");
            assert_eq!((error.code(), error.outcome()), (Code::ResourceExhausted, Outcome::Done), "{error}");
        } else {
            assert_eq!(big.unwrap().len(), 100_001);
            assert!(siege.counter("replies_held") > before, "the reply was to be fetched");
        }
        process.signal(rustix::process::Signal::KILL);
        process.wait();
        wait_until("room", || ours.big(100_001).ok());
        drop(ours);
        siege.is_as_before();
        siege.end();
    }
}

#[test]
fn links_of_another_user_are_limited() {
    if !is_root() {
        eprintln!("without root nobody else can attach");
        return;
    }
    let siege = Siege::begin("limits = { slots = 1 }");
    let fought = siege.withstands("hoard", As::Nobody, 1100);
    assert_eq!((fought.number("links: "), fought.number("refused: ")), (1024, 76));
    siege.said(&[&fought.name(), "was refused", "1024 links"]);
    siege.end();
}

#[test]
fn slots_that_are_always_busy() {
    both("flood", 20_000, |_, fought| {
        assert!(fought.number("answers: ") >= 20_000);
    });
    if is_root() {
        goes_on_until("flood", As::Nobody, "links_passed_over", |_, _| {});
    }
}

/// More links than a loop looks at, each with a call all the time: the neighbours' are among those it looks at.
#[test]
fn links_that_are_always_busy() {
    both("many", 20_000, |_, _| {});
    if is_root() {
        goes_on_until("many", As::Nobody, "links_displaced", |_, _| {});
    }
}

/// Calls that run long, in several slots at once: between two of them the loop waits for the neighbours.
#[test]
fn a_user_with_long_calls_leaves_time_for_others() {
    if is_root() {
        goes_on_until("bells", As::Nobody, "calls_put_off", |_, _| {});
    }
}

/// An attack that goes on until the service has counted what helps against it, and `check` has seen the rest.
fn goes_on_until(attack: &str, who: As, counter: &str, check: impl Fn(&Siege, &Fought)) {
    let siege = Siege::begin("");
    let mut process = siege.attack_until("began", attack, who, &["--for-ms", "120000"]);
    wait_until(counter, || (siege.counter(counter) > 0).then_some(()));
    siege.wait_for_progress();
    check(&siege, &Fought { pid: process.pid(), who, lines: process.out() });
    process.signal(rustix::process::Signal::KILL);
    process.wait();
    siege.is_as_before();
    siege.end();
}

/// What the others are compared with breaks no rule.
#[test]
fn what_attacks_are_compared_with() {
    both("spin", 30_000, |_, _| {});
    both("own-bells", 10_000, |_, _| {});
    let calls = |control, rounds| both(control, rounds, |siege, _| assert_eq!(siege.counter("clients_expelled"), 0));
    calls("long-calls", 50);
    calls("all-slots", 10_000);
    calls("one-slot", 1_000);
    both("text-calls", 300, |siege, fought| {
        assert_eq!((fought.number("results: "), siege.counter("clients_expelled")), (fought.number("answers: "), 0));
    });
}
