//! A neighbour's p99 while twenty browsers watch the dashboard, against that while nobody does.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread::JoinHandle;

use super::neighbours::{Plan, call_for};
use super::spread::Spread;
use crate::harness::{Home, wait_for};
use crate::test_service::TestServiceClient;

const WATCHERS: usize = 20;

/// Measures rounds of nobody, watchers, and nobody again, and prints what came out.
///
/// # Panics
/// When the dashboard or a call fails: that is no question of cost.
pub fn measure(plan: &Plan) {
    let workers = plan.workers;
    let service = format!("[service.test]\nprogram = \"test-service\"\nworkers = {workers}\n");
    let home = Home::new(&format!("[web]\nlisten = \"127.0.0.1:0\"\nhistory = false\n{service}"));
    let mut engine = home.start();
    let line = engine.process().wait_for_line("dashboard: http://");
    let address = line.trim_start_matches("dashboard: http://").trim_end_matches('/').to_owned();
    let client = TestServiceClient::connect(&engine.address("test")).expect("the service is there");
    println!("watchers of the dashboard: {plan:?}");
    let p99 = || Spread::of(call_for(&client, plan)).percentile(99);
    let mut rounds = Vec::new();
    for _ in 0..plan.rounds {
        let before = p99();
        let watchers: Vec<Watcher> = (0..WATCHERS).map(|_| Watcher::start(&address)).collect();
        let beside = p99();
        drop(watchers);
        rounds.push([before, beside, p99()]);
    }
    let alone = Spread::of(rounds.iter().flat_map(|[before, _, after]| [*before, *after]).collect());
    let beside = Spread::of(rounds.iter().map(|[_, beside, _]| *beside).collect());
    let (low, high) = alone.median_of(plan.rounds);
    let (low, high) = (low / alone.median(), high / alone.median());
    let ratio = beside.median() / alone.median();
    let within = if ratio <= high { "yes" } else { "NO" };
    println!("p99 in µs, alone {alone}, with {WATCHERS} watchers {beside}: {ratio:.2} of it");
    println!("medians of {} of those alone are {low:.2}..{high:.2} of it; within: {within}", plan.rounds);
}

/// Reads an event stream until it is dropped.
struct Watcher(TcpStream, Option<JoinHandle<()>>);

impl Watcher {
    fn start(address: &str) -> Self {
        let mut socket = TcpStream::connect(address).expect("the dashboard listens");
        let request = format!("GET /events?page=/services/test HTTP/1.1\r\nHost: {address}\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("it reads");
        let mut reader = socket.try_clone().expect("descriptors are left");
        let mut first = [0; 12];
        reader.read_exact(&mut first).expect("it answers");
        assert_eq!(&first, b"HTTP/1.1 200");
        let follow = move || {
            let mut bytes = [0; 4096];
            while reader.read(&mut bytes).is_ok_and(|count| count > 0) {}
        };
        Self(socket, Some(std::thread::spawn(follow)))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It may have been hung up on, which would show in the number of watchers only.
        self.0.shutdown(Shutdown::Both).ok();
        if let Some(thread) = self.1.take() {
            wait_for("the end of a watcher", || thread.is_finished());
        }
    }
}
