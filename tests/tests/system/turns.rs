//! Whose turn it is when handlers take long, and what others do meanwhile.

use std::fs;
use std::sync::Mutex;
use std::thread;

use serde_json::Value;
use speedysvc::Outcome;

use speedysvc_tests::harness::{Ended, Engine, proc, wait_for, wait_until};
use speedysvc_tests::test_service::TestServiceClient;

use crate::fixture::{Gate, LONG, addresses, block_on, connect, engine, soon};

const CLIENTS: usize = 8;
/// Enough calls for an average.
const USUAL: usize = 200;

fn clients(engine: &Engine, count: usize) -> Vec<TestServiceClient> {
    (0..count).map(|_| connect(&engine.address("test"))).collect()
}

/// Whether all loops say that they sleep.
fn all_sleep(engine: &Engine) -> bool {
    let mut status = engine.home().command("speedysvc-engine");
    status.arg("ctl").arg("--run-dir").arg(engine.run_dir()).args(["status", "--json"]);
    let status: Value = serde_json::from_str(&Ended::of(status).out).expect("a status");
    let workers = status["services"][0]["workers"].as_array().expect("workers");
    workers.iter().all(|worker| worker["loop_state"] == "sleeps")
}

/// Nobody expects this handler to take long, so its loop has told nobody; tasks that wait do not ring a second time.
#[test]
fn a_handler_that_turns_out_long_holds_up_nobody_else() {
    let engine = engine("workers = 2");
    let clients = clients(&engine, CLIENTS);
    for round in 0..20 {
        for client in &clients {
            (0..USUAL / CLIENTS).for_each(|_| assert_ne!(client.linger("").unwrap(), 0));
        }
        let gate = Gate::new(&engine.home(), &format!("gate {round}"));
        let (stuck, others) = clients.split_first().expect("there are some");
        let starter = stuck.start();
        let long = starter.linger(&gate.path());
        // On the same link, and on others: whoever has polled them, they are answered while the long one runs.
        let waiting: Vec<_> = (0..CLIENTS).map(|_| starter.pid()).collect();
        drop(starter);
        let waiting = waiting.into_iter().chain(others.iter().map(|client| client.start().pid()));
        let waiting: Vec<_> = waiting.collect();
        let busy = gate.wait_for(1)[0];
        for call in waiting {
            let pid = soon("a call beside a long handler", || block_on(call)).unwrap();
            assert!(engine.workers().contains(&pid));
        }
        gate.open();
        assert_eq!(long.wait().unwrap(), busy);
    }
}

/// The same where all loops sleep before: nobody watches over a loop that has only woken (decision 0081).
#[test]
fn a_handler_that_turns_out_long_in_a_loop_that_has_just_woken_holds_up_nobody_else() {
    let engine = engine("workers = 2");
    let clients = clients(&engine, CLIENTS);
    for round in 0..20 {
        for client in &clients {
            (0..USUAL / CLIENTS).for_each(|_| assert_ne!(client.linger("").unwrap(), 0));
        }
        wait_for("all loops to sleep", || all_sleep(&engine));
        let gate = Gate::new(&engine.home(), &format!("gate {round}"));
        let long = clients[0].start().linger(&gate.path());
        let busy = gate.wait_for(1)[0];
        // On the link that its loop has taken over, and on others.
        let waiting: Vec<_> = clients.iter().map(|client| client.start().pid()).collect();
        for call in waiting {
            assert_ne!(soon("a call beside a long handler", || block_on(call)).unwrap(), busy);
        }
        gate.open();
        assert_eq!(long.wait().unwrap(), busy);
    }
}

/// What a call costs that finds its loop asleep: nothing is done that goes on after it (decision 0081).
#[test]
fn a_loop_that_is_woken_for_a_call_is_not_watched_over() {
    // Looking for more calls is work, and may be watched over.
    let engine = engine("spin = \"0\"");
    let client = connect(&engine.address("test"));
    let [pid] = engine.workers()[..] else { panic!("one worker") };
    let is_unwatched = || {
        // Who is called seldom takes longer each time. Calls that are known to take long are watched over.
        (0..USUAL).for_each(|_| assert_eq!(client.pid().unwrap(), pid));
        wait_for("the loop to sleep", || all_sleep(&engine));
        let before = proc::waits_of(pid, "speedysvc-watch");
        assert_ne!(before, 0, "there is such a thread, and it has watched");
        assert_eq!(client.pid().unwrap(), pid);
        wait_for("the loop to sleep again", || all_sleep(&engine));
        proc::waits_of(pid, "speedysvc-watch") == before
    };
    // Now and then a bell is heard late, and what it rang for is a turn of its own.
    let unwatched = (0..30).filter(|_| is_unwatched()).count();
    assert!(unwatched >= 15, "{unwatched} of 30");
}

