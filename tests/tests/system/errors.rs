//! What goes wrong is told as it is.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use speedysvc::untyped::{self, Reply};
use speedysvc::{CallError, Code, Outcome};
use speedysvc_tests::harness::{Home, wait_until};
use speedysvc_tests::test_service::{AppError, Overflow, TestServiceClient};

use crate::fixture::{Gate, LONG, SOON, addresses, connect, engine, soon};

mod other {
    //! The same service as a client sees it that was built from another source.

    #[speedysvc::service(name = "test")]
    pub trait Reshaped {
        fn echo(&self, text: &str, times: u32) -> String;
    }

    #[speedysvc::service(name = "test")]
    pub trait Longer {
        fn echo(&self, text: &str) -> String;
        fn shout(&self, text: &str) -> String;
    }

    /// Some of the methods, in another order.
    #[speedysvc::service(name = "test")]
    pub trait Shorter {
        fn pid(&self) -> u32;
        fn echo(&self, text: &str) -> String;
    }

    #[speedysvc::data]
    pub struct Overflow {
        pub after: u32,
    }

    #[speedysvc::service(name = "test")]
    pub trait Retyped {
        fn sum(&self, numbers: &speedysvc::Archived<Vec<u64>>) -> Result<u64, Overflow>;
    }

    #[speedysvc::service(name = "best")]
    pub trait Renamed {
        fn echo(&self, text: &str) -> String;
    }
}

#[test]
fn another_contract_is_refused_when_connecting() {
    let engine = engine("");
    for address in addresses(&engine) {
        let error = other::ReshapedClient::connect(&address).err().unwrap();
        assert_eq!((error.code(), error.outcome()), (Code::FailedPrecondition, Outcome::NotStarted), "{error}");
        for text in ["`echo(&str) -> String`", "`echo(&str, u32) -> String`", "test"] {
            assert!(error.message().contains(text), "`{text}` is missing: {error}");
        }
        let error = other::LongerClient::connect(&address).err().unwrap();
        assert_eq!(error.code(), Code::Unimplemented, "{error}");
        assert!(error.message().contains("`shout`") && error.message().contains("echo_bytes"), "{error}");
        let error = other::RetypedClient::connect(&address).err().unwrap();
        assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
        assert!(error.message().contains("sum") && error.message().contains("other fields"), "{error}");
        let error = other::RenamedClient::connect(&address).err().unwrap();
        assert_eq!(error.code(), Code::NotFound, "{error}");
        assert!(error.message().contains("`test`") && error.message().contains("`best`"), "{error}");
    }
}

#[test]
fn a_client_may_know_less_than_the_service() {
    let engine = engine("");
    for address in addresses(&engine) {
        let client = other::ShorterClient::connect(&address).unwrap();
        assert_eq!(client.echo("hi").unwrap(), "hi");
        assert_eq!(engine.workers(), [client.pid().unwrap()]);
    }
}

#[test]
fn an_unknown_method_is_named_with_those_that_there_are() {
    let engine = engine("");
    for address in addresses(&engine) {
        let error = untyped::call(&address, "ecko", b"null", Some(LONG)).unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::Unimplemented, Outcome::NotStarted), "{error}");
        assert!(error.message().contains("`ecko`") && error.message().contains("echo"), "{error}");
    }
}

#[test]
fn errors_of_methods_keep_their_types() {
    let engine = engine("");
    for address in addresses(&engine) {
        let client = connect(&address);
        client.fail("well").unwrap();
        assert_eq!(client.fail("").unwrap_err(), CallError::App(AppError::Empty));
        let text = "a text that is longer than what is stored in its place".to_owned();
        let length = text.len() as u64;
        assert_eq!(client.fail(&text).unwrap_err(), CallError::App(AppError::Wrong { text, length }));
        assert_eq!(client.sum(&vec![u64::MAX, 1]).unwrap_err(), CallError::App(Overflow { after: 1 }));
        let json = |method, body: &[u8]| untyped::call(&address, method, body, Some(LONG)).unwrap();
        assert_eq!(json("fail", b"\"\""), Reply::Application(b"\"Empty\"".to_vec()));
        assert_eq!(json("sum", b"[18446744073709551615,1]"), Reply::Application(b"{\"after\":1}".to_vec()));
    }
}

#[test]
fn a_panic_is_an_internal_error_with_its_text() {
    let engine = engine("");
    for address in addresses(&engine) {
        let client = connect(&address);
        let long = "größe ".repeat(20_000);
        for text in ["", "oh no", &long] {
            let error = client.panic(text).unwrap_err();
            assert_eq!((error.code(), error.outcome()), (Code::Internal, Outcome::Done), "{error}");
            assert!(error.message().contains(text.get(..8).unwrap_or(text)), "{error}");
        }
        assert_eq!(client.echo("hi").unwrap(), "hi");
    }
}

#[test]
fn nobody_there_is_told_within_a_second() {
    let home = Home::new("");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, tried) in
        [(home.address("test"), "test.sock".to_owned()), (format!("tcp://{free}"), free.to_string())]
    {
        // A machine that is busy may hold up one attempt, and not all.
        let fastest = (0..5).map(|_| {
            let begin = Instant::now();
            let error = TestServiceClient::connect(&address).err().unwrap();
            assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::NotStarted), "{error}");
            assert!(error.message().contains(&tried), "{error}");
            begin.elapsed()
        });
        assert!(fastest.min().unwrap() < Duration::from_secs(1));
    }
}

