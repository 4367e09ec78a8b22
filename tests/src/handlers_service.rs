//! A service whose handlers run in every way that there is. Its program is `handlers-service`.

use std::fs;
use std::future::{pending, poll_fn};
use std::path::Path;
use std::sync::{Condvar, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use speedysvc::Archived;

use crate::harness::poll::{let_pass, wait_for};
use crate::test_service::TestServiceClient;

/// What a handler is told of its call.
#[speedysvc::data]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// The call, as the log names it.
    pub call: Option<String>,
    /// Who calls.
    pub peer: Option<String>,
    /// Time left, in milliseconds.
    pub left_ms: Option<u64>,
    /// Whether it is cancelled.
    pub is_cancelled: bool,
    /// The name of the thread.
    pub thread: String,
}

impl About {
    /// What is known here and now.
    #[must_use]
    pub fn this_call() -> Self {
        let context = speedysvc::context();
        let left = context.time_left();
        Self {
            call: context.call().map(|call| call.to_string()),
            peer: context.peer().map(|peer| peer.to_string()),
            left_ms: left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            is_cancelled: context.is_cancelled(),
            thread: std::thread::current().name().unwrap_or_default().to_owned(),
        }
    }
}

/// Handlers of all kinds.
#[speedysvc::service(name = "handlers")]
pub trait Handlers {
    /// What a handler on the loop is told.
    fn about(&self) -> About;
    /// Notes that it began, stays until nobody waits for it, and notes that.
    fn until_cancelled(&self, file: &str);
    /// As `about`, beside the loop.
    #[method(blocking)]
    fn about_blocking(&self) -> About;
    /// As `until_cancelled`, beside the loop.
    #[method(blocking)]
    fn until_cancelled_blocking(&self, file: &str);
    /// Notes that it began, stays until there is a `GATE.out`, and gives the bytes back.
    #[method(blocking)]
    fn hold_blocking(&self, gate: &str, bytes: &[u8]) -> Vec<u8>;
    /// The same on the loop; without a gate it takes several milliseconds, so that it is known to run long.
    fn hold(&self, gate: &str, bytes: &[u8]) -> Vec<u8>;
    /// Waits until so many of these calls are there at once.
    #[method(blocking)]
    fn meet_blocking(&self, count: u32) -> u32;
    /// Panics with this text, beside the loop.
    #[method(blocking)]
    fn panic_blocking(&self, text: &str);
    /// Ends the worker as a crash does, beside the loop.
    #[method(blocking)]
    fn die_blocking(&self);
    /// As `about`, in pieces, behind a wake from another thread.
    async fn about_async(&self) -> About;
    /// Waits until so many of these calls are there at once.
    async fn meet(&self, count: u32) -> Result<u32, Refused>;
    /// Notes that it began, waits for ever, and notes when it is dropped.
    async fn until_dropped(&self, file: &str);
    /// Gives the bytes back, from a view that lives across an await.
    async fn echo_async(&self, bytes: &[u8], numbers: &Archived<Vec<u64>>) -> Vec<u8>;
    /// Panics behind an await.
    async fn panic_async(&self, text: &str);
    /// Sleeps as tokio's libraries do, where there is no runtime.
    async fn sleep_without_runtime(&self);
    /// Sleeps as tokio's libraries do, in a task of its own.
    #[method(runtime = "tokio")]
    async fn sleep_in_tokio(&self, ms: u64) -> About;
    /// As `until_dropped`, in the runtime.
    #[method(runtime = "tokio")]
    async fn until_dropped_in_tokio(&self, file: &str);
    /// Repeats a text.
    fn repeat(&self, text: &str, #[default(2)] times: u32, #[default("-")] between: &str) -> String;
    /// The trace that the call belongs to, whatever is given.
    fn trace_of(&self, bytes: &[u8]) -> Option<String>;
    /// Logs a text, and has the test service at an address do the same. The trace that the call belongs to.
    fn relay(&self, to: &str, text: &str) -> Option<String>;
    /// The same, beside the loop.
    #[method(blocking)]
    fn relay_blocking(&self, to: &str, text: &str) -> Option<String>;
    /// The same, in pieces.
    async fn relay_async(&self, to: &str, text: &str) -> Option<String>;
    /// The same, in the runtime.
    #[method(runtime = "tokio")]
    async fn relay_in_tokio(&self, to: &str, text: &str) -> Option<String>;
    /// Nothing has to be given.
    fn count(&self, #[default(vec![1, 2, 3])] numbers: Vec<u64>) -> u64;
}

/// A meeting of nobody.
#[speedysvc::data]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused;

/// The service.
#[derive(Debug, Default)]
pub struct AllWays {
    /// Who waits for the others, and how many have come.
    meeting: Mutex<(u32, Vec<Waker>)>,
    met: Condvar,
}

#[speedysvc::service]
impl Handlers for AllWays {
    fn about(&self) -> About {
        About::this_call()
    }

    fn until_cancelled(&self, file: &str) {
        until_cancelled(file);
    }

    fn about_blocking(&self) -> About {
        About::this_call()
    }

    fn until_cancelled_blocking(&self, file: &str) {
        until_cancelled(file);
    }

    fn hold_blocking(&self, gate: &str, bytes: &[u8]) -> Vec<u8> {
        hold(gate);
        bytes.to_vec()
    }

    fn hold(&self, gate: &str, bytes: &[u8]) -> Vec<u8> {
        if gate.is_empty() {
            let_pass(Duration::from_millis(5))
        } else {
            hold(gate)
        }
        bytes.to_vec()
    }

    fn meet_blocking(&self, count: u32) -> u32 {
        let mut meeting = self.meeting.lock().unwrap();
        meeting.0 += 1;
        self.met.notify_all();
        while meeting.0 < count {
            meeting = self.met.wait(meeting).unwrap();
        }
        meeting.0
    }

    fn panic_blocking(&self, text: &str) {
        panic!("{text}");
    }

    fn die_blocking(&self) {
        std::process::abort();
    }

    async fn about_async(&self) -> About {
        woken_by_another_thread().await;
        About::this_call()
    }

    async fn meet(&self, count: u32) -> Result<u32, Refused> {
        if count == 0 {
            return Err(Refused);
        }
        self.meeting.lock().unwrap().0 += 1;
        poll_fn(|polling| {
            let mut meeting = self.meeting.lock().unwrap();
            if meeting.0 >= count {
                meeting.1.drain(..).for_each(Waker::wake);
                return Poll::Ready(Ok(meeting.0));
            }
            meeting.1.push(polling.waker().clone());
            Poll::Pending
        })
        .await
    }

    async fn until_dropped(&self, file: &str) {
        note(file, "begun");
        let _dropped = NoteOnDrop(file);
        pending::<()>().await;
    }

    async fn echo_async(&self, bytes: &[u8], numbers: &Archived<Vec<u64>>) -> Vec<u8> {
        woken_by_another_thread().await;
        let sum: u64 = numbers.iter().map(|number| number.to_native()).sum();
        [bytes, &sum.to_le_bytes()].concat()
    }

    async fn panic_async(&self, text: &str) {
        woken_by_another_thread().await;
        panic!("{text}");
    }

    async fn sleep_without_runtime(&self) {
        pass_in_tokio(1).await;
    }

    async fn sleep_in_tokio(&self, ms: u64) -> About {
        tokio::spawn(pass_in_tokio(ms)).await.unwrap();
        About::this_call()
    }

    async fn until_dropped_in_tokio(&self, file: &str) {
        note(file, "begun");
        let _dropped = NoteOnDrop(file);
        pending::<()>().await;
    }

    fn repeat(&self, text: &str, times: u32, between: &str) -> String {
        (0..times).map(|_| text).collect::<Vec<_>>().join(between)
    }

    fn trace_of(&self, _bytes: &[u8]) -> Option<String> {
        this_trace()
    }

    fn relay(&self, to: &str, text: &str) -> Option<String> {
        relay(to, text)
    }

    fn relay_blocking(&self, to: &str, text: &str) -> Option<String> {
        relay(to, text)
    }

    async fn relay_async(&self, to: &str, text: &str) -> Option<String> {
        relay_async(to, text).await
    }

    async fn relay_in_tokio(&self, to: &str, text: &str) -> Option<String> {
        relay_async(to, text).await
    }

    fn count(&self, numbers: Vec<u64>) -> u64 {
        numbers.len() as u64
    }
}

fn this_trace() -> Option<String> {
    speedysvc::context().trace().map(|trace| trace.to_string())
}

fn test_service(address: &str) -> TestServiceClient {
    TestServiceClient::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"))
}

fn relay(to: &str, text: &str) -> Option<String> {
    tracing::info!("{text}");
    test_service(to).log(text).expect("it logs");
    this_trace()
}

async fn relay_async(to: &str, text: &str) -> Option<String> {
    woken_by_another_thread().await;
    tracing::info!("{text}");
    test_service(to).start().log(text).await.expect("it logs");
    this_trace()
}

/// Not ready at first; another thread says that it is.
async fn woken_by_another_thread() {
    let mut thread = None;
    poll_fn(|polling| {
        let waker = polling.waker().clone();
        if thread.is_some() {
            return Poll::Ready(());
        }
        thread = Some(std::thread::spawn(move || waker.wake()));
        Poll::Pending
    })
    .await;
}

/// Needs tokio's timer.
async fn pass_in_tokio(ms: u64) {
    let never = tokio::time::timeout(Duration::from_millis(ms), pending::<()>());
    assert!(never.await.is_err(), "it is never ready");
}

struct NoteOnDrop<'a>(&'a str);

impl Drop for NoteOnDrop<'_> {
    fn drop(&mut self) {
        note(self.0, "over");
    }
}

fn hold(gate: &str) {
    note(gate, "begun");
    let out = format!("{gate}.out");
    wait_for("the gate to open", || Path::new(&out).exists());
}

fn until_cancelled(file: &str) {
    note(file, "begun");
    let context = speedysvc::context();
    wait_for("somebody to give up", || context.is_cancelled());
    note(file, "over");
}

/// Writes what a handler has come to.
fn note(file: &str, what: &str) {
    fs::write(Path::new(file), what).unwrap_or_else(|error| panic!("{file}: {error}"));
}
