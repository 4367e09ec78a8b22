//! A neighbour's p99 while twenty browsers watch the dashboard, against that while nobody does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread::JoinHandle;

use super::neighbours::{Plan, call_for};
use super::spread::Spread;
use crate::harness::Home;
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
        let updates: Vec<usize> = watchers.into_iter().map(Watcher::end).collect();
        // One a second, of which the first came at once.
        let expected = usize::try_from(plan.span.as_secs()).unwrap_or(usize::MAX).max(1);
        assert!(updates.iter().all(|updates| *updates >= expected), "watchers saw {updates:?} updates, not {expected}");
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

/// Reads an event stream until its end.
struct Watcher(TcpStream, JoinHandle<usize>);

impl Watcher {
    fn start(address: &str) -> Self {
        let mut socket = TcpStream::connect(address).expect("the dashboard listens");
        let request = format!("GET /events?page=/services/test HTTP/1.1\r\nHost: {address}\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("it reads");
        let reader = BufReader::new(socket.try_clone().expect("descriptors are left"));
        let updates = |line: &std::io::Result<String>| line.as_ref().is_ok_and(|line| line.starts_with("data:"));
        Self(socket, std::thread::spawn(move || reader.lines().filter(updates).count()))
    }

    /// Hangs up; how many updates came.
    fn end(self) -> usize {
        let Self(socket, reader) = self;
        socket.shutdown(Shutdown::Both).expect("nobody has hung up");
        reader.join().expect("it only reads")
    }
}
