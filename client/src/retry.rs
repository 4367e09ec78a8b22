//! Whether a call that gave nothing is made again, and when. Pure: time, luck and the count of calls are given.

mod backoff;
mod budget;

use std::time::Duration;

use speedysvc_protocol::status::{Code, Outcome};

use crate::call::{Again, Stop};
use crate::clock::Deadline;
use crate::error::Error;
pub(crate) use backoff::Backoff;
pub(crate) use budget::Budget;

/// How long a call whose connection broke goes on trying to connect: a service that is started again is back by then.
/// Calls that find no connection to begin with fail at once.
const COMES_BACK: Duration = Duration::from_secs(1);

/// A call under which so many workers were lost is not made again: it may be what they died of.
const LOST_MAX: u32 = 2;

/// Why an attempt at a call gave nothing.
pub(crate) enum Failed {
    /// There was no connection.
    Connect(Error),
    /// There was one.
    Call(Stop),
}

impl Failed {
    /// How long the service wants to be left alone: what it says, and up to half as much again, so that those who were
    /// refused together do not come back together.
    fn not_before(&self, luck: u64) -> Duration {
        match self {
            Self::Call(Stop { error, again: Again::Later }) => {
                error.retry_after().map_or(Duration::ZERO, |after| after + backoff::jittered(after, luck) - after / 2)
            }
            _ => Duration::ZERO,
        }
    }

    /// For a call that is not made again.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Connect(error) | Self::Call(Stop { error, .. }) => error,
        }
    }
}

/// What is known when an attempt has failed.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now_ns: u64,
    /// Of the call.
    pub(crate) deadline: Deadline,
    /// Whether running the method twice does no more than running it once, by the service's word.
    pub(crate) is_idempotent: bool,
    /// Calls that this client has made so far.
    pub(crate) calls: u64,
    /// A random number, for jitter.
    pub(crate) luck: u64,
}

/// The attempts at one call.
#[derive(Default)]
pub(crate) struct Retries {
    attempts: u32,
    /// An attempt ended of which nobody knows whether it ran: whatever comes after, the call may have run.
    may_have_run: bool,
    /// Workers that were lost while they had the call.
    lost: u32,
    /// Until when a lost connection is made anew; set whenever one was lost.
    comes_back: Option<Deadline>,
    backoff: Backoff,
}

impl Retries {
    /// The pause before the next attempt, or why there is none.
    pub(crate) fn after(&mut self, failed: Failed, at: Moment, budget: &mut Budget) -> Result<Duration, Error> {
        self.attempts += 1;
        let not_before = failed.not_before(at.luck);
        let (error, verdict) = self.judge(failed, at);
        if matches!(verdict, Verdict::No) {
            return Err(self.end(error));
        }
        let pause = self.backoff.next(at.luck).max(not_before);
        if at.deadline <= Deadline::after_ns(at.now_ns, pause) {
            return Err(self.end(error));
        }
        match verdict {
            Verdict::Paid if !budget.take(at.now_ns, at.calls) => Err(self.end(no_budget(error))),
            _ => Ok(pause),
        }
    }

    /// The end of a call that is not made again whatever luck and budget there are; else what failed. Known before they
    /// are looked at, so that a refusal costs its caller little more than an answer.
    pub(crate) fn unless_final(&mut self, failed: Failed, now_ns: u64, deadline: Deadline) -> Result<Failed, Error> {
        let is_final = |stop: &Stop| stop.is_final(now_ns, deadline);
        if !matches!(&failed, Failed::Call(stop) if is_final(stop)) {
            return Ok(failed);
        }
        self.attempts += 1;
        Err(self.end(failed.into_error()))
    }

    fn judge(&mut self, failed: Failed, at: Moment) -> (Error, Verdict) {
        match failed {
            Failed::Connect(error) => {
                let hope = self.comes_back.is_some_and(|until| until.ns() > at.now_ns);
                let verdict = if hope && error.code() == Code::Unavailable { Verdict::Free } else { Verdict::No };
                (error, verdict)
            }
            Failed::Call(Stop { error, again }) => {
                self.comes_back = Some(Deadline::after_ns(at.now_ns, COMES_BACK));
                self.may_have_run |= error.outcome() != Outcome::NotStarted;
                self.lost += u32::from(again == Again::IfIdempotent);
                let verdict = match again {
                    // The first one costs the service nothing: nobody has done any work for it.
                    Again::NotStarted if self.attempts == 1 => Verdict::Free,
                    Again::NotStarted | Again::Later => Verdict::Paid,
                    Again::IfIdempotent if at.is_idempotent && self.lost >= LOST_MAX => {
                        return (poison(error), Verdict::No);
                    }
                    Again::IfIdempotent if at.is_idempotent => Verdict::Paid,
                    Again::IfIdempotent | Again::Never => Verdict::No,
                };
                (error, verdict)
            }
        }
    }

    /// What the caller is told in the end.
    fn end(&self, error: Error) -> Error {
        let outcome = if self.may_have_run && error.outcome() == Outcome::NotStarted {
            Outcome::Unknown
        } else {
            error.outcome()
        };
        // A service in this process has made all its attempts in one of ours.
        let attempts = self.attempts.max(error.attempts());
        error.with_outcome(outcome).after_attempts(attempts)
    }
}

enum Verdict {
    No,
    Free,
    /// From the client's budget.
    Paid,
}

fn poison(error: Error) -> Error {
    error.within("not made a third time, as two workers were lost while they had it")
}

fn no_budget(error: Error) -> Error {
    error.within("not made again, as a tenth of this client's calls are retries already")
}

#[cfg(test)]
mod tests;
