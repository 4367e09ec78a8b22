//! No call of a connection runs twice, whatever its peer repeats and whoever dies meanwhile (decision 0052). Over
//! shared memory sequences give the same: rules 7 and 8 of the slot protocol, and their models in `protocol/src/shm`.

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use speedysvc::Server;
use speedysvc_protocol::frame::Kind;
use speedysvc_protocol::hello::{Hello, Refusal};
use speedysvc_protocol::status::{Code, Status};
use speedysvc_tests::chaos::record;
use speedysvc_tests::chaos::service::RECORD_ENV;
use speedysvc_tests::harness::{Home, proc, program, wait_until};

use crate::frames::Peer;

#[speedysvc::service]
trait Diary {
    fn note(&self, word: u64) -> u64;
    #[method(blocking)]
    fn note_beside(&self, word: u64) -> u64;
}

/// Writes down what its handlers are called with.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u64>>>);

#[speedysvc::service]
impl Diary for Written {
    fn note(&self, word: u64) -> u64 {
        self.0.lock().unwrap().push(word);
        word
    }

    fn note_beside(&self, word: u64) -> u64 {
        self.note(word)
    }
}

fn hello() -> Hello {
    let mut hello = Hello::by_name("diary", "note");
    hello.methods.extend(Hello::by_name("diary", "note_beside").methods);
    hello
}

/// What a peer sends: the ids of its calls, and of each whether it runs beside the loop and how long its frame is.
fn calls() -> impl Strategy<Value = Vec<(u64, bool, usize)>> {
    let padding = prop_oneof![8 => Just(0_usize), 1 => Just(100_000)];
    prop::collection::vec((0..20_u64, any::<bool>(), padding), 1..12)
}

/// The oracle: calls run as long as each has a greater id than the ones before.
fn expected(calls: &[(u64, bool, usize)]) -> usize {
    let repeats = |place: &usize| calls[..*place].iter().any(|(before, ..)| *before >= calls[*place].0);
    (0..calls.len()).find(repeats).unwrap_or(calls.len())
}

#[test]
fn whatever_a_peer_repeats_no_call_runs_twice() {
    let (folder, written) = (tempfile::tempdir().unwrap(), Written::default());
    let server = Server::new(written.clone()).folder(folder.path()).listen("tcp://127.0.0.1:0");
    let running = server.start().unwrap();
    let address = running.addresses().find(|address| address.starts_with("tcp://")).expect("it listens");
    // Each call of all cases has a word of its own: what ends late is nobody else's.
    let words = AtomicU64::new(0);
    // A service that is silent about a repeat is waited for at each case: so it is made simpler for a while only.
    let config = Config { failure_persistence: None, cases: 128, max_shrink_time: 10_000, ..Config::default() };
    TestRunner::new(config)
        .run(&calls(), |calls| {
            let first = words.fetch_add(calls.len() as u64, Ordering::Relaxed);
            let mut peer = Peer::greet_as(&address, &hello());
            let mut frames = Vec::new();
            for (word, (id, beside, padding)) in (first..).zip(&calls) {
                // White space in front of a number makes a longer frame of the same call.
                frames.extend(peer.call(*id, usize::from(*beside), &format!("{}{word}", " ".repeat(*padding))));
            }
            // The service may end the connection before it has read all of this.
            peer.socket.write_all(&frames).ok();
            let run = expected(&calls);
            let is_fault = run < calls.len();
            let (mut replies, mut refused) = (Vec::new(), None);
            // Behind a repeat comes the end. If all are answered, none was refused.
            while replies.len() < calls.len() {
                match peer.hear() {
                    Some((header, body)) if matches!(header.kind, Kind::Reply { .. }) => replies.push(body),
                    Some((_, body)) => refused = Some(serde_json::from_slice::<Refusal>(&body).unwrap()),
                    None => break,
                }
            }
            prop_assert_eq!(refused.as_ref().map(|refusal| refusal.code), is_fault.then_some(Code::InvalidArgument));
            prop_assert!(refused.is_none_or(|refusal| refusal.message.contains("must grow")));
            let own = first..first + calls.len() as u64;
            let mut ran: Vec<u64> =
                written.0.lock().unwrap().iter().copied().filter(|word| own.contains(word)).collect();
            ran.sort_unstable();
            let all_may: Vec<u64> = own.take(run).collect();
            // What waits beside the loop when its connection ends is not begun any more.
            prop_assert!(ran.windows(2).all(|pair| pair[0] != pair[1]), "{:?} ran", ran);
            prop_assert!(ran.iter().all(|word| all_may.contains(word)), "{:?} ran of {:?}", ran, all_may);
            prop_assert!(is_fault || ran == all_may);
            Ok(())
        })
        .unwrap();
    drop(running);
    // Also of what ended after its case.
    let mut all = written.0.lock().unwrap().clone();
    all.sort_unstable();
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "a call ran twice");
}

