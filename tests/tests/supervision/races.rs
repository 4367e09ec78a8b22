//! Orders that cross each other, and calls that cross orders.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rustix::process::Signal;
use speedysvc::Outcome;
use speedysvc_tests::chaos::plan::Dice;
use speedysvc_tests::harness::{Home, proc, wait_for};
use speedysvc_tests::test_service::TestServiceClient;

use crate::fixture::{LONG, connect, ctl, ctl_well, engine, ready_pids};

const OPERATORS: u64 = 3;
const ORDERS: usize = 12;

/// What one operator did. An order is carried out, or says that another one crossed it; there is no third way.
fn operate(home: &Home, operator: u64) {
    const WORDS: [&[&str]; 6] = [
        &["stop", "test"],
        &["start", "test"],
        &["scale", "test", "1"],
        &["scale", "test", "3"],
        &["restart", "test"],
        &["reload"],
    ];
    let mut dice = Dice(operator);
    for _ in 0..ORDERS {
        let words = WORDS[usize::try_from(dice.below(WORDS.len() as u64)).unwrap()];
        let ended = ctl(home, words);
        assert!(matches!(ended.code, Some(0 | 1)), "{words:?}: {ended:?}");
    }
}

#[test]
fn orders_of_several_operators_end_in_one_state() {
    let mut engine = engine("workers = 2");
    let home = engine.home();
    let operators: Vec<_> = (0..OPERATORS)
        .map(|operator| {
            let home = Arc::clone(&home);
            thread::spawn(move || operate(&home, operator))
        })
        .collect();
    operators.into_iter().for_each(|operator| operator.join().unwrap());
    ctl_well(&home, &["start", "test"]);
    ctl_well(&home, &["scale", "test", "2"]);
    wait_for("two workers and nobody else", || {
        let mut living: Vec<u64> = engine.workers().into_iter().map(u64::from).collect();
        living.sort_unstable();
        living.len() == 2 && living == ready_pids(&home, "test")
    });
    assert_eq!(connect(&engine.address("test")).echo("hi").unwrap(), "hi");
    let asked = || engine.err().iter().filter(|line| line.contains(" asked to ")).count();
    let orders = usize::try_from(OPERATORS).unwrap() * ORDERS + 2;
    wait_for("a line for each order", || asked() == orders);
    assert_eq!(engine.stop(), 0);
    wait_for("nobody", || home.processes().is_empty());
}

/// What a caller heard: each number was sent once.
#[derive(Default)]
struct Heard {
    answered: Vec<u64>,
    refused: Vec<(u64, String, Outcome)>,
}

#[test]
fn calls_that_a_stop_meets_are_answered_or_have_not_started() {
    let mut engine = engine("workers = 2");
    let home = engine.home();
    let stop = Arc::<AtomicBool>::default();
    let (answered, refused) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let call = |address: String, anew: bool, file: String| {
        let (stop, answered, refused) = (Arc::clone(&stop), Arc::clone(&answered), Arc::clone(&refused));
        thread::spawn(move || {
            let kept = (!anew).then(|| connect(&address));
            let mut heard = Heard::default();
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let client = kept.clone().map_or_else(|| TestServiceClient::connect(&address), Ok);
                match client.and_then(|client| client.with_timeout(LONG).mark(&file, &number.to_string(), 0)) {
                    Ok(()) => {
                        heard.answered.push(number);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => {
                        heard.refused.push((number, error.to_string(), error.outcome()));
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            heard
        })
    };
    let callers = [("shm", false), ("tcp", false), ("shm-anew", true), ("tcp-anew", true)].map(|(name, anew)| {
        let address = if name.starts_with("shm") { engine.address("test") } else { engine.tcp_address("test") };
        let file = home.path().join(name);
        (file.clone(), call(address, anew, file.display().to_string()))
    });
    let more = |what: &str, count: &AtomicU64| {
        let before = count.load(Ordering::Relaxed);
        wait_for(what, || count.load(Ordering::Relaxed) > before + 10);
    };
    for _ in 0..3 {
        more("calls", &answered);
        ctl_well(&home, &["stop", "test"]);
        more("refusals", &refused);
        ctl_well(&home, &["start", "test"]);
    }
    more("calls", &answered);
    stop.store(true, Ordering::Relaxed);
    for (file, caller) in callers {
        let heard = caller.join().unwrap();
        let wrong = heard.refused.iter().find(|(_, _, outcome)| *outcome != Outcome::NotStarted);
        assert!(wrong.is_none(), "{wrong:?}");
        let ran: Vec<u64> = fs::read_to_string(&file).unwrap().lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(ran, heard.answered, "{}: what was answered ran once, and nothing else", file.display());
    }
    assert_eq!(engine.stop(), 0);
}

#[test]
fn the_dead_are_reaped_however_late_and_others_serve() {
    let mut engine = engine("workers = 2");
    let home = engine.home();
    let client = connect(&engine.address("test"));
    for _ in 0..2 {
        let before = engine.workers();
        engine.process().signal(Signal::STOP);
        wait_for("the supervisor to stand still", || proc::is_stopped(engine.pid()));
        proc::kill(before[0]);
        wait_for("a death that nobody has noticed", || proc::zombies_of(engine.pid()) == before[..1]);
        assert_eq!(client.echo("served").unwrap(), "served");
        engine.process().signal(Signal::CONT);
        engine.wait_for_workers(1, &before);
        wait_for("the next one", || ready_pids(&home, "test").len() == 2);
        assert!(!ready_pids(&home, "test").contains(&before[0].into()));
        assert_eq!(proc::zombies_of(engine.pid()), [0; 0], "nobody is left who is neither dead nor alive");
    }
    assert_eq!(engine.stop(), 0);
}
