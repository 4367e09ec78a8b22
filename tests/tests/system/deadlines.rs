//! A call that a handler makes is part of the call that it serves: it has what is left of that, and no more.

use std::time::Duration;

use speedysvc::{Running, Server};

use crate::fixture::LONG;

#[speedysvc::service]
pub trait Back {
    /// What the caller has left, in milliseconds.
    fn left_ms(&self) -> u64;
}

#[speedysvc::service]
pub trait Front {
    /// Asks that service, with a time of its own, what it is told is left.
    fn ask(&self, back: &str, own_ms: u64) -> Result<u64, String>;
    /// The same from a thread which knows nothing of this call.
    fn ask_apart(&self, back: &str) -> Result<u64, String>;
}

struct Behind;

#[speedysvc::service]
impl Back for Behind {
    fn left_ms(&self) -> u64 {
        let left = speedysvc::context().time_left().map(|left| left.as_millis());
        left.and_then(|left| u64::try_from(left).ok()).unwrap_or(u64::MAX)
    }
}

struct Before;

fn ask(back: &str, own: Duration) -> Result<u64, String> {
    let asked = BackClient::connect(back).and_then(|client| client.with_timeout(own).left_ms());
    asked.map_err(|error| error.to_string())
}

#[speedysvc::service]
impl Front for Before {
    fn ask(&self, back: &str, own_ms: u64) -> Result<u64, String> {
        ask(back, Duration::from_millis(own_ms))
    }

    fn ask_apart(&self, back: &str) -> Result<u64, String> {
        std::thread::scope(|scope| scope.spawn(|| ask(back, LONG * 2)).join().unwrap())
    }
}

fn start(folder: &std::path::Path, server: Server) -> Running {
    server.folder(folder).listen("tcp://127.0.0.1:0").start().unwrap()
}

#[test]
fn a_call_inside_a_handler_has_what_is_left_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (front, back) = (start(folder.path(), Server::new(Before)), start(folder.path(), Server::new(Behind)));
    for (front, back) in front.addresses().zip(back.addresses()) {
        let client = FrontClient::connect(&front).unwrap().with_timeout(LONG);
        let long = u64::try_from((LONG * 2).as_millis()).unwrap();
        let left = client.ask(&back, long).unwrap();
        assert!(left <= 60_100, "{left} ms at {back}: more than the call had that it is part of");
        // Its own time, where that is less.
        let left = client.ask(&back, 30_000).unwrap();
        assert!(left <= 30_100, "{left} ms at {back}");
        let left = client.ask_apart(&back).unwrap();
        assert!(left > 60_100, "{left} ms at {back}: another thread is not part of the call");
    }
    front.stop().unwrap();
    back.stop().unwrap();
}
