//! Every size up to the limit crosses, and one byte more is an error that says so.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use speedysvc::untyped::{self, Reply};
use speedysvc::{Code, Error, Outcome};
use speedysvc_protocol::frame::Header;
use speedysvc_tests::harness::{Engine, proc, wait_until};
use speedysvc_tests::test_service::{TestServiceClient, pattern};

use crate::fixture::{LONG, addresses, connect, engine};
use crate::frames::{ECHO, Peer};

const SMALL_LIMIT: usize = 2 << 20;
const SMALL: &str = "limits = { shm_message = \"2MiB\", tcp_message = \"2MiB\" }";
/// At each of these sizes, and one byte below and above it, something changes: what fits in the line of a slot, in a
/// page, in a length of 16 bits.
const EDGES: [usize; 9] = [1, 32, 40, 64, 128, 860, 4096, 65_536, 1 << 20];

fn sizes() -> impl DoubleEndedIterator<Item = usize> {
    EDGES.into_iter().flat_map(|edge| edge - 1..=edge + 1)
}

/// The largest payload whose archive is within the limit: found by trying, so that tests know nothing of archives.
fn largest(limit: usize, call: impl Fn(usize) -> Result<Vec<u8>, Error>) -> usize {
    let sizes = (limit - 64..=limit).rev();
    let fits = |size: &usize| match call(*size) {
        Ok(reply) => {
            assert!(reply == pattern(*size), "{size} bytes came back changed");
            true
        }
        Err(error) => {
            assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
            false
        }
    };
    sizes.into_iter().find(fits).expect("what is 64 bytes below the limit fits")
}

fn echoes(client: &TestServiceClient, size: usize) -> Result<Vec<u8>, Error> {
    client.echo_bytes(&pattern(size))
}

/// The error is about a message of about this size over exactly this limit.
#[track_caller]
fn names_both(error: &Error, size: usize, limit: usize) {
    assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
    let numbers: Vec<usize> =
        error.message().split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
    assert!(numbers.contains(&limit), "the limit {limit} is not named: {error}");
    assert!(numbers.iter().any(|number| (size..=size + 64).contains(number) && *number > limit), "the size: {error}");
}

fn still_works(client: &TestServiceClient, engine: &Engine) {
    assert_eq!(client.echo("hi").unwrap(), "hi");
    assert_eq!(engine.workers(), [client.pid().unwrap()]);
}

#[test]
fn every_size_crosses_in_both_directions() {
    let engine = engine(SMALL);
    for address in addresses(&engine) {
        let client = connect(&address);
        for size in sizes() {
            // First without a request of the same bytes: what that leaves behind would hide what the reply lacks.
            assert!(client.big(size as u64).unwrap() == pattern(size), "{size} bytes back over {address}");
            assert!(echoes(&client, size).unwrap() == pattern(size), "{size} bytes both ways over {address}");
        }
        // Downwards, too: what a large call left behind must not show.
        for size in sizes().rev() {
            assert!(echoes(&client, size).unwrap() == pattern(size), "{size} bytes both ways over {address}");
            let numbers = vec![1_u64; size / 8];
            assert_eq!(client.sum(&numbers).unwrap(), numbers.len() as u64);
        }
    }
}

#[test]
fn up_to_the_limit_and_not_a_byte_more() {
    let engine = engine(SMALL);
    for address in addresses(&engine) {
        let client = connect(&address);
        let largest = largest(SMALL_LIMIT, |size| echoes(&client, size));
        let over = largest + 1;
        let error = echoes(&client, over).unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotStarted, "{error}");
        names_both(&error, over, SMALL_LIMIT);
        names_both(&echoes(&client, 3 * SMALL_LIMIT).unwrap_err(), 3 * SMALL_LIMIT, SMALL_LIMIT);
        still_works(&client, &engine);
    }
}

#[test]
fn replies_have_the_same_limit() {
    let engine = engine(SMALL);
    for address in addresses(&engine) {
        let client = connect(&address);
        let big = |size: usize| client.big(size as u64);
        let over = largest(SMALL_LIMIT, big) + 1;
        for size in [over, 3 * SMALL_LIMIT] {
            let error = big(size).unwrap_err();
            assert_eq!(error.outcome(), Outcome::Done, "{error}");
            names_both(&error, size, SMALL_LIMIT);
            still_works(&client, &engine);
        }
    }
}

/// JSON has no archive around it: here the limit is known to the byte.
#[test]
fn json_bodies_have_exactly_the_limit() {
    let engine = engine("limits = { shm_message = \"64KiB\", tcp_message = \"64KiB\" }");
    let limit = 65_536;
    for address in addresses(&engine) {
        let echo = |length: usize| {
            let body = format!("\"{}\"", "x".repeat(length - 2)).into_bytes();
            let reply = untyped::call(&address, "echo", &body, Some(LONG))?;
            assert!(reply == Reply::Ok(body), "{length} bytes came back changed");
            Ok(())
        };
        echo(limit).unwrap_or_else(|error: Error| panic!("{address}: {error}"));
        let error = echo(limit + 1).unwrap_err();
        names_both(&error, limit + 1, limit);
        assert_eq!(error.outcome(), Outcome::NotStarted, "{error}");
    }
}