/// Sends each of its calls twice, at once or behind the answer, and connects again when it is cut off.
fn stutter(address: &str, numbers: std::ops::Range<u64>) -> u64 {
    let (mut cut_off, hello) = (0, Hello::by_name("chaos", "run"));
    let (mut peer, mut id) = (None, 0);
    for number in numbers {
        let connected = peer.get_or_insert_with(|| {
            id = 0;
            wait_until("a worker to welcome", || Peer::try_to_greet(address, &hello))
        });
        id += 1;
        let call = connected.call(id, 0, &format!(r#"{{"id":{number},"reply_len":0,"payload":""}}"#));
        let (at_once, many) = (number % 2 == 0, number % 7 == 0);
        connected.socket.write_all(&call.repeat(if at_once { 2 } else { 1 })).ok();
        let mut heard = connected.hear();
        if !at_once && heard.is_some() && many {
            connected.socket.write_all(&call).ok();
            heard = connected.hear();
        }
        // Either the answer came first, and then the end; or the worker was killed.
        while let Some((header, _)) = &heard {
            cut_off += u64::from(header.kind == Kind::Refused);
            let Kind::Reply { status, .. } = header.kind else { break };
            assert_eq!(status, Status::Ok);
            if !at_once {
                break;
            }
            heard = connected.hear();
        }
        if at_once || many || heard.is_none() {
            peer = None;
        }
    }
    cut_off
}

/// The oracle is the record that handlers append to before they answer: each number stands in it once at most.
#[test]
fn nothing_runs_twice_for_peers_that_stutter_while_workers_are_killed() {
    const PEERS: u64 = 4;
    const EACH: u64 = 300;
    let home = Home::new("");
    let path = home.path().join("record");
    let toml = format!(
        "run_dir = 'run'\n[web]\nlisten = false\n[service.chaos]\nprogram = '{}'\nworkers = 2\n\
         listen = ['tcp://127.0.0.1:0']\nrestart = {{ backoff = '10ms..100ms', limit = 'none' }}\n\
         env = {{ {RECORD_ENV} = '{}' }}\n",
        program("chaos-service").display(),
        path.display()
    );
    std::fs::write(home.config(), toml).unwrap();
    let mut engine = home.start();
    let address = engine.tcp_address("chaos");
    let (mut kills, mut cut_off) = (0_usize, 0);
    thread::scope(|scope| {
        let stutter_on = |peer: u64| {
            let address = address.clone();
            scope.spawn(move || stutter(&address, peer * EACH..(peer + 1) * EACH))
        };
        let peers: Vec<_> = (0..PEERS).map(stutter_on).collect();
        while !peers.iter().all(thread::ScopedJoinHandle::is_finished) {
            let workers = engine.workers();
            if let [first, second] = workers[..] {
                proc::kill(if kills.is_multiple_of(2) { first } else { second });
                kills += 1;
                wait_until("another worker", || {
                    let now = engine.workers();
                    (now.len() == 2 && now != workers).then_some(())
                });
            }
        }
        cut_off = peers.into_iter().map(|peer| peer.join().unwrap()).sum();
    });
    assert_eq!(engine.stop(), 0);
    engine.wait_for_no_worker();
    let mut runs: HashMap<u64, u32> = HashMap::new();
    record::read(&path).unwrap().iter().for_each(|record| *runs.entry(record.id).or_default() += 1);
    let doubled: Vec<_> = runs.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "{} calls ran more than once, such as {:?}", doubled.len(), &doubled[..1]);
    assert!(kills > 0 && cut_off > PEERS * EACH / 4, "{kills} kills, {cut_off} repeats refused");
    assert!(runs.len() as u64 > PEERS * EACH / 2, "only {} of the calls ran", runs.len());
}
