//! Clients that die leave nothing behind.

use rustix::process::Signal;
use speedysvc_tests::harness::{Process, let_pass, proc, wait_for};
use std::time::Duration;

use crate::identity::cannot_be_others;
use crate::siege::{As, NOBODY, Siege};

/// Stores of a short request, its number being the last; one more step is the bell.
const STORES: usize = 6;

#[test]
fn killed_between_any_two_stores_of_a_request() {
    let siege = Siege::begin("");
    for who in As::each() {
        for step in 0..=STORES + 1 {
            let mut client = siege.attack_until("ready after", "stall", who, &["--step", &step.to_string()]);
            assert!(client.out()[0].ends_with("of 6 stores"), "{:?}", client.out());
            siege.wait_for_progress();
            client.signal(Signal::KILL);
            assert_eq!(client.wait(), -9);
            siege.is_as_before();
        }
    }
    siege.end();
}

/// In a call, with a wake on its way, with every slot in use: at points of time that nobody chose.
#[test]
fn killed_while_waiting() {
    let siege = Siege::begin("workers = 2");
    for who in As::each() {
        for round in 0..6_u64 {
            for attack in ["asleep", "fill"] {
                let mut client = siege.attack_until("ready", attack, who, &[]);
                let_pass(Duration::from_millis(round * 7));
                client.signal(Signal::KILL);
                assert_eq!(client.wait(), -9);
            }
            siege.wait_for_progress();
        }
        siege.is_as_before();
    }
    siege.end();
}

#[test]
fn killed_in_the_middle_of_an_attack() {
    let siege = Siege::begin("");
    for who in As::each() {
        for attack in ["flood", "scribble", "hoard", "ring", "bells", "connects"] {
            let mut client = siege.attack_until("began", attack, who, &["--for-ms", "60000", "--rounds", "10"]);
            siege.wait_for_progress();
            client.signal(Signal::KILL);
            assert_eq!(client.wait(), -9);
        }
        siege.is_as_before();
    }
    siege.end();
}

#[test]
fn stopped_and_continued() {
    let siege = Siege::begin("");
    for who in As::each() {
        for attack in ["flood", "scribble"] {
            let mut client = siege.attack_until("began", attack, who, &["--rounds", "5000"]);
            client.signal(Signal::STOP);
            wait_for("the stop", || proc::is_stopped(client.pid()) || client.has_ended());
            siege.wait_for_progress();
            client.signal(Signal::CONT);
            assert_eq!(client.wait(), 0, "{:?}", client.err());
        }
        siege.is_as_before();
    }
    siege.end();
}

/// The client's process is what a link belongs to: not its socket, which a child may hold, nor who holds that.
#[test]
fn a_dead_client_whose_socket_lives_on_in_a_child() {
    let siege = Siege::begin("");
    for who in As::each() {
        let mut client = siege.attack_until("ready", "bequeath", who, &[]);
        siege.wait_for_progress();
        client.signal(Signal::KILL);
        assert_eq!(client.wait(), -9);
        // The child lives, and hears that the link is over.
        client.wait_for_line("hung up");
        siege.is_as_before();
    }
    siege.end();
}

/// Whoever holds a link's descriptors can call on it, as what it is counted for: the process that connected, and its
/// user. Another user's process has no more of it than that: not its life, nor its name in the log.
#[test]
fn a_link_that_was_given_to_another_user() {
    if cannot_be_others() {
        return;
    }
    // Nobody else may attach.
    let siege = Siege::with("program = \"test-service\"");
    for breaks_a_rule in [false, true] {
        let mut command = siege.open_to_all();
        command.args(["bequeath", "--heir", &NOBODY.to_string(), "--step", &u8::from(breaks_a_rule).to_string()]);
        command.arg("--socket").arg(siege.socket());
        let mut client = Process::start(command);
        client.wait_for_line(&format!("ready: called as user {NOBODY}"));
        siege.wait_for_progress();
        if breaks_a_rule {
            // The one that connected lives, and answers for it.
            client.wait_for_line("hung up");
            let who = format!("pid {} (user {})", client.pid(), rustix::process::geteuid().as_raw());
            siege.said(&[&who, "broke the protocol and lost its link", "went backwards"]);
        }
        client.signal(Signal::KILL);
        assert_eq!(client.wait(), -9);
        client.wait_for_line("hung up");
        siege.is_as_before();
    }
    siege.end();
}