#[test]
fn the_default_limits_can_be_used_up() {
    let engine = engine("");
    for (address, limit) in addresses(&engine).iter().zip([64 << 20, 16 << 20]) {
        let client = connect(address);
        // Not searched for as above: such a call takes a while.
        let size = limit - 64;
        assert!(echoes(&client, size).unwrap() == pattern(size));
        assert!(client.big(size as u64).unwrap() == pattern(size));
        names_both(&echoes(&client, limit).unwrap_err(), limit, limit);
        names_both(&client.big(limit as u64).unwrap_err(), limit, limit);
        still_works(&client, &engine);
    }
}

#[test]
fn large_calls_of_many_threads_share_a_small_link() {
    let engine = engine("limits = { shm_message = \"1MiB\", tcp_message = \"1MiB\", slots = 2 }");
    for address in addresses(&engine) {
        let client = connect(&address);
        std::thread::scope(|scope| {
            for caller in 0..6 {
                let client = &client;
                scope.spawn(move || {
                    for round in 0..20 {
                        let size = (1 << 20) - 64 - caller * 100 - round;
                        assert!(echoes(client, size).unwrap() == pattern(size), "{size}");
                    }
                });
            }
        });
    }
}

/// What the kernel keeps of all links' requests and arenas, in bytes; the supervisor has their files open.
fn kept(engine: &Engine) -> u64 {
    let open = fs::read_dir(format!("/proc/{}/fd", engine.pid())).expect("the engine lives");
    let files = open.filter_map(|entry| {
        let path = entry.ok()?.path();
        let is_ours = fs::read_link(&path).ok()?.to_string_lossy().contains("speedysvc-request");
        is_ours.then(|| fs::metadata(&path).map_or(0, |file| file.blocks() * 512))
    });
    files.sum()
}

/// What is not used is not looked at either: a look at a page that nobody wrote takes memory, too.
#[test]
fn a_link_with_few_calls_at_once_takes_one_page_for_requests() {
    let engine = engine("");
    let client = connect(&engine.address("test"));
    for _ in 0..50 {
        assert_eq!(client.echo("few").unwrap(), "few");
    }
    // The first call has rung, and who is rung for looks at all slots.
    assert_eq!(kept(&engine), 4096);
    let calls: Vec<_> = (0..30).map(|_| client.start().echo("many")).collect();
    for call in calls {
        assert_eq!(call.wait().unwrap(), "many");
    }
    assert!(kept(&engine) > 4096, "30 at once are in two pages of lines");
}

#[test]
fn memory_of_a_burst_goes_back_to_the_system() {
    for (count, each) in [(5, 12 << 20), (64, 300 << 10)] {
        let engine = engine("");
        let client = connect(&engine.address("test"));
        assert!(kept(&engine) < 1 << 20, "an arena is sparse");
        let bytes = pattern(each);
        let calls: Vec<_> = (0..count).map(|_| client.start().echo_bytes(&bytes)).collect();
        let (during, touched) = (kept(&engine), (count * each) as u64);
        assert!(during >= touched, "{during} bytes kept for {touched} in flight");
        for call in calls {
            assert!(call.wait().unwrap() == bytes);
        }
        // No call is made that could do it. The first 8 MiB stay, so that usual calls find their pages warm; beside
        // them there are lines and slots' buffers.
        wait_until("the memory of a burst", || (kept(&engine) <= 10 << 20).then_some(()));
        still_works(&client, &engine);
    }
}

/// Row C3: what is only announced takes no memory, neither by a frame nor by a head of HTTP.
#[test]
fn bodies_that_are_announced_take_no_memory_before_they_come() {
    const EACH: u32 = 12 << 20;
    const BEGUN: usize = 1000;
    let engine = engine("");
    let [worker] = engine.workers()[..] else { panic!("one worker") };
    let address = engine.tcp_address("test");
    let client = connect(&address);
    assert_eq!(client.echo("before").unwrap(), "before");
    let before = proc::resident_bytes(worker);
    let begin = [b'x'; BEGUN];
    let peers: Vec<Peer> = (0..60)
        .map(|number| {
            let http = number % 2 == 0;
            let mut peer = if http { Peer::mute(&address) } else { Peer::plain(&address) };
            let head = if http {
                format!("POST /test/echo HTTP/1.1\r\nHost: a\r\nContent-Length: {EACH}\r\n\r\n").into_bytes()
            } else {
                Header::plain(peer.kind(1, ECHO), EACH).to_bytes().to_vec()
            };
            peer.socket.write_all(&[&head[..], &begin].concat()).unwrap();
            peer
        })
        .collect();
    // Who comes behind them is answered behind them.
    assert_eq!(connect(&address).echo("behind").unwrap(), "behind");
    let more = proc::resident_bytes(worker).saturating_sub(before);
    assert!(more < 12 << 20, "{more} bytes more for {} beginnings of {EACH} bytes", peers.len());
    drop(peers);
    still_works(&client, &engine);
}

/// Large bodies over a socket come and go by memory that is there: no page is mapped anew for each.
#[test]
fn large_bodies_over_a_socket_take_no_new_pages() {
    const CALLS: u64 = 50;
    let engine = engine("");
    let [worker] = engine.workers()[..] else { panic!("one worker") };
    let client = connect(&engine.tcp_address("test"));
    let bytes = pattern(1 << 20);
    let call = || assert!(client.echo_bytes(&bytes).unwrap() == bytes);
    (0..20).for_each(|_| call());
    let before = proc::minor_faults(worker);
    (0..CALLS).for_each(|_| call());
    let each = (proc::minor_faults(worker) - before) / CALLS;
    // Its request and its reply have 512 pages.
    assert!(each < 16, "{each} pages were mapped anew for each call");
}
