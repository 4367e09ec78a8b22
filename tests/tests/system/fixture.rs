//! What all modules use: an engine with the test service, its clients, and gates that hold a handler.

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use speedysvc::Error;
use speedysvc_tests::harness::{Engine, Home, wait_until};
use speedysvc_tests::test_service::TestServiceClient;

/// "At once" on a machine that does ten other things, and still far below any deadline of ours.
pub const SOON: Duration = Duration::from_secs(20);
/// A deadline that never comes.
pub const LONG: Duration = Duration::from_secs(60);

/// A file with the test service; `more` are lines of its table.
pub fn file(more: &str) -> String {
    let restart = "restart = { backoff = \"10ms..100ms\" }";
    format!("[service.test]\nprogram = \"test-service\"\nlisten = [\"tcp://127.0.0.1:0\"]\n{restart}\n{more}\n")
}

/// An engine with the test service; `more` are lines of its table.
pub fn engine(more: &str) -> Engine {
    Engine::start(&file(more))
}

/// Where the test service is, over each transport.
pub fn addresses(engine: &Engine) -> [String; 2] {
    [engine.address("test"), engine.tcp_address("test")]
}

/// A client whose calls have all the time that they may need.
pub fn connect(address: &str) -> TestServiceClient {
    let client = TestServiceClient::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    client.with_timeout(LONG)
}

/// Holds handlers: each notes its process when it comes in, and goes on when the gate is opened.
pub struct Gate(PathBuf);

impl Gate {
    pub fn new(home: &Home, name: &str) -> Self {
        Self(home.path().join(name))
    }

    /// As handlers take it.
    pub fn path(&self) -> String {
        self.0.to_str().expect("folders of tests have plain names").to_owned()
    }

    /// A call in a thread of its own that stays in its handler.
    pub fn hold(&self, client: &TestServiceClient) -> Held {
        let (client, gate) = (client.clone(), self.path());
        Held(thread::spawn(move || client.hold(&gate)))
    }

    /// Waits until so many handlers came in, and gives their processes.
    pub fn wait_for(&self, count: usize) -> Vec<u32> {
        wait_until("handlers to come in", || {
            let noted = fs::read_to_string(self.0.with_extension("in")).ok()?;
            let pids: Vec<u32> = noted.lines().map(|pid| pid.parse().expect("a number")).collect();
            (pids.len() >= count).then_some(pids)
        })
    }

    /// Whether any handler came in.
    pub fn was_entered(&self) -> bool {
        self.0.with_extension("in").exists()
    }

    pub fn open(&self) {
        fs::write(self.0.with_extension("out"), "").expect("the gate can be opened");
    }
}

/// A call in a handler.
pub struct Held(JoinHandle<Result<u32, Error>>);

impl Held {
    /// Waits for its end.
    pub fn end(self) -> Result<u32, Error> {
        self.0.join().expect("the caller does not panic")
    }
}

/// Does something that must be over soon, and gives its result.
pub fn soon<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = act();
    let took = begin.elapsed();
    assert!(took < SOON, "{what} took {took:?}");
    result
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest executor: it looks only when it is woken.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        thread::park();
    }
}
