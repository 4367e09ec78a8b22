//! What all modules use: an engine with the test service, `ctl`, and a load whose every failure is kept.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use speedysvc_tests::harness::{Ended, Engine, Home, wait_for};
use speedysvc_tests::test_service::TestServiceClient;

/// A file with the test service; `more` are lines of its table.
pub fn file(more: &str) -> String {
    let restart = "restart = { backoff = \"10ms..100ms\" }";
    format!("[service.test]\nprogram = \"test-service\"\nlisten = [\"tcp://127.0.0.1:0\"]\n{restart}\n{more}\n")
}

/// An engine with the test service.
pub fn engine(more: &str) -> Engine {
    Engine::start(&file(more))
}

/// `speedysvc-engine ctl ...` of this home.
pub fn ctl(home: &Home, words: &[&str]) -> Ended {
    let mut command = home.command("speedysvc-engine");
    command.arg("ctl").arg("--run-dir").arg(home.run_dir()).args(words);
    Ended::of(command)
}

/// The same, which must succeed.
#[track_caller]
pub fn ctl_well(home: &Home, words: &[&str]) -> String {
    let ended = ctl(home, words);
    assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
    ended.out
}

/// The status as JSON.
pub fn status(home: &Home) -> Value {
    let ended = ctl(home, &["status", "--json"]);
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// What the status says of one service.
pub fn service(home: &Home, name: &str) -> Value {
    let status = status(home);
    let services = status["services"].as_array().cloned().unwrap_or_default();
    services.into_iter().find(|service| service["name"] == name).unwrap_or_else(|| panic!("no {name}: {status}"))
}

/// The processes that serve.
pub fn ready_pids(home: &Home, name: &str) -> Vec<u64> {
    let service = service(home, name);
    let workers = service["workers"].as_array().cloned().unwrap_or_default();
    let ready = workers.iter().filter(|worker| worker["state"] == "ready");
    let mut pids: Vec<u64> = ready.filter_map(|worker| worker["pid"].as_u64()).collect();
    pids.sort_unstable();
    pids
}

/// Replaces text in the file.
pub fn edit(home: &Home, from: &str, to: &str) {
    let text = fs::read_to_string(home.config()).expect("the file is there");
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(home.config(), text.replace(from, to)).expect("the file can be written");
}

/// Whether the engine's standard error has a line with this text; waits for it.
pub fn says(engine: &Engine, text: &str) {
    wait_for(text, || engine.err().iter().any(|line| line.contains(text)));
}

/// Clients that call without a pause; TCP ones connect anew for each call.
pub struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(engine: &Engine) -> Self {
        let (stop, calls, failures) = (Arc::default(), Arc::default(), Arc::default());
        let mut load = Self { stop, calls, failures, callers: Vec::new() };
        let shm = connect(&engine.address("test"));
        load.spawn(move || shm.echo("over shared memory").map(drop).map_err(|error| error.to_string()));
        let address = engine.tcp_address("test");
        load.spawn(move || {
            let client = TestServiceClient::connect(&address).map_err(|error| format!("connect: {error}"))?;
            client.with_timeout(LONG).echo("over TCP").map(drop).map_err(|error| error.to_string())
        });
        load.wait_for_more();
        load
    }

    fn spawn(&mut self, call: impl Fn() -> Result<(), String> + Send + 'static) {
        let (stop, calls, failures) = (Arc::clone(&self.stop), Arc::clone(&self.calls), Arc::clone(&self.failures));
        self.callers.push(thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                match call() {
                    Ok(()) => drop(calls.fetch_add(1, Ordering::Relaxed)),
                    Err(error) => failures.lock().expect("no caller panics").push(error),
                }
            }
        }));
    }

    /// Waits until calls are answered that were begun after this.
    pub fn wait_for_more(&self) {
        let before = self.calls.load(Ordering::Relaxed);
        wait_for("calls", || self.calls.load(Ordering::Relaxed) > before + 20);
    }

    /// How many calls were answered; none may have failed.
    #[track_caller]
    pub fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.callers.into_iter().for_each(|caller| caller.join().expect("callers do not panic"));
        let failures = self.failures.lock().expect("no caller panics");
        assert_eq!(failures.len(), 0, "{:?}", &failures[..failures.len().min(10)]);
        self.calls.load(Ordering::Relaxed)
    }
}

/// A deadline that never comes.
pub const LONG: Duration = Duration::from_secs(60);

/// A client whose calls have all the time that they may need.
pub fn connect(address: &str) -> TestServiceClient {
    let client = TestServiceClient::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    client.with_timeout(LONG)
}
