//! A worker's death costs the calls that it had begun, and nothing else.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use speedysvc::{Code, Error, Outcome};
use speedysvc_tests::harness::{Engine, Process, let_pass, proc, wait_until};
use speedysvc_tests::test_service::TestServiceClient;

use crate::fixture::{Gate, addresses, connect, engine, file, soon};

#[track_caller]
fn died_under(error: &Error) {
    assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown), "{error}");
}

/// A call that is made when a worker has just died must succeed without help. Over TCP the client hears of the death
/// only by trying, so one more call may be told that its fate is unknown.
fn works_again(client: &TestServiceClient) -> u32 {
    soon("a call after the death", || client.pid()).unwrap()
}

#[test]
fn the_caller_hears_of_the_death_and_goes_on() {
    for workers in [1, 2] {
        let engine = engine(&format!("workers = {workers}"));
        for (address, name) in addresses(&engine).iter().zip(["a", "b"]) {
            let client = connect(address);
            let gate = Gate::new(&engine.home(), name);
            let held = gate.hold(&client);
            let dead = gate.wait_for(1)[0];
            let before = engine.workers();
            soon("bad news", || {
                proc::kill(dead);
                died_under(&held.end().unwrap_err());
            });
            assert_ne!(works_again(&client), dead, "{address}, {workers} workers");
            // The others stay, and there is a new one.
            engine.wait_for_workers(1, &before);
            wait_until("all workers", || (engine.workers().len() == workers).then_some(()));
            let stayed = engine.workers().iter().filter(|pid| before.contains(pid)).count();
            assert_eq!(stayed, workers - 1);
        }
    }
}

#[test]
fn a_crash_in_a_handler_is_a_death_like_any_other() {
    let engine = engine("");
    for address in addresses(&engine) {
        let client = connect(&address);
        let before = works_again(&client);
        died_under(&soon("bad news", || client.die().unwrap_err()));
        assert_ne!(works_again(&client), before);
    }
    let line =
        |engine: &Engine| engine.err().into_iter().find(|line| line.contains("SIGABRT") && line.contains("`die`"));
    let line = wait_until("the obituary", || line(&engine));
    assert!(line.contains("unknown") || line.contains("restarting"), "{line}");
}

#[test]
fn calls_that_had_not_begun_are_taken_by_the_next_worker() {
    let engine = engine("");
    let client = connect(&engine.address("test"));
    let gate = Gate::new(&engine.home(), "gate");
    let held = gate.hold(&client);
    let dead = gate.wait_for(1)[0];
    let queued: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            thread::spawn(move || client.pid())
        })
        .collect();
    // Most of them are in their slots by then; one that comes later finds the new worker, too.
    let_pass(Duration::from_millis(200));
    assert!(queued.iter().all(|call| !call.is_finished()), "the only loop is held");
    soon("everything", || {
        proc::kill(dead);
        died_under(&held.end().unwrap_err());
        for call in queued {
            assert_ne!(call.join().unwrap().unwrap(), dead);
        }
    });
}

#[test]
fn calls_that_had_not_begun_are_taken_by_another_worker() {
    let engine = engine("workers = 2");
    let client = connect(&engine.address("test"));
    let gate = Gate::new(&engine.home(), "gate");
    let held = [gate.hold(&client), gate.hold(&client)];
    let pids = gate.wait_for(2);
    assert_ne!(pids[0], pids[1], "both workers are held");
    let queued: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            thread::spawn(move || client.echo("hi"))
        })
        .collect();
    let_pass(Duration::from_millis(200));
    proc::kill(pids[0]);
    for call in queued {
        assert_eq!(call.join().unwrap().unwrap(), "hi");
    }
    gate.open();
    let ends = held.map(super::fixture::Held::end);
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1, "{ends:?}");
    ends.iter().filter_map(|end| end.as_ref().err()).for_each(died_under);
}

/// Many deaths, because each is a race: a connection may be on its way to the worker that dies.
#[test]
fn clients_new_and_old_find_the_worker_that_comes() {
    let engine = Engine::start(&file("").replace("restart = {", "restart = { limit = \"none\","));
    for address in addresses(&engine) {
        let old = connect(&address);
        for _ in 0..20 {
            let dead = again_and_again(&old);
            proc::kill(dead);
            assert_ne!(works_again(&connect(&address)), dead, "{address}");
        }
    }
}

/// What was sent to a worker that died is unknown. Nothing else may happen to a client.
fn again_and_again(client: &TestServiceClient) -> u32 {
    wait_until("an answer", || {
        let answer = soon("an answer", || client.pid());
        answer.map_err(|error| died_under(&error)).ok()
    })
}

#[test]
fn a_panic_costs_its_own_call_only() {
    let engine = engine("");
    for address in addresses(&engine) {
        let client = connect(&address);
        let before = works_again(&client);
        let error = client.panic("out of cheese").unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::Internal, Outcome::Done), "{error}");
        assert!(error.message().contains("out of cheese"), "{error}");
        assert_eq!(works_again(&client), before);
    }
}

/// SIGTERM to a worker, as an administrator might send it: it finishes, and another takes its place.
#[test]
fn a_worker_that_is_asked_to_end_loses_no_call() {
    for workers in [1, 2] {
        let engine = engine(&format!("workers = {workers}"));
        for address in addresses(&engine) {
            let client = connect(&address);
            let leaving = works_again(&client);
            thread::scope(|scope| {
                let callers: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            // On and on, until somebody else has answered for a while.
                            let mut others = 0;
                            while others < 50 {
                                others += u32::from(client.pid().unwrap() != leaving);
                            }
                        })
                    })
                    .collect();
                wait_until("some calls", || client.pid().is_ok().then_some(()));
                proc::signal(leaving, Signal::TERM);
                callers.into_iter().for_each(|caller| caller.join().unwrap());
            });
            wait_until("its end", || (!engine.workers().contains(&leaving)).then_some(()));
        }
    }
}

#[test]
fn a_stopped_worker_holds_up_no_call_on_a_link() {
    let engine = engine("workers = 2");
    let client = connect(&engine.address("test"));
    assert_eq!(client.echo("hi").unwrap(), "hi");
    // Nothing is under way, so nobody holds a call.
    let_pass(Duration::from_millis(50));
    for stopped in engine.workers() {
        proc::signal(stopped, Signal::STOP);
        wait_until("the stop", || proc::is_stopped(stopped).then_some(()));
        for _ in 0..20 {
            assert_ne!(soon("a call", || client.pid()).unwrap(), stopped);
        }
        assert_eq!(soon("a new client's call", || connect(&engine.address("test")).echo("hi")).unwrap(), "hi");
        proc::signal(stopped, Signal::CONT);
        wait_until("it to go on", || (!proc::is_stopped(stopped)).then_some(()));
    }
}

#[test]
fn a_client_that_is_killed_in_a_call_disturbs_nobody() {
    let engine = engine("");
    for (address, name) in addresses(&engine).iter().zip(["a", "b"]) {
        let client = connect(address);
        let worker = works_again(&client);
        let gate = engine.home().path().join(name);
        let mut killed = engine.home().command("speedysvc-engine");
        killed.args(["call", address, "hold"]).arg(format!("\"{}\"", gate.display()));
        let mut killed = Process::start(killed);
        let gate = Gate::new(&engine.home(), name);
        gate.wait_for(1);
        killed.signal(Signal::KILL);
        assert_eq!(killed.wait(), -9);
        gate.open();
        assert_eq!(works_again(&client), worker);
        assert_eq!(works_again(&connect(address)), worker);
    }
}
