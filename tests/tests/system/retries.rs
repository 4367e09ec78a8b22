//! What a lost worker had begun is made again when its method is idempotent, and never else.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use speedysvc::{Code, Error, Outcome};
use speedysvc_tests::harness::{Engine, proc, wait_until};
use speedysvc_tests::test_service::{TestServiceClient, pattern};

use crate::fixture::{Gate, addresses, connect, file, soon};

type Call = fn(&TestServiceClient, &str) -> Result<u32, Error>;

/// The ways to make a call that may be run again.
const AGAIN: [Call; 2] =
    [|client, gate| client.hold_again(gate), |client, gate| client.start().hold_again(gate).wait()];
const NOTE: [Call; 2] =
    [|client, file| client.note_and_die(file), |client, file| client.start().note_and_die(file).wait()];
const NOTE_AGAIN: [Call; 2] =
    [|client, file| client.note_and_die_again(file), |client, file| client.start().note_and_die_again(file).wait()];

fn engine() -> Engine {
    Engine::start(&file("").replace("restart = {", "restart = { limit = \"none\","))
}

#[test]
fn a_call_that_a_killed_worker_had_begun_is_answered_by_the_next() {
    let engine = engine();
    for (place, address) in addresses(&engine).iter().enumerate() {
        for (way, call) in AGAIN.into_iter().enumerate() {
            let client = connect(address);
            let gate = Gate::new(&engine.home(), &format!("gate{place}{way}"));
            let path = gate.path();
            let held = thread::spawn(move || call(&client, &path));
            let dead = gate.wait_for(1)[0];
            proc::kill(dead);
            let next = gate.wait_for(2)[1];
            gate.open();
            assert_eq!(soon("the answer", || held.join().unwrap()).unwrap(), next, "{address}");
            assert_ne!(next, dead);
        }
    }
}

#[test]
fn a_call_without_the_promise_is_never_run_twice() {
    let engine = engine();
    for (place, address) in addresses(&engine).iter().enumerate() {
        for (way, (note, note_again)) in NOTE.into_iter().zip(NOTE_AGAIN).enumerate() {
            let client = connect(address);
            let path = engine.home().path().join(format!("notes{place}{way}"));
            let (text, runs) = (path.to_str().unwrap(), || fs::read_to_string(&path).unwrap().lines().count());
            let error = soon("bad news", || note(&client, text)).unwrap_err();
            assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown), "{error}");
            // The worker that comes has been asked for nothing.
            soon("a call after the death", || client.pid()).unwrap();
            assert_eq!((runs(), error.attempts()), (1, 1), "{address}");
            // That this would notice: a method that says what is not true runs twice.
            fs::remove_file(&path).unwrap();
            soon("an answer", || note_again(&client, text)).unwrap();
            assert_eq!(runs(), 2, "{address}");
        }
    }
}

/// Workers die at random moments, also between the announcement of a large reply and its delivery. No caller hears of
/// it, unless two of them die under the same call; and no reply is another's.
#[test]
fn callers_of_idempotent_methods_notice_no_deaths() {
    let engine = engine();
    for address in addresses(&engine) {
        let client = connect(&address);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let callers: Vec<_> = (0..3_usize)
                .map(|caller| {
                    let (client, over) = (client.clone(), &over);
                    scope.spawn(move || {
                        let mut calls = 0;
                        while !over.load(Ordering::Relaxed) || calls == 0 {
                            // Now short, now longer than the client expects.
                            let length = [10, 50_000 + caller, 3_000, 400_000][calls % 4];
                            let reply = match calls % 3 {
                                0 => client.start().big_again(length as u64).wait(),
                                _ => client.big_again(length as u64),
                            };
                            match reply {
                                Ok(reply) => assert!(reply == pattern(length)),
                                Err(error) => assert!(error.message().contains("two workers were lost"), "{error}"),
                            }
                            calls += 1;
                        }
                    })
                })
                .collect();
            let mut deaths = 0;
            while deaths < 12 && callers.iter().all(|caller| !caller.is_finished()) {
                // Only who has answered: a service that is never there can only fail.
                proc::kill(wait_until("a worker", || connect(&address).pid().ok()));
                deaths += 1;
            }
            over.store(true, Ordering::Relaxed);
            callers.into_iter().for_each(|caller| caller.join().unwrap());
        });
    }
}
