//! Workers that die, hang or are stopped: what their callers are told is so.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use speedysvc::{Code, Error, Outcome};
use speedysvc_tests::harness::{Engine, Home, let_pass, proc, wait_for, wait_until};
use speedysvc_tests::hostile::worker::Reply;
use speedysvc_tests::test_service::{TestServiceClient, pattern};

use crate::siege::Siege;

const LONG: Duration = Duration::from_secs(60);

#[track_caller]
fn died_under(error: &Error) {
    assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown), "{error}");
}

fn connect(engine: &Engine) -> TestServiceClient {
    TestServiceClient::connect(&engine.address("test")).unwrap().with_timeout(LONG)
}

/// A call that stays in its handler until `GATE.out` is there; gives the gate when it is in.
fn hold(engine: &Engine, name: &str) -> (PathBuf, u32, thread::JoinHandle<Result<u32, Error>>) {
    let gate = engine.home().path().join(name);
    let (client, path) = (connect(engine), gate.to_str().unwrap().to_owned());
    let held = thread::spawn(move || client.hold(&path));
    let pid = wait_until("the handler", || fs::read_to_string(gate.with_extension("in")).ok()?.trim().parse().ok());
    (gate, pid, held)
}

/// What the caller was told of a call that the first worker answered until it died.
#[derive(PartialEq, Eq, Debug)]
enum Answered {
    /// The first worker's own answer.
    ByTheDead,
    /// An honest worker's.
    ByAnother,
}

fn ask(client: &TestServiceClient, reply: Reply, first: u32) -> Result<Answered, Error> {
    let is_the_deads = match reply {
        Reply::Inline => client.pid()? == first,
        Reply::Arena => {
            let bytes = client.big(Reply::LEN as u64)?;
            assert_eq!(bytes.len(), Reply::LEN);
            let is_the_deads = bytes.iter().all(|byte| *byte == Reply::BYTE);
            assert!(is_the_deads || bytes == pattern(Reply::LEN), "bytes of two workers");
            is_the_deads
        }
        // More than is granted for a first call of this method.
        Reply::Need => {
            assert!(client.big(1 << 20)? == pattern(1 << 20));
            false
        }
    };
    Ok(if is_the_deads { Answered::ByTheDead } else { Answered::ByAnother })
}

/// The first worker kills itself after so many of its stores: nothing, the exchange that takes the reply's line, the
/// claim, the reply's words one by one, its number. Only before the claim is it certain that the call did not run;
/// after the number it is answered, unless the answer lies in the worker that has died.
#[test]
fn killed_between_any_two_stores_of_an_answer() {
    for reply in [Reply::Inline, Reply::Arena, Reply::Need] {
        (0..=reply.stores()).for_each(|step| killed_after(step, reply));
    }
}

fn killed_after(step: usize, reply: Reply) {
    let home = Home::new(&format!(
        "[service.test]\nprogram = \"hostile\"\n\
         args = [\"--marker\", \"died\", \"--step\", \"{step}\", \"--reply\", \"{}\"]\n\
         restart = {{ backoff = \"10ms..100ms\" }}\n",
        format!("{reply:?}").to_lowercase()
    ));
    let engine = home.start();
    let first = engine.workers()[0];
    let client = connect(&engine);
    let answer = ask(&client, reply, first);
    let (is_claimed, is_answered) = (step >= Reply::CLAIMED, step == reply.stores());
    match (is_claimed, is_answered, &answer) {
        (false, _, Ok(Answered::ByAnother)) => {}
        (true, false, Err(error)) => died_under(error),
        (true, true, Ok(Answered::ByTheDead)) => assert_ne!(reply, Reply::Need),
        (true, true, Err(error)) if reply == Reply::Need => {
            assert_eq!((error.code(), error.outcome()), (Code::DataLoss, Outcome::Done), "{error}");
        }
        _ => panic!("{reply:?}: after {step} stores the caller was told {answer:?}"),
    }
    assert_ne!(client.pid().unwrap(), first);
    let line = wait_until("the obituary", || engine.err().into_iter().find(|line| line.contains("SIGKILL")));
    let of_whom = format!("of pid {} ", std::process::id());
    assert_eq!(line.contains(&of_whom), is_claimed && !is_answered, "{reply:?} {step}: {line}");
}

/// Whatever way a handler's process ends: its caller is told "unknown", the log says how and in which method, for whom,
/// and the next worker serves. The call itself is not made again by anybody.
#[test]
fn crashes_of_every_kind() {
    let home = Home::new(
        "[service.test]\nprogram = \"test-service\"\nrestart = { backoff = \"10ms..100ms\", limit = \"none\" }\n",
    );
    let engine = home.start();
    let client = connect(&engine);
    let ways =
        [("null", "SIGSEGV"), ("illegal", "SIGILL"), ("stack", "SIGABRT"), ("abort", "SIGABRT"), ("drop", "SIGABRT")];
    for (count, (how, signal)) in (1..).zip(ways) {
        let before = client.pid().unwrap();
        died_under(&client.crash(how).unwrap_err());
        assert_ne!(client.pid().unwrap(), before);
        let words = [&format!("(pid {before})"), signal, "while it ran `crash`", "1 call was told \"unknown\""];
        let me = format!("of pid {} ", std::process::id());
        wait_until(&format!("{words:?}"), || {
            let lines = engine.err();
            lines.into_iter().find(|line| words.iter().all(|word| line.contains(word)) && line.contains(&me))
        });
        let deaths = engine.err().iter().filter(|line| line.contains("was killed by signal")).count();
        assert_eq!(deaths, count, "each request costs one worker, and is never run again");
    }
}

