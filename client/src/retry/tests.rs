use speedysvc_protocol::status::{Failure, RetryAfter};

use super::*;

const MS: u64 = 1_000_000;
const START: u64 = 5_000 * MS;

/// A call under a clock of its own: what happens to it is said, and what it does is told.
struct Call {
    retries: Retries,
    budget: Budget,
    at: Moment,
}

impl Call {
    fn new(is_idempotent: bool, timeout_ms: u64) -> Self {
        let deadline = Deadline::after_ns(START, Duration::from_millis(timeout_ms));
        let at = Moment { now_ns: START, deadline, is_idempotent, calls: 0, luck: u64::MAX };
        Self { retries: Retries::default(), budget: Budget::new(START), at }
    }

    /// The attempt fails; when there is to be another, time goes on until then.
    fn fails(&mut self, failed: Failed) -> Result<(), Error> {
        let failed = self.retries.unless_final(failed, self.at.now_ns, self.at.deadline)?;
        let pause = self.retries.after(failed, self.at, &mut self.budget)?;
        self.at.now_ns += u64::try_from(pause.as_nanos()).unwrap();
        Ok(())
    }

    /// It fails again and again: how often it was tried, and the last error.
    fn tried(&mut self, failed: fn() -> Failed) -> Error {
        (0..10_000).find_map(|_| self.fails(failed()).err()).expect("it ends")
    }
}

fn not_started() -> Failed {
    Failed::Call(Stop::again("the worker takes no new calls"))
}

fn unknown() -> Failed {
    Failed::Call(Error::unknown(Code::Unavailable, "the worker that had taken the call died").into())
}

fn full() -> Failed {
    let after = RetryAfter::at_least(Duration::from_millis(16));
    Failed::Call(Stop::told(Failure::not_started(Code::ResourceExhausted, "the queue is full").later(after).into()))
}

fn no_connection() -> Failed {
    Failed::Connect(Error::not_started(Code::Unavailable, "nobody listens"))
}

#[test]
fn what_may_have_run_is_made_again_only_when_that_does_no_harm() {
    let error = Call::new(false, 30_000).fails(unknown()).unwrap_err();
    assert_eq!((error.outcome(), error.attempts()), (Outcome::Unknown, 1));
    Call::new(true, 30_000).fails(unknown()).unwrap();
    for is_idempotent in [false, true] {
        Call::new(is_idempotent, 30_000).fails(not_started()).unwrap();
        let done = Error::done(Code::Internal, "the handler panicked");
        assert!(Call::new(is_idempotent, 30_000).fails(Failed::Call(Stop::told(done))).is_err());
        let late = Error::unknown(Code::DeadlineExceeded, "no answer");
        assert!(Call::new(is_idempotent, 30_000).fails(Failed::Call(late.into())).is_err());
    }
}

#[test]
fn who_may_have_run_once_is_never_said_not_to_have_started() {
    let mut call = Call::new(true, 30_000);
    call.fails(unknown()).unwrap();
    let error = call.tried(no_connection);
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert!(error.to_string().contains("attempts"), "{error}");
}

/// A request that crashes every worker it meets must not go through all of them.
#[test]
fn a_call_under_which_two_workers_were_lost_is_not_made_a_third_time() {
    let mut call = Call::new(true, 30_000);
    let error = call.tried(unknown);
    assert_eq!((error.outcome(), error.attempts()), (Outcome::Unknown, 2));
    assert!(error.message().contains("two workers were lost"), "{error}");
    // What did not start has harmed nobody.
    let mut call = Call::new(true, 30_000);
    call.fails(unknown()).unwrap();
    (0..20).for_each(|_| call.fails(not_started()).unwrap());
    assert!(call.fails(unknown()).is_err());
}

#[test]
fn no_attempt_begins_after_the_deadline() {
    for timeout in [1, 7, 40, 300] {
        let mut call = Call::new(true, timeout);
        let error = call.tried(not_started);
        assert!(call.at.now_ns < call.at.deadline.ns(), "{timeout} ms");
        assert_eq!(error.outcome(), Outcome::NotStarted);
    }
    // Without luck, pauses of 0, 5, 10, 20, 40 and 80 ms.
    for (timeout, attempts) in [(155, 6), (156, 7)] {
        let mut call = Call::new(true, timeout);
        call.at.luck = 0;
        assert_eq!(call.tried(not_started).attempts(), attempts);
    }
}

