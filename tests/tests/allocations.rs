//! Allocations per call, of the client and of the loop: both are in this process, and all of its threads are counted.
//!
//! A file of its own, as its allocator counts for the whole program.

use std::alloc::System;
use std::hint;
use std::time::{Duration, Instant};

use speedysvc::Server;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[speedysvc::service]
trait Sums {
    /// Needs no memory for arguments or result.
    fn sum(&self, first: u64, second: u64) -> u64;
    /// Its result needs memory once on each side: where the handler makes it, and where its caller gets it.
    fn text(&self, text: &str) -> String;
    /// Runs so long that its calls wait for their turn.
    fn long(&self, first: u64) -> u64;
}

struct Adder;

#[speedysvc::service]
impl Sums for Adder {
    fn sum(&self, first: u64, second: u64) -> u64 {
        first.wrapping_add(second)
    }
    fn text(&self, text: &str) -> String {
        text.to_owned()
    }
    fn long(&self, first: u64) -> u64 {
        let begin = Instant::now();
        while begin.elapsed() < LONG {
            hint::spin_loop();
        }
        first
    }
}

const CALLS: usize = 20_000;
/// More than what a loop looks at everything else between.
const LONG: Duration = Duration::from_micros(40);
/// Threads that have nothing to do with a call may allocate now and then: the broker, the first sleep of a thread.
const STRAY: usize = CALLS / 100;

/// Allocations, and growths of what was allocated, while `CALLS` calls are made by `call`.
fn counted(mut call: impl FnMut(u64)) -> usize {
    (0..1_000).for_each(&mut call);
    let region = Region::new(COUNTING);
    (0..CALLS as u64).for_each(&mut call);
    let change = region.change();
    change.allocations + change.reallocations
}

#[test]
fn neither_the_loop_nor_a_caller_allocates_for_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let running = Server::new(Adder).folder(folder.path()).start().unwrap();
    let client = SumsClient::connect(&format!("shm://{}/sums.sock", folder.path().display())).unwrap();

    let blocking = counted(|call| assert_eq!(client.sum(call, 1).unwrap(), call + 1));
    assert!(blocking < STRAY, "{blocking} allocations in {CALLS} blocking calls");

    let long = counted(|call| assert_eq!(client.long(call).unwrap(), call));
    assert!(long < STRAY, "{long} allocations in {CALLS} long calls");

    // Longer than what an archive holds in place.
    let text = "some text that does not fit into eight bytes";
    let texts = counted(|_| assert_eq!(client.text(text).unwrap(), text));
    let own = 2 * CALLS;
    assert!((own..own + STRAY).contains(&texts), "{texts} allocations in {CALLS} calls that return a text");

    // A started call is a thing of its own, which may be kept as long as one likes; its box is used again (0068).
    let starter = client.start();
    let started = counted(|call| {
        let (one, other) = (starter.sum(call, 1), starter.sum(call, 2));
        assert_eq!((one.wait().unwrap(), other.wait().unwrap()), (call + 1, call + 2));
    });
    assert!(started < STRAY, "{started} allocations in {} started calls", 2 * CALLS);
    drop(starter);
    running.stop().unwrap();
}
