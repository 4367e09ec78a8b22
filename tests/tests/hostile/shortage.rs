//! Where there is no memory for a link, or no descriptors: its client is told, by whoever lacks it, and the log says
//! whose client that was. The others go on, and when there is room again so does everybody.

use std::fs;
use std::time::Duration;

use rustix::process::Resource;
use speedysvc::{Code, Error, Outcome};
use speedysvc_tests::harness::proc;
use speedysvc_tests::test_service::TestServiceClient;

use crate::siege::{As, Siege};

/// What a worker may still map: less than the arena of a link, and enough for all else that it does.
const ROOM: u64 = 16 << 20;

/// One call on a new link. In order, as others are made again until their deadline: there may be room by then.
fn call(siege: &Siege) -> Result<String, Error> {
    let client = TestServiceClient::connect_in_order(&siege.engine.address("test"))?;
    client.with_timeout(Duration::from_secs(60)).echo("hi")
}

/// How the log names this process.
fn me() -> String {
    format!("pid {} (user {})", std::process::id(), rustix::process::geteuid().as_raw())
}

#[test]
fn a_worker_without_memory_for_a_link() {
    let siege = Siege::begin("");
    let worker = siege.engine.workers()[0];
    let before = proc::limit(worker, Resource::As, Some(proc::mapped_bytes(worker) + ROOM));
    let error = call(&siege).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::NotStarted), "{error}");
    assert!(error.message().contains("the service hung up"), "{error}");
    siege.said(&[&me(), "was hung up on", "has no room for its link", "Cannot allocate memory", "raise the limits"]);
    // The worker lives, and has kept nothing of what it could not map.
    siege.is_as_before();
    proc::limit(worker, Resource::As, before);
    assert_eq!(call(&siege).unwrap(), "hi");
    siege.end();
}

/// The engine maps no link: what it may lack is descriptors.
#[test]
fn an_engine_without_descriptors_for_a_link() {
    /// For the client's socket and one more, and not for the five that a link takes.
    const LEFT: usize = 3;
    let siege = Siege::begin("");
    let engine = siege.engine.pid();
    let used: Vec<u64> = {
        let files = fs::read_dir(format!("/proc/{engine}/fd")).unwrap();
        files.filter_map(|file| file.ok()?.file_name().to_str()?.parse().ok()).collect()
    };
    let most = (0..).filter(|fd| !used.contains(fd)).nth(LEFT).unwrap();
    let before = proc::limit(engine, Resource::Nofile, Some(most));
    let error = call(&siege).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::ResourceExhausted, Outcome::NotStarted), "{error}");
    assert!(error.message().contains("the engine cannot make a link: Too many open files"), "{error}");
    siege.said(&[&me(), "was refused", "the engine cannot make a link: Too many open files"]);
    siege.is_as_before();
    proc::limit(engine, Resource::Nofile, before);
    assert_eq!(call(&siege).unwrap(), "hi");
    siege.end();
}

#[test]
fn a_client_without_memory_for_its_link() {
    for who in As::each() {
        let siege = Siege::begin("");
        let fought = siege.withstands("poor", who, 1);
        let refused = fought.lines.iter().find(|line| line.starts_with("refused: ")).unwrap();
        assert!(refused.contains("this process has no memory for the link"), "{refused}");
        assert!(refused.contains("Cannot allocate memory"), "{refused}");
        siege.end();
    }
}