#[test]
fn a_call_ends_at_its_deadline_and_the_client_goes_on() {
    let engine = engine("");
    for (address, name) in addresses(&engine).iter().zip(["a", "b"]) {
        let client = connect(address);
        let gate = Gate::new(&engine.home(), name);
        let held = gate.hold(&client.with_timeout(Duration::from_secs(1)));
        gate.wait_for(1);
        let error = held.end().unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::Unknown), "{error}");
        gate.open();
        assert_eq!(client.echo("hi").unwrap(), "hi");
    }
}

#[test]
fn the_deadline_is_kept() {
    let engine = engine("");
    for address in addresses(&engine) {
        let client = connect(&address);
        let begin = Instant::now();
        let error = client.with_timeout(Duration::from_millis(400)).sleep_ms(3000).unwrap_err();
        let took = begin.elapsed();
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
        // Not started where the machine was so slow that nobody took it in time.
        assert!(matches!(error.outcome(), Outcome::Unknown | Outcome::NotStarted), "{error}");
        assert!(took >= Duration::from_millis(390) && took < SOON, "{took:?}");
        assert_eq!(client.echo("hi").unwrap(), "hi");
    }
}

#[test]
fn a_call_that_nobody_takes_in_time_has_not_started() {
    let engine = engine("");
    let client = connect(&engine.address("test"));
    let (gate, file) = (Gate::new(&engine.home(), "gate"), engine.home().path().join("notes"));
    let held = gate.hold(&client);
    gate.wait_for(1);
    let note = |timeout: Duration| client.with_timeout(timeout).note(file.to_str().unwrap(), "line");
    let error = soon("the deadline", || note(Duration::from_millis(200)).unwrap_err());
    assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::NotStarted), "{error}");
    gate.open();
    held.end().unwrap();
    note(LONG).unwrap();
    assert_eq!(std::fs::read_to_string(file).unwrap(), "line\n", "a call that had not started ran after all");
}

/// Nobody takes a call back for which nobody waits yet: the worker looks at the clock itself, also in a pass in which a
/// handler took long. (How long a call has lain in a socket is not known there: over TCP it may be begun.)
#[test]
fn a_call_whose_time_is_over_in_the_queue_does_not_run() {
    let engine = engine("");
    let (client, gate) = (connect(&engine.address("test")), Gate::new(&engine.home(), "gate"));
    let file = engine.home().path().join("late");
    let held = client.start().hold(&gate.path());
    gate.wait_for(1);
    let (timeout, begun) = (Duration::from_millis(100), Instant::now());
    let late = client.with_timeout(timeout).start().note(file.to_str().unwrap(), "it ran");
    wait_until("the end of its time", || (begun.elapsed() > timeout * 2).then_some(()));
    gate.open();
    held.wait().unwrap();
    // Whatever came before this has been dealt with.
    client.echo("hi").unwrap();
    assert!(!file.exists(), "it ran");
    let error = late.wait().unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::NotStarted), "{error}");
}

#[test]
fn the_files_deadline_holds_for_calls_that_bring_none() {
    let engine = engine("limits = { deadline = \"300ms\" }");
    for address in addresses(&engine) {
        let client = TestServiceClient::connect(&address).unwrap();
        let error = soon("the deadline", || client.sleep_ms(2000).unwrap_err());
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
    }
}

#[test]
fn broken_arguments_do_not_reach_the_method() {
    let engine = engine("");
    for address in addresses(&engine) {
        for body in [&b"7"[..], b"{", b"[\"a\", \"b\"]", b"{\"tekst\": \"a\"}", b"", b"\xff"] {
            let error = untyped::call(&address, "echo", body, Some(LONG)).unwrap_err();
            assert_eq!((error.code(), error.outcome()), (Code::InvalidArgument, Outcome::NotStarted), "{error}");
        }
    }
}

#[test]
fn every_length_of_time_is_a_deadline() {
    let engine = engine("");
    for address in addresses(&engine) {
        let client = connect(&address);
        let error = client.with_timeout(Duration::ZERO).echo("hi").unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::NotStarted), "{error}");
        for timeout in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_nanos(u64::MAX), LONG * 100_000] {
            assert_eq!(client.with_timeout(timeout).echo("hi").unwrap(), "hi", "{timeout:?}");
        }
    }
}

/// Under overload the time of a worker goes to calls of which somebody still hears.
#[test]
fn a_call_that_cannot_be_answered_in_time_is_not_started_while_others_wait() {
    let engine = engine("");
    for (number, address) in addresses(&engine).iter().enumerate() {
        let (client, gate) = (connect(address), Gate::new(&engine.home(), &format!("gate{number}")));
        let file = engine.home().path().join(format!("ran{number}"));
        let file = file.to_str().unwrap();
        // From now on it is known that this method takes so long.
        client.mark(file, "first", 5_000).unwrap();
        let held = client.start().hold(&gate.path());
        gate.wait_for(1);
        let hasty = client.with_timeout(Duration::from_secs(3)).start().mark(file, "hasty", 0);
        let patient = client.start().mark(file, "patient", 0);
        gate.open();
        held.wait().unwrap();
        let error = hasty.wait().unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::DeadlineExceeded, Outcome::NotStarted), "{error}");
        assert!(error.message().contains("others wait"), "{address}: {error}");
        patient.wait().unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "first\npatient\n", "{address}");
    }
}