/// A request that crashes every worker it meets, made again and again by its client: each time it costs one worker,
/// and never one more, as what was started is not run again. The restart limit ends it, and says so.
#[test]
fn poison_is_never_run_again_by_us() {
    let home = Home::new(
        "[service.test]\nprogram = \"test-service\"\nrestart = { backoff = \"10ms..20ms\", limit = \"3 in 60s\" }\n",
    );
    let engine = home.start();
    let client = connect(&engine);
    let mut asked = 0;
    let last = loop {
        asked += 1;
        match client.die() {
            Err(error) if error.outcome() == Outcome::Unknown => {}
            Err(error) => break error,
            Ok(()) => panic!("it should have died"),
        }
        assert!(asked < 10, "the limit never came");
    };
    assert_eq!((last.code(), last.outcome()), (Code::Unavailable, Outcome::NotStarted), "{last}");
    let deaths = engine.err().iter().filter(|line| line.contains("SIGABRT")).count();
    assert_eq!(deaths, asked - 1, "one death for each time that it was asked for");
    wait_until("the last word", || engine.err().into_iter().find(|line| line.contains("has failed")));
}

/// What may be run again is run once more after a death, and then no more: it costs two workers at most.
#[test]
fn poison_that_may_be_run_again_costs_two_workers() {
    let restart = "restart = { backoff = \"10ms..20ms\", limit = \"none\" }";
    let home = Home::new(&format!("[service.test]\nprogram = \"test-service\"\nworkers = 2\n{restart}\n"));
    let engine = home.start();
    let client = connect(&engine);
    let error = client.die_again().unwrap_err();
    assert_eq!((error.outcome(), error.attempts()), (Outcome::Unknown, 2), "{error}");
    assert!(error.message().contains("two workers were lost"), "{error}");
    client.pid().unwrap();
    wait_for("two obituaries", || engine.err().iter().filter(|line| line.contains("SIGABRT")).count() == 2);
}

/// A handler that never ends, by sleeping or by working: its caller is told at its deadline that the outcome is
/// unknown; a call that was behind it, that it has not started. With another worker nobody else notices.
#[test]
fn handlers_that_never_end() {
    let siege = Siege::begin("workers = 2");
    let client = connect(&siege.engine);
    let late = client.with_timeout(Duration::from_millis(200)).sleep_ms(3000).unwrap_err();
    assert_eq!((late.code(), late.outcome()), (Code::DeadlineExceeded, Outcome::Unknown), "{late}");
    drop(client);
    siege.is_as_before();
    siege.end();

    let home = Home::new("[service.test]\nprogram = \"test-service\"\n");
    let engine = home.start();
    let (gate, _, held) = hold(&engine, "gate");
    let behind = connect(&engine).with_timeout(Duration::from_millis(200)).echo("hi").unwrap_err();
    assert_eq!((behind.code(), behind.outcome()), (Code::DeadlineExceeded, Outcome::NotStarted), "{behind}");
    fs::write(gate.with_extension("out"), "").unwrap();
    held.join().unwrap().unwrap();
    assert_eq!(connect(&engine).echo("hi").unwrap(), "hi");
}

/// What a stopped worker has is its own until it is dead: nobody runs it, or tells of it, before. Then it is unknown,
/// what was not started is run by another, and the stopped worker never comes back to write.
#[test]
fn a_stopped_worker_keeps_its_call_until_it_is_dead() {
    let mut siege = Siege::begin("workers = 2");
    let (gate, stopped, held) = hold(&siege.engine, "gate");
    proc::signal(stopped, Signal::STOP);
    wait_for("the stop", || proc::is_stopped(stopped));
    fs::write(gate.with_extension("out"), "").unwrap();
    siege.wait_for_progress();
    let_pass(Duration::from_millis(300));
    assert!(!held.is_finished(), "its caller was told something while the worker might still go on");
    let entered = fs::read_to_string(gate.with_extension("in")).unwrap();
    assert_eq!(entered.lines().count(), 1, "somebody else runs it, too");
    proc::kill(stopped);
    died_under(&held.join().unwrap().unwrap_err());
    siege.said(&[&format!("(pid {stopped})"), "SIGKILL", "1 call was told \"unknown\""]);
    wait_for("the next worker", || {
        let workers = siege.engine.workers();
        workers.len() == 2 && !workers.contains(&stopped)
    });
    siege.after_a_death();
    siege.end();
}

/// As after a laptop's sleep: everybody is stopped for a while, and goes on. Nobody is taken for dead.
#[test]
fn everybody_stopped_and_continued() {
    let siege = Siege::begin("workers = 2\nhang = \"2s\"");
    let all: Vec<u32> = siege.engine.workers().into_iter().chain([siege.engine.pid()]).collect();
    for pid in &all {
        proc::signal(*pid, Signal::STOP);
    }
    wait_for("all stops", || all.iter().all(|pid| proc::is_stopped(*pid)));
    let_pass(Duration::from_secs(5));
    for pid in all.iter().rev() {
        proc::signal(*pid, Signal::CONT);
    }
    siege.is_as_before();
    // A watchdog that was going to kill somebody has had its time by then.
    let_pass(Duration::from_secs(2));
    siege.is_as_before();
    siege.end();
}
