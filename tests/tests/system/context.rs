//! What a handler is told of its call, over each transport.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::geteuid;
use speedysvc::{Code, Outcome};
use speedysvc_tests::handlers_service::HandlersClient;
use speedysvc_tests::harness::{Engine, wait_until};

use crate::fixture::{LONG, soon};

/// An engine with the service whose handlers run in all ways; `more` are lines of its table.
pub fn engine(more: &str) -> Engine {
    let listen = if more.contains("listen") { "" } else { "listen = [\"tcp://127.0.0.1:0\"]" };
    Engine::start(&format!("[service.handlers]\nprogram = \"handlers-service\"\n{listen}\n{more}\n"))
}

pub fn connect(address: &str) -> HandlersClient {
    let client = HandlersClient::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    client.with_timeout(LONG)
}

/// Where a handler notes what it has come to.
pub struct Note(PathBuf);

impl Note {
    pub fn new(engine: &Engine, name: &str) -> Self {
        Self(engine.home().path().join(name))
    }

    pub fn path(&self) -> &str {
        self.0.to_str().expect("folders of tests have plain names")
    }

    pub fn wait_for(&self, what: &str) {
        wait_until(what, || fs::read_to_string(&self.0).ok().filter(|noted| noted == what));
    }
}

#[test]
fn a_handler_knows_its_call_its_caller_and_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let unix = format!("unix://{}", folder.path().join("socket").display());
    let engine = engine(&format!("listen = [\"tcp://127.0.0.1:0\", \"{unix}\"]"));
    let me = format!("user {}", geteuid().as_raw());
    for (address, call, peer) in [
        (engine.address("handlers"), "link ", me.as_str()),
        (unix, "frame ", me.as_str()),
        (engine.tcp_address("handlers"), "frame ", "127.0.0.1:"),
    ] {
        let client = connect(&address).with_timeout(Duration::from_secs(1_000));
        let about = client.about().unwrap();
        assert!(about.call.as_ref().is_some_and(|named| named.starts_with(call)), "{address}: {about:?}");
        assert!(about.peer.as_ref().is_some_and(|named| named.starts_with(peer)), "{address}: {about:?}");
        assert!(about.left_ms.is_some_and(|left| (500_000..=1_000_100).contains(&left)), "{address}: {about:?}");
        assert!(!about.is_cancelled, "{address}: {about:?}");
        let shorter = client.with_timeout(Duration::from_secs(400)).about().unwrap();
        assert!(shorter.left_ms.is_some_and(|left| left < 400_100), "{address}: {shorter:?}");
    }
}

#[test]
fn a_handler_on_the_loop_hears_that_its_caller_in_shared_memory_waits_no_more() {
    let engine = engine("");
    let client = connect(&engine.address("handlers"));
    let note = Note::new(&engine, "dropped");
    let call = client.start().until_cancelled(note.path());
    note.wait_for("begun");
    drop(call);
    soon("the handler's end", || note.wait_for("over"));
}

#[test]
fn a_handler_on_the_loop_hears_that_its_deadline_has_passed() {
    let engine = engine("");
    for (name, address) in [("shm", engine.address("handlers")), ("tcp", engine.tcp_address("handlers"))] {
        let note = Note::new(&engine, name);
        let hasty = connect(&address).with_timeout(Duration::from_millis(100));
        // Both look at the same clock: the handler's answer may come before its caller has given up.
        if let Err(error) = soon("the deadline", || hasty.until_cancelled(note.path())) {
            let told = (error.code(), error.outcome());
            assert_eq!(told, (Code::DeadlineExceeded, Outcome::Unknown), "{address}: {error}");
        }
        note.wait_for("over");
    }
}