#[test]
fn a_connection_is_waited_for_when_there_was_one() {
    assert_eq!(Call::new(false, 30_000).tried(no_connection).attempts(), 1);
    let mut call = Call::new(false, 30_000);
    call.fails(not_started()).unwrap();
    let error = call.tried(no_connection);
    let waited = call.at.now_ns - START;
    assert!((1000 * MS..1200 * MS).contains(&waited), "{waited} ns");
    assert_eq!((error.outcome(), error.code()), (Outcome::NotStarted, Code::Unavailable));
    let mut call = Call::new(false, 30_000);
    call.fails(not_started()).unwrap();
    let refused = Error::not_started(Code::FailedPrecondition, "the contract differs");
    assert_eq!(call.fails(Failed::Connect(refused)).unwrap_err().attempts(), 2);
}

/// 16 ms are said as 16,384 microseconds.
#[test]
fn who_finds_no_room_comes_back_when_the_service_says_and_not_all_at_once() {
    for (luck, pause_us) in [(0, 16_384), (u64::MAX, 24_575)] {
        let mut call = Call::new(false, 30_000);
        call.at.luck = luck;
        call.fails(full()).unwrap();
        assert_eq!((call.at.now_ns - START) / 1_000, pause_us);
    }
    // Whose time is up before that hears it at once, and when there would be room.
    let mut call = Call::new(false, 16);
    let error = call.fails(full()).unwrap_err();
    assert_eq!((error.outcome(), error.attempts(), call.at.now_ns), (Outcome::NotStarted, 1, START));
    assert_eq!(error.retry_after(), Some(Duration::from_micros(16_384)));
    // A service that has too much to do is not asked for free, and not by who does not know when.
    let mut call = Call::new(false, 30_000);
    while call.budget.take(START, 0) {}
    assert_eq!(call.tried(full).attempts(), 1);
    let silent = || Failed::Call(Stop::told(Error::not_started(Code::ResourceExhausted, "too large")));
    assert_eq!(Call::new(true, 30_000).tried(silent).attempts(), 1);
    // Our own pauses may be longer than that.
    let mut call = Call::new(false, 30_000);
    (0..8).for_each(|_| call.fails(full()).unwrap());
    let before = call.at.now_ns;
    call.fails(full()).unwrap();
    assert!(call.at.now_ns - before > 100 * MS);
}

#[test]
fn retries_end_with_the_budget() {
    let mut call = Call::new(true, 1_000_000_000);
    call.at.luck = 0;
    while call.budget.take(START, 0) {}
    let error = call.tried(unknown);
    assert_eq!(error.attempts(), 1);
    assert!(error.message().contains("a tenth of this client's calls"), "{error}");
    // What did not start is made again once even so: a worker that leaves loses no call.
    let mut call = Call::new(true, 1_000_000_000);
    while call.budget.take(START, 0) {}
    assert_eq!(call.tried(not_started).attempts(), 2);
    // In the long run one in ten.
    let mut call = Call::new(true, 1_000_000_000);
    while call.budget.take(START, 0) {}
    let (mut made_again, calls) = (0, 10_000);
    for _ in 0..calls {
        call.at.calls += 1;
        call.retries = Retries::default();
        made_again += u64::from(call.fails(unknown()).is_ok());
    }
    assert_eq!(made_again, calls / 10);
}

/// Whoever judges a first attempt by when its call began says what is said later with a look at the clock.
#[test]
fn what_is_final_when_a_call_begins_is_final_with_the_same_error_when_it_fails() {
    let attempts = [not_started, unknown, full, || Failed::Call(Error::done(Code::Internal, "it panicked").into())];
    let mut finals = 0;
    for (attempt, timeout_ms, late_ms) in
        attempts.iter().flat_map(|attempt| [(attempt, 10, 0), (attempt, 16, 3), (attempt, 17, 9), (attempt, 30_000, 5)])
    {
        let (Failed::Call(stop), mut call) = (attempt(), Call::new(true, timeout_ms)) else { unreachable!() };
        if stop.is_final(START, call.at.deadline) {
            call.at.now_ns += late_ms * MS;
            assert_eq!(call.fails(attempt()).unwrap_err(), stop.error, "{timeout_ms} ms");
            finals += 1;
        }
    }
    assert_eq!(finals, 6, "a panic always, and a full queue when that is longer than the call has");
}
