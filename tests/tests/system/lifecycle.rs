//! Engines start, stop and die without leaving anything behind.

use std::time::Duration;
use std::{fs, thread};

use speedysvc::{Error, Outcome, untyped};
use speedysvc_tests::harness::{Engine, Home, let_pass, proc, wait_for};
use speedysvc_tests::test_service::TestServiceClient;

use crate::fixture::{Gate, addresses, connect, engine, file, soon};

/// Nothing of an engine is left: no process, no file, no folder, no shared memory with a name.
#[track_caller]
fn nothing_is_left(home: &Home) {
    nothing_but_folders_is_left(home);
    assert!(!home.run_dir().exists());
}

/// As above, after an engine that found the folders of a killed one: it removes only what it made.
#[track_caller]
fn nothing_but_folders_is_left(home: &Home) {
    assert_eq!(home.processes(), [0; 0]);
    let files = fs::read_dir(home.run_dir().join("default")).into_iter().flatten();
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert!(files.is_empty(), "{files:?}");
    let shared = fs::read_dir("/dev/shm").into_iter().flatten().map(|file| file.unwrap().file_name());
    let ours: Vec<_> = shared.filter(|name| name.to_string_lossy().contains("speedysvc")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}

fn says(engine: &Engine, text: &str) {
    wait_for(text, || engine.err().iter().any(|line| line.contains(text)));
}

#[test]
fn both_signals_end_an_engine_and_leave_nothing() {
    for stop in [Engine::terminate, Engine::interrupt] {
        let mut engine = engine("workers = 2");
        let clients = addresses(&engine).map(|address| connect(&address));
        for client in &clients {
            assert_eq!(client.echo("hi").unwrap(), "hi");
        }
        soon("the end", || {
            stop(&mut engine);
            assert_eq!(engine.wait(), 0, "{:#?}", engine.err());
        });
        nothing_is_left(&engine.home());
        for client in &clients {
            let error = soon("a call to nobody", || client.echo("hi").unwrap_err());
            assert_eq!(error.code(), speedysvc::Code::Unavailable, "{error}");
        }
    }
}

#[test]
fn calls_under_way_end_well_when_the_engine_stops() {
    let mut engine = engine("workers = 2\ndrain = \"60s\"");
    let home = engine.home();
    let gate = Gate::new(&home, "gate");
    // TCP first: any worker takes the other call, but a connection stays with its worker.
    let [shm, tcp] = addresses(&engine);
    let over_tcp = gate.hold(&connect(&tcp));
    gate.wait_for(1);
    let over_shm = gate.hold(&connect(&shm));
    gate.wait_for(2);
    engine.terminate();
    says(&engine, "stopping");
    gate.open();
    over_tcp.end().unwrap();
    over_shm.end().unwrap();
    assert_eq!(engine.wait(), 0, "{:#?}", engine.err());
    nothing_is_left(&home);
}

#[test]
fn a_call_of_half_a_second_survives_the_stop() {
    for index in 0..2 {
        let mut engine = engine("drain = \"60s\"");
        let client = connect(&addresses(&engine)[index]);
        let gate = Gate::new(&engine.home(), "gate");
        let held = gate.hold(&client);
        gate.wait_for(1);
        engine.terminate();
        let_pass(Duration::from_millis(500));
        gate.open();
        held.end().unwrap();
        assert_eq!(engine.wait(), 0, "{:#?}", engine.err());
        nothing_is_left(&engine.home());
    }
}

/// Whatever waits behind a held call when the engine stops is either answered or said not to have started.
#[test]
fn calls_in_the_queue_of_a_stopping_engine_are_never_unknown() {
    for index in 0..2 {
        let mut engine = engine("drain = \"60s\"");
        let client = connect(&addresses(&engine)[index]);
        let gate = Gate::new(&engine.home(), "gate");
        let held = gate.hold(&client);
        gate.wait_for(1);
        let queued: Vec<_> = (0..6).map(|_| spawn_echo(&client)).collect();
        let_pass(Duration::from_millis(100));
        engine.terminate();
        says(&engine, "stopping");
        let late: Vec<_> = (0..6).map(|_| spawn_echo(&client)).collect();
        let_pass(Duration::from_millis(100));
        gate.open();
        held.end().unwrap();
        for call in queued.into_iter().chain(late) {
            match soon("an answer", || call.join().unwrap()) {
                Ok(text) => assert_eq!(text, "hi"),
                Err(error) => assert_eq!(error.outcome(), Outcome::NotStarted, "{error}"),
            }
        }
        assert_eq!(engine.wait(), 0, "{:#?}", engine.err());
    }
}

fn spawn_echo(client: &TestServiceClient) -> thread::JoinHandle<Result<String, Error>> {
    let client = client.clone();
    thread::spawn(move || client.echo("hi"))
}

#[test]
fn the_second_interrupt_kills_at_once() {
    let mut engine = engine("drain = \"10m\"");
    let gate = Gate::new(&engine.home(), "gate");
    let held = gate.hold(&connect(&engine.address("test")));
    gate.wait_for(1);
    engine.interrupt();
    says(&engine, "stopping");
    // Two signals that come together are one.
    let_pass(Duration::from_millis(600));
    soon("the end", || {
        engine.interrupt();
        assert_eq!(engine.wait(), 0, "{:#?}", engine.err());
    });
    nothing_is_left(&engine.home());
    let error = held.end().unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
}

#[test]
fn a_drain_that_takes_too_long_ends_with_a_kill() {
    let mut engine = engine("drain = \"200ms\"");
    let gate = Gate::new(&engine.home(), "gate");
    let held = gate.hold(&connect(&engine.address("test")));
    gate.wait_for(1);
    soon("the end", || assert_eq!(engine.stop(), 0, "{:#?}", engine.err()));
    nothing_is_left(&engine.home());
    held.end().unwrap_err();
}

#[test]
fn workers_end_when_their_supervisor_is_killed() {
    let mut engine = engine("workers = 3\norphan = \"0\"");
    let client = connect(&engine.address("test"));
    assert_eq!(client.echo("hi").unwrap(), "hi");
    engine.kill9();
    engine.wait_for_no_worker();
    // What a kill leaves is no obstacle to the next.
    let mut next = soon("the next start", || engine.home().start());
    assert_eq!(client.echo("hi").unwrap(), "hi");
    assert_eq!(next.stop(), 0);
    nothing_but_folders_is_left(&next.home());
}

/// A worker in a handler cannot hear that its supervisor is gone; the next engine starts nevertheless.
#[test]
fn a_new_engine_does_not_wait_for_the_workers_of_a_killed_one() {
    let home = Home::new(&file("").replace("listen = [\"tcp://127.0.0.1:0\"]", ""));
    let mut engine = home.start();
    let gate = Gate::new(&home, "gate");
    let held = gate.hold(&connect(&engine.address("test")));
    let old = gate.wait_for(1);
    engine.kill9();
    let mut next = soon("the next start", || home.start());
    let client = connect(&next.address("test"));
    assert_ne!(client.pid().unwrap(), old[0]);
    gate.open();
    wait_for("the old worker's end", || !home.processes().contains(&old[0]));
    drop(held.end());
    assert_eq!(next.stop(), 0);
    nothing_but_folders_is_left(&home);
}

#[test]
fn one_run_folder_has_one_engine() {
    let first = engine("");
    let mut second = first.home().start_unready();
    assert_eq!(second.wait(), 69, "{:#?}", second.err());
    let said = |text: &str| second.err().iter().any(|line| line.contains(text));
    wait_for("the second engine's complaint", || said("already runs") && said(&first.pid().to_string()));
    // Nobody was disturbed.
    for address in addresses(&first) {
        assert_eq!(connect(&address).echo("hi").unwrap(), "hi");
    }
}

#[test]
fn namespaces_share_a_run_folder() {
    let mut first = engine("");
    let home = first.home();
    let other = fs::read_to_string(home.config()).unwrap();
    fs::write(home.config(), format!("namespace = \"other\"\n{other}")).unwrap();
    let mut second = home.start();
    let address = second.address("test").replace("/default/", "/other/");
    let [one, two] = [first.address("test"), address].map(|address| connect(&address).pid().unwrap());
    assert_ne!(one, two);
    assert_eq!((first.stop(), connect_other(&second)), (0, two));
    assert_eq!(second.stop(), 0);
    // Who made the run folder could not remove it: the other still used it.
    nothing_but_folders_is_left(&home);
    assert!(!home.run_dir().join("other").exists());
}

fn connect_other(engine: &Engine) -> u32 {
    connect(&engine.address("test").replace("/default/", "/other/")).pid().unwrap()
}

#[test]
fn services_of_one_file_fail_alone() {
    let more = "restart = { backoff = \"1ms..1ms\", limit = \"2 in 60s\" }\n[service.echo]\nbuiltin = \"echo\"";
    let mut engine = Engine::start(&file(more).replacen("restart", "#", 1));
    let client = connect(&engine.address("test"));
    for _ in 0..3 {
        client.die().unwrap_err();
    }
    says(&engine, "has failed");
    for address in addresses(&engine) {
        let error =
            soon("a call to a failed service", || TestServiceClient::connect(&address).map(|_| ()).unwrap_err());
        assert_eq!(error.outcome(), Outcome::NotStarted, "{error}");
    }
    soon("a call to a failed service", || client.echo("hi").unwrap_err());
    let echo = untyped::call(&engine.address("echo"), "echo", b"\"hi\"", None).unwrap();
    assert_eq!(echo, untyped::Reply::Ok(b"\"hi\"".to_vec()));
    assert_eq!(engine.stop(), 0);
    nothing_is_left(&engine.home());
}

#[test]
fn an_engine_whose_services_have_all_failed_ends() {
    let more = "restart = { backoff = \"1ms..1ms\", limit = \"1 in 60s\" }";
    let mut engine = Engine::start(&file(more).replacen("restart", "#", 1));
    let client = connect(&engine.address("test"));
    client.die().unwrap_err();
    client.die().unwrap_err();
    assert_eq!(engine.wait(), 1, "{:#?}", engine.err());
    nothing_is_left(&engine.home());
}

#[test]
fn a_stopped_engine_holds_up_no_call() {
    let mut engine = engine("");
    let clients = addresses(&engine).map(|address| connect(&address));
    let pid = engine.pid();
    engine.process().signal(rustix::process::Signal::STOP);
    wait_for("the stop", || proc::is_stopped(pid));
    for client in &clients {
        assert_eq!(soon("a call", || client.echo("hi")).unwrap(), "hi");
    }
    engine.process().signal(rustix::process::Signal::CONT);
    assert_eq!(engine.stop(), 0);
}