/// The second call is published while the first one's loop is about to say that it is busy: its client does not ring,
/// as that loop still looked; and it lies in a slot that passes have not looked at for a while.
#[test]
fn a_call_right_behind_a_long_one_is_not_overlooked() {
    let engine = engine("workers = 2");
    let client = connect(&engine.address("test"));
    for round in 0..200 {
        let gate = Gate::new(&engine.home(), &format!("gate {round}"));
        (0..5).for_each(|_| assert_ne!(client.pid().unwrap(), 0));
        let starter = client.start();
        // Known to take long, after the first rounds.
        let (long, behind) = (starter.hold(&gate.path()), starter.pid());
        drop(starter);
        let busy = gate.wait_for(1)[0];
        let pid = soon("a call right behind a long one", || block_on(behind)).unwrap();
        assert!(engine.workers().contains(&pid));
        gate.open();
        assert_eq!(long.wait().unwrap(), busy);
    }
}

/// A worker that is held, and a file in which handlers note when they had their turn.
struct Queue {
    engine: Engine,
    gate: Gate,
    marks: String,
}

impl Queue {
    fn new() -> Self {
        let engine = engine("workers = 1");
        let gate = Gate::new(&engine.home(), "gate");
        let marks = engine.home().path().join("marks").to_str().expect("a plain name").to_owned();
        // From now on marking is known to take long.
        let client = connect(&engine.address("test"));
        (0..4).for_each(|_| client.mark(&marks, "before", 2).unwrap());
        Self { engine, gate, marks }
    }

    /// Holds the worker, lets `publish` start calls, and gives the marks in their order when there are so many.
    fn order<T>(&self, count: usize, publish: impl FnOnce() -> T) -> Vec<String> {
        let holder = connect(&self.engine.address("test"));
        let held = self.gate.hold(&holder);
        self.gate.wait_for(1);
        let calls = publish();
        self.gate.open();
        held.end().unwrap();
        let order = wait_until("marks", || {
            let marks: Vec<String> = fs::read_to_string(&self.marks).ok()?.lines().skip(4).map(str::to_owned).collect();
            (marks.len() == count).then_some(marks)
        });
        drop(calls);
        order
    }
}

#[test]
fn calls_of_many_links_run_in_the_order_of_coming() {
    let queue = Queue::new();
    let clients = clients(&queue.engine, 40);
    // Not the order in which they attached.
    let order: Vec<usize> = (0..40).map(|number| number * 17 % 40).collect();
    let marks = queue.order(40, || {
        let start = |number: &usize| clients[*number].start().mark(&queue.marks, &number.to_string(), 2);
        order.iter().map(start).collect::<Vec<_>>()
    });
    assert_eq!(marks, order.iter().map(ToString::to_string).collect::<Vec<_>>());
}

/// The oracle is a counter: whoever takes a number starts the call of that number before another can take one.
#[test]
fn calls_of_a_client_that_wants_order_run_in_the_order_of_their_starts() {
    const THREADS: usize = 4;
    const CALLS: usize = 60;
    let engine = engine("workers = 2");
    let marks = engine.home().path().join("marks").to_str().expect("a plain name").to_owned();
    for (round, address) in addresses(&engine).iter().enumerate() {
        let client = TestServiceClient::connect_in_order(address).unwrap().with_timeout(LONG);
        let next = Mutex::new(0);
        let call = || {
            let started = {
                let mut next = next.lock().unwrap();
                *next += 1;
                (*next <= CALLS).then(|| client.start().mark(&marks, &next.to_string(), (*next * 7 % 5) as u64))
            };
            started.map(|call| call.wait().unwrap())
        };
        thread::scope(|scope| {
            (0..THREADS).for_each(|_| {
                scope.spawn(|| while call().is_some() {});
            });
        });
        let noted = fs::read_to_string(&marks).unwrap();
        let noted: Vec<usize> = noted.lines().skip(round * CALLS).map(|line| line.parse().unwrap()).collect();
        assert_eq!(noted, (1..=CALLS).collect::<Vec<_>>(), "{address}");
    }
}

/// What was out of order would be worse than what failed.
#[test]
fn a_death_leaves_the_order_as_it_is() {
    let engine = engine("workers = 2");
    let marks = engine.home().path().join("marks").to_str().expect("a plain name").to_owned();
    let client = TestServiceClient::connect_in_order(&engine.address("test")).unwrap().with_timeout(LONG);
    for number in 0..200 {
        if number % 60 == 20 {
            let error = soon("bad news", || client.die().unwrap_err());
            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
        }
        let marked = client.mark(&marks, &number.to_string(), 0);
        marked.unwrap_or_else(|error| panic!("{number}: {error}"));
    }
    let noted = fs::read_to_string(&marks).unwrap();
    assert!(noted.lines().eq((0..200).map(|number| number.to_string())));
}

#[test]
fn a_link_with_many_calls_takes_turns_with_one_that_has_a_single_one() {
    let queue = Queue::new();
    let clients = clients(&queue.engine, 2);
    let marks = queue.order(31, || {
        let many: Vec<_> = (0..30).map(|_| clients[0].start().mark(&queue.marks, "many", 2)).collect();
        (many, clients[1].start().mark(&queue.marks, "single", 2))
    });
    let place = marks.iter().position(|mark| mark == "single").unwrap();
    assert!(place <= 2, "{place} calls were before it: {marks:?}");
}
