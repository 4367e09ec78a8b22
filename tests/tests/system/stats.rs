//! Every call is counted once, also when its worker has died since.

use std::thread;

use speedysvc::stats::{Counter, MethodCounter, Snapshot, Timing};
use speedysvc::{Code, Running, Server};
use speedysvc_tests::harness::{Engine, proc, wait_for, wait_until};
use speedysvc_tests::test_service::{Obedient, TestServiceClient};

use crate::fixture::{Gate, addresses, connect, engine};

/// The numbers of a service in this process when it has counted this many calls: it counts after it has answered, and
/// a call last of all that belongs to it. What was read before the calls may lack them, so it is read again.
fn counted(running: &Running, calls: u64) -> Snapshot {
    wait_for("all calls to be counted", || running.stats().all_methods().counter(MethodCounter::Calls) >= calls);
    let stats = running.stats();
    assert_eq!(stats.all_methods().counter(MethodCounter::Calls), calls);
    stats
}

fn calls(stats: &Snapshot, method: &str) -> u64 {
    stats.method(method).map_or(0, |method| method.counter(MethodCounter::Calls))
}

fn in_this_process() -> (tempfile::TempDir, Running, [TestServiceClient; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let running = Server::new(Obedient).folder(folder.path()).listen("tcp://127.0.0.1:0").start().unwrap();
    let addresses: Vec<String> = running.addresses().collect();
    let clients = [connect(&addresses[0]), connect(&addresses[1])];
    (folder, running, clients)
}

#[test]
fn calls_and_errors_are_counted_by_method() {
    let (_folder, running, [shm, tcp]) = in_this_process();
    (0..7).for_each(|_| assert_eq!(shm.echo("hi").unwrap(), "hi"));
    (0..5).for_each(|_| assert_eq!(tcp.echo("hi").unwrap(), "hi"));
    (0..2).for_each(|_| assert!(shm.fail("").is_err()));
    assert_eq!(tcp.panic("counted").unwrap_err().code(), Code::Internal);
    let stats = counted(&running, 15);
    assert_eq!((calls(&stats, "echo"), calls(&stats, "fail"), calls(&stats, "panic")), (12, 2, 1));
    let echo = stats.method("echo").unwrap();
    assert_eq!(echo.errors(), 0);
    let each = echo.counter(MethodCounter::BytesIn) / 12;
    assert!(each >= 2, "{each} bytes for `hi`");
    assert_eq!(echo.counter(MethodCounter::BytesIn), each * 12);
    assert_eq!(echo.counter(MethodCounter::BytesOut), echo.counter(MethodCounter::BytesIn), "an echo");
    let [fail, panic] = ["fail", "panic"].map(|name| stats.method(name).unwrap());
    assert_eq!((fail.application_errors(), fail.errors()), (2, 2));
    assert_eq!((panic.errors_with(Code::Internal), panic.errors()), (1, 1));
    assert_eq!((stats.counter(Counter::ShmCalls), stats.counter(Counter::TcpCalls)), (9, 6));
    assert_eq!((stats.counter(Counter::Panics), stats.counter(Counter::CqOverflows)), (1, 0));
    assert_eq!(stats.to_string().split(';').next(), Some("15 calls, 3 errors"));
}

#[test]
fn times_are_what_the_handler_took() {
    const MS: u64 = 1_000_000;
    let (_folder, running, clients) = in_this_process();
    // The first one is timed, and then all are, because they take so long.
    for client in &clients {
        (0..3).for_each(|_| assert_eq!(client.sleep_ms(20).unwrap(), 20));
    }
    let stats = counted(&running, 6);
    let method = stats.method("sleep_ms").unwrap();
    assert_eq!(method.counter(MethodCounter::Timed), 6);
    for timing in [Timing::Handler, Timing::Total] {
        let times = method.times(timing);
        assert_eq!(times.count(), 6);
        // Nobody can be faster; the bucket's value may be half a per cent below.
        assert!(times.percentile(0.0).unwrap() >= 20 * MS - MS / 10, "{times:?}");
        assert!(method.counter(timing.sum()) >= 6 * 20 * MS);
    }
    assert_eq!(method.times(Timing::Queue).count(), 6);
}

#[test]
fn clients_and_their_bytes_are_counted() {
    let (_folder, running, [shm, tcp]) = in_this_process();
    assert_eq!(tcp.echo_bytes(&[7; 5000]).unwrap().len(), 5000);
    // Nobody knew how long the reply would be: it is held, and fetched.
    assert_eq!(shm.big(300_000).unwrap().len(), 300_000);
    drop((shm, tcp));
    let stats = wait_until("both clients to be gone", || {
        let stats = running.stats();
        let gone = [Counter::ClosedByPeer, Counter::ClientsDetached].map(|counter| stats.counter(counter));
        (gone == [1, 1]).then_some(stats)
    });
    let is = |counter, count| assert_eq!(stats.counter(counter), count, "{counter:?}");
    is(Counter::ConnectionsAccepted, 1);
    is(Counter::ClientsAttached, 1);
    is(Counter::RepliesHeld, 1);
    is(Counter::RepliesFetched, 1);
    is(Counter::RepliesLost, 0);
    let bytes = [Counter::TcpBytesIn, Counter::TcpBytesOut].map(|counter| stats.counter(counter));
    assert!(bytes.iter().all(|bytes| (5000..6000 + 2000).contains(bytes)), "{bytes:?}: the call, and the greetings");
}

/// The line that an engine says of the test service when it has stopped, without the times.
fn last_word(engine: &mut Engine) -> String {
    assert_eq!(engine.stop(), 0);
    let said = |engine: &Engine| engine.err().into_iter().find(|line| line.starts_with("speedysvc: test: "));
    let line = wait_until("the numbers at the end", || said(engine));
    line["speedysvc: test: ".len()..].split(';').next().unwrap().to_owned()
}

#[test]
fn what_a_killed_worker_has_done_is_not_forgotten() {
    let mut engine = engine("");
    let [shm, tcp] = addresses(&engine).map(|address| connect(&address));
    (0..7).for_each(|_| assert_eq!(shm.echo("hi").unwrap(), "hi"));
    (0..5).for_each(|_| assert_eq!(tcp.echo("hi").unwrap(), "hi"));
    assert!(shm.fail("").is_err());
    // In a handler, a loop has counted everything before it. The call that it dies in is never answered.
    let gate = Gate::new(&engine.home(), "gate");
    let held = gate.hold(&shm);
    proc::kill(gate.wait_for(1)[0]);
    held.end().unwrap_err();
    (0..3).for_each(|_| assert_eq!(shm.echo("again").unwrap(), "again"));
    let tcp = connect(&engine.tcp_address("test"));
    (0..1000).for_each(|_| assert_eq!(tcp.echo("again").unwrap(), "again"));
    assert!(tcp.panic("counted").is_err());
    assert_eq!(last_word(&mut engine), "1,017 calls, 2 errors");
}

#[test]
fn two_workers_and_many_threads_lose_no_count() {
    const THREADS: usize = 4;
    const CALLS: usize = 250;
    let mut engine = engine("workers = 2");
    let clients = addresses(&engine).map(|address| connect(&address));
    thread::scope(|scope| {
        for client in &clients {
            for _ in 0..THREADS {
                scope.spawn(|| (0..CALLS).for_each(|_| assert_eq!(client.echo("hi").unwrap(), "hi")));
            }
        }
    });
    assert_eq!(last_word(&mut engine), "2,000 calls, 0 errors");
}
