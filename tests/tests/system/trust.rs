//! Large requests of trusted clients are read in place, those of others copied; callers cannot tell.

use std::thread;

use speedysvc::stats::Counter;
use speedysvc::{Running, Server, Trust};
use speedysvc_tests::harness::wait_until;
use speedysvc_tests::test_service::{Obedient, TestServiceClient, pattern};

use crate::fixture::{LONG, connect, engine};

/// Around what is read in place, and what fits a slot's own buffer.
const SIZES: [usize; 8] = [0, 100, 4_096, 16_000, 16_384, 65_536, 1 << 20, (1 << 20) + 1];

fn serve(trust: Trust) -> (tempfile::TempDir, Running, TestServiceClient) {
    let folder = tempfile::tempdir().unwrap();
    let running = Server::new(Obedient).folder(folder.path()).trust(trust).start().unwrap();
    let address = running.addresses().next().expect("it listens on shared memory");
    let client = connect(&address);
    (folder, running, client)
}

fn all_sizes(client: &TestServiceClient) {
    // Twice: a client sends its second large request in another way than its first.
    for size in SIZES.into_iter().chain(SIZES) {
        let bytes = pattern(size);
        assert!(client.echo_bytes(&bytes).unwrap() == bytes, "{size} bytes came back changed");
        let numbers = vec![3_u64; size / 8];
        assert_eq!(client.sum(&numbers).unwrap(), 3 * numbers.len() as u64, "{size} bytes of numbers");
    }
    // A short reply to a large request, and a panic in the middle of one.
    let text = "x".repeat(50_000);
    assert!(client.panic(&text).unwrap_err().message().contains("xxx"));
    assert_eq!(client.echo(&text).unwrap(), text);
}

#[test]
fn large_requests_of_the_same_user_are_read_in_place() {
    let (_folder, running, client) = serve(Trust::SameUser);
    client.echo_bytes(&pattern(16_000)).unwrap();
    assert_eq!(running.stats().counter(Counter::ReadInPlace), 0, "short ones are copied");
    all_sizes(&client);
    // Of each round four of bytes and four of numbers; then the two texts.
    let expected = 2 * 8 + 2;
    wait_until("all to be counted", || (running.stats().counter(Counter::ReadInPlace) >= expected).then_some(()));
    assert_eq!(running.stats().counter(Counter::ReadInPlace), expected);
}

#[test]
fn who_trusts_nobody_copies_everything() {
    let (_folder, running, client) = serve(Trust::Never);
    all_sizes(&client);
    assert_eq!(running.stats().counter(Counter::ReadInPlace), 0);
}

#[test]
fn both_ways_serve_many_threads_at_once() {
    for trust in ["same-user", "never"] {
        let engine = engine(&format!("trust = \"{trust}\"\nworkers = 2\nlimits = {{ shm_message = \"1MiB\" }}"));
        let client = connect(&engine.address("test")).with_timeout(LONG);
        thread::scope(|scope| {
            for caller in 0..4 {
                let client = &client;
                scope.spawn(move || {
                    for round in 0..25 {
                        let bytes = pattern((caller * 70_001 + round * 9_973) % 900_000);
                        assert!(client.echo_bytes(&bytes).unwrap() == bytes, "{trust}");
                    }
                });
            }
        });
    }
}
