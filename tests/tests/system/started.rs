//! Calls that are started and waited for later, in tokio, in no runtime and by threads, over both transports.

use std::time::Duration;

use speedysvc::{CallError, Code, Outcome};
use speedysvc_protocol::frame::{self, Kind};
use speedysvc_protocol::hello::Hello;
use speedysvc_protocol::ids::CallId;
use speedysvc_tests::harness::{proc, wait_until};
use speedysvc_tests::test_service::TestServiceClient;

use crate::fixture::{Gate, addresses, block_on, connect, engine, soon};
use crate::frames::Peer;

const IN_FLIGHT: usize = 2000;

#[test]
fn thousands_of_calls_are_in_flight_from_one_thread() {
    let engine = engine("workers = 2");
    for address in addresses(&engine) {
        let client = connect(&address);
        let burst = || {
            let starter = client.start();
            let text = |number: usize| format!("{number} {}", "x".repeat(number * 7 % 3000));
            (0..IN_FLIGHT).map(|number| (text(number), starter.echo(&text(number)))).collect::<Vec<_>>()
        };
        for (text, call) in burst() {
            assert_eq!(call.wait().unwrap(), text, "{address}");
        }
        for (text, call) in burst() {
            assert_eq!(block_on(call).unwrap(), text, "{address}");
        }
    }
}

#[test]
fn tasks_of_tokio_share_a_client_with_threads() {
    let engine = engine("workers = 2");
    for threads in [1, 4] {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).build().unwrap();
        for address in addresses(&engine) {
            let client = connect(&address);
            let tasks: Vec<_> = (0..IN_FLIGHT)
                .map(|number| {
                    let client = client.clone();
                    runtime.spawn(async move {
                        let call = client.start().echo_bytes(&number.to_le_bytes());
                        assert_eq!(call.await.unwrap(), number.to_le_bytes());
                    })
                })
                .collect();
            for number in 0..IN_FLIGHT as u64 {
                assert_eq!(client.echo_bytes(&number.to_le_bytes()).unwrap(), number.to_le_bytes());
            }
            runtime.block_on(async {
                for task in tasks {
                    task.await.unwrap();
                }
            });
        }
    }
}

#[test]
fn results_and_errors_have_their_types() {
    let engine = engine("");
    for address in addresses(&engine) {
        let client = connect(&address);
        assert_eq!(block_on(client.start().sum(&vec![1, 2, 3])).unwrap(), 6);
        let error = block_on(client.start().sum(&vec![u64::MAX, 1])).unwrap_err();
        assert!(matches!(error, CallError::App(overflow) if overflow.after == 1));
        let error = client.start().panic("on purpose").wait().unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::Internal, Outcome::Done), "{error}");
        assert_eq!(block_on(client.start().big(3_000_000)).unwrap().len(), 3_000_000);
    }
}

#[test]
fn a_call_that_is_dropped_before_it_begins_does_not_run() {
    let engine = engine("");
    for (number, address) in addresses(&engine).iter().enumerate() {
        let client = connect(address);
        let gate = |name: &str| Gate::new(&engine.home(), &format!("{name}{number}"));
        let (held, dropped, unsent) = (gate("held"), gate("dropped"), gate("unsent"));
        let open = client.start().hold(&held.path());
        held.wait_for(1);
        // Its starter is gone by then, so that it was sent...
        let sent = client.start().hold(&dropped.path());
        drop(sent);
        // ...and here it lives until the end of the statement.
        drop(client.start().hold(&unsent.path()));
        held.open();
        open.wait().unwrap();
        // Its slot is free again, and whatever was published or sent before this has been dealt with.
        let calls: Vec<_> = (0..64).map(|_| client.start().pid()).collect();
        calls.into_iter().for_each(|call| assert!(block_on(call).is_ok()));
        assert!(!dropped.was_entered() && !unsent.was_entered(), "{address}");
    }
}

/// Our client takes back what it has not sent. Here the CANCEL lies behind its call, in the socket of a loop that is in
/// a handler.
#[test]
fn a_call_whose_cancel_has_come_behind_it_does_not_run() {
    let engine = engine("");
    let [held, dropped, last] = ["held", "dropped", "last"].map(|name| Gate::new(&engine.home(), name));
    let mut peer = Peer::greet_as(&engine.tcp_address("test"), &Hello::by_name("test", "hold"));
    let call = |peer: &Peer, id, gate: &Gate| peer.call(id, 0, &format!("{:?}", gate.path()));
    let first = call(&peer, 1, &held);
    peer.say(&first);
    held.wait_for(1);
    // If it ran it would not stay.
    [&dropped, &last].into_iter().for_each(Gate::open);
    let mut behind = call(&peer, 2, &dropped);
    frame::append(&mut behind, Kind::Cancel { id: CallId(2) }, &[]);
    behind.extend(call(&peer, 3, &last));
    peer.say(&behind);
    held.open();
    assert_eq!([peer.reply().0, peer.reply().0], [1, 3]);
    assert!(last.was_entered() && !dropped.was_entered());
}

#[test]
fn time_ends_and_the_slot_comes_back() {
    let engine = engine("");
    for (address, name) in addresses(&engine).iter().zip(["a", "b"]) {
        let client = connect(address);
        let gate = Gate::new(&engine.home(), name);
        let hasty = client.with_timeout(Duration::from_millis(300));
        let error = soon("the deadline", || block_on(hasty.start().hold(&gate.path())).unwrap_err());
        assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::Unknown), "{error}");
        gate.open();
        let calls: Vec<_> = (0..200).map(|_| client.start().echo("hi")).collect();
        calls.into_iter().for_each(|call| assert_eq!(block_on(call).unwrap(), "hi"));
    }
}

/// A death costs what had begun; what had not is taken by the next worker, whoever waits for it and how.
#[test]
fn a_death_costs_what_had_begun() {
    for wait in [TestCall::wait as fn(TestCall) -> _, block_on] {
        let engine = engine("");
        let client = connect(&engine.address("test"));
        let gate = Gate::new(&engine.home(), "gate");
        let begun = client.start().hold(&gate.path());
        let dead = gate.wait_for(1)[0];
        let waiting: Vec<TestCall> = (0..IN_FLIGHT).map(|_| client.start().pid()).collect();
        proc::kill(dead);
        let error = soon("bad news", || block_on(begun).unwrap_err());
        assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown), "{error}");
        waiting.into_iter().for_each(|call| assert_ne!(wait(call).unwrap(), dead));
    }
}

type TestCall = speedysvc::Pending<u32>;

#[test]
fn calls_survive_a_service_that_is_started_again() {
    let engine = engine("");
    let client: TestServiceClient = connect(&engine.tcp_address("test"));
    let before = client.pid().unwrap();
    proc::kill(before);
    wait_until("another worker", || engine.workers().iter().any(|pid| *pid != before).then_some(()));
    let after = soon("a call after the death", || block_on(client.start().pid()));
    // Over TCP the client hears of the death only by trying, unless it has heard already.
    assert!(after.as_ref().map_or_else(|error| error.outcome() == Outcome::Unknown, |pid| *pid != before), "{after:?}");
    assert_ne!(block_on(client.start().pid()).unwrap(), before);
}
