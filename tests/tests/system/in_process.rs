//! Services in the caller's own process, as users' unit tests have them: the same codecs, errors and retries as over
//! any transport, and faults that come as a test says.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use speedysvc::{CallError, Code, Fault, Faults, Outcome};
use speedysvc_tests::handlers_service::{AllWays, HandlersClient, Refused};
use speedysvc_tests::test_service::{AppError, Obedient, TestServiceClient};

use crate::fixture::{LONG, SOON, block_on};

#[speedysvc::service]
pub trait Ledger {
    /// Adds, and may not be run twice.
    fn add(&self, number: u32) -> u32;
    /// The sum.
    #[method(idempotent)]
    fn sum(&self) -> u32;
}

/// Counts how often its handlers ran, for the oracle.
#[derive(Clone, Default)]
struct Counted {
    runs: Arc<AtomicU32>,
    added: Arc<Mutex<Vec<u32>>>,
}

#[speedysvc::service]
impl Ledger for Counted {
    fn add(&self, number: u32) -> u32 {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let mut added = self.added.lock().unwrap();
        added.push(number);
        added.iter().sum()
    }

    fn sum(&self) -> u32 {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.added.lock().unwrap().iter().sum()
    }
}

fn with(faults: &[Option<Fault>]) -> (LedgerClient, Counted) {
    let service = Counted::default();
    let faults = Faults::script(faults.iter().copied());
    (LedgerClient::in_process_with_faults(service.clone(), faults).unwrap(), service)
}

fn runs(service: &Counted) -> u32 {
    service.runs.load(Ordering::Relaxed)
}

#[test]
fn a_unit_test_calls_handlers_without_an_engine() {
    let client = TestServiceClient::in_process(Obedient).unwrap();
    assert_eq!(client.echo("hello").unwrap(), "hello");
    assert_eq!(client.echo_bytes(&[7; 100_000]).unwrap(), [7; 100_000]);
    assert_eq!(client.pid().unwrap(), std::process::id());
    assert!(matches!(client.fail("so"), Err(CallError::App(AppError::Wrong { text, .. })) if text == "so"));
    let panicked = client.panic("on purpose").unwrap_err();
    assert_eq!((panicked.code(), panicked.outcome()), (Code::Internal, Outcome::Done), "{panicked}");
    assert_eq!(client.echo("still there").unwrap(), "still there");
    let started = [client.start().echo("a"), client.start().echo("b")];
    let [first, second] = started;
    assert_eq!((block_on(first).unwrap(), second.wait().unwrap()), ("a".to_owned(), "b".to_owned()));
    assert_eq!(client.connected_to(), "this process");
}

#[test]
fn another_service_is_refused_as_at_connecting() {
    let error = LedgerClient::in_process(Obedient).map(|_| ()).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::NotFound, Outcome::NotStarted), "{error}");
}

#[test]
fn what_was_refused_before_it_began_is_made_again() {
    let (client, service) = with(&[Some(Fault::Refuse(Code::Unavailable)); 2]);
    assert_eq!((client.add(7).unwrap(), runs(&service)), (7, 1));
    let (client, service) = with(&[Some(Fault::Refuse(Code::PermissionDenied))]);
    let error = client.add(7).unwrap_err();
    assert_eq!((error.code(), error.attempts(), runs(&service)), (Code::PermissionDenied, 1, 0), "{error}");
}

#[test]
fn who_finds_no_room_comes_again_when_there_is_time_for_that() {
    let minute = Duration::from_secs(60);
    let (client, service) = with(&[Some(Fault::Busy(minute)); 2]);
    let error = client.add(7).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::ResourceExhausted, Outcome::NotStarted), "{error}");
    assert!(error.retry_after().is_some_and(|after| (minute..2 * minute).contains(&after)), "{error}");
    assert_eq!((error.attempts(), runs(&service)), (1, 0), "there were 30 s");
    let patient = client.with_timeout(4 * minute);
    assert_eq!((patient.add(7).unwrap(), runs(&service)), (7, 1));
}

#[test]
fn what_may_have_run_is_made_again_only_with_the_services_promise() {
    for (lost, ran) in [(Fault::LoseRequest, 0), (Fault::LoseReply, 1)] {
        let (client, service) = with(&[Some(lost)]);
        let error = client.add(7).unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown), "{error}");
        assert_eq!(runs(&service), ran);
        let (client, service) = with(&[Some(lost)]);
        assert_eq!((client.sum().unwrap(), runs(&service)), (0, ran + 1));
    }
    let (client, service) = with(&[Some(Fault::LoseReply); 2]);
    let error = client.sum().unwrap_err();
    assert_eq!(
        (error.attempts(), error.outcome(), runs(&service)),
        (2, Outcome::Unknown, 2),
        "two lost workers: {error}"
    );
}

#[test]
fn delays_count_against_the_deadline_and_nobody_waits_for_them() {
    let begun = Instant::now();
    let hour = Duration::from_secs(3600);
    let (client, service) = with(&[Some(Fault::Delay(hour)), Some(Fault::Delay(hour)), Some(Fault::Delay(hour))]);
    assert_eq!(client.with_timeout(hour + Duration::from_secs(1)).add(7).unwrap(), 7);
    for timeout in [hour, Duration::from_millis(20)] {
        let error = client.with_timeout(timeout).add(1).unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::Unknown), "{error}");
    }
    assert_eq!(runs(&service), 3);
    assert!(begun.elapsed() < SOON);
}

/// The outcome that a client is told is never a lie, whatever goes wrong: what it says did not start did not run, what
/// it says ran ran once, and nothing that may not be run twice is.
#[test]
fn outcomes_are_true_for_every_seed() {
    for seed in 0..200 {
        let service = Counted::default();
        let faults = Faults::seeded(seed, 40);
        let client = LedgerClient::in_process_with_faults(service.clone(), faults).unwrap().with_timeout(LONG);
        for number in 1..=40 {
            let told = client.add(number);
            let ran = service.added.lock().unwrap().iter().filter(|added| **added == number).count();
            let (least, most) = match &told {
                Ok(_) => (1, 1),
                Err(error) if error.outcome() == Outcome::NotStarted => (0, 0),
                Err(_) => (0, 1),
            };
            assert!(
                (least..=most).contains(&ran),
                "seed {seed}: {number} ran {ran} times, and its caller was told {told:?}"
            );
        }
    }
}

/// Handlers that are `async fn` run to their end, also those that need tokio, and inside a runtime of the caller's.
#[test]
fn a_unit_test_calls_async_handlers_too() {
    let client = HandlersClient::in_process(AllWays::default()).unwrap();
    let act = || {
        assert_eq!(client.echo_async(b"ab", &vec![1, 2]).unwrap()[..2], *b"ab");
        assert_eq!(client.meet(0).unwrap_err(), CallError::App(Refused));
        assert_eq!(client.sleep_in_tokio(1).unwrap().call, None);
        assert_eq!(client.start().sleep_in_tokio(1).wait().unwrap().call, None);
        let panicked = client.panic_async("on purpose").unwrap_err();
        assert_eq!((panicked.code(), panicked.outcome()), (Code::Internal, Outcome::Done));
    };
    act();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async { act() });
}
