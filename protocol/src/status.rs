//! What a caller may be told, and whether its call ran.

use std::fmt;
use std::num::NonZeroU8;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::MESSAGE_TEXT_MAX;

/// gRPC's canonical status codes, by their numbers.
///
/// Source: <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(u8)]
pub enum Code {
    /// The call was cancelled by its caller.
    Cancelled = 1,
    /// Nobody can say what happened.
    Unknown = 2,
    /// The arguments make no sense whatever the state of the service.
    InvalidArgument = 3,
    /// The deadline passed first.
    DeadlineExceeded = 4,
    /// What was asked for does not exist.
    NotFound = 5,
    /// What was to be made exists.
    AlreadyExists = 6,
    /// The caller may not do this.
    PermissionDenied = 7,
    /// A limit was reached; the message names it.
    ResourceExhausted = 8,
    /// The service is not in the state that the call needs.
    FailedPrecondition = 9,
    /// The call was given up, for instance by a conflict.
    Aborted = 10,
    /// A value is outside its range.
    OutOfRange = 11,
    /// The service has no such method, codec or version.
    Unimplemented = 12,
    /// The service broke: a panic, a bug.
    Internal = 13,
    /// The service cannot be reached or is going away. Trying again may help.
    Unavailable = 14,
    /// Data is lost or corrupt.
    DataLoss = 15,
    /// The caller did not say who it is.
    Unauthenticated = 16,
}

impl Code {
    /// All of them, by their numbers.
    pub const ALL: [Self; 16] = [
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code with this number; numbers that are not known (or 0, "ok") become [`Code::Unknown`].
    #[must_use]
    pub fn from_wire(number: u8) -> Self {
        Self::ALL.into_iter().find(|code| *code as u8 == number).unwrap_or(Self::Unknown)
    }

    /// The code's name in gRPC's spelling, such as `DEADLINE_EXCEEDED`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

/// Whether a call that failed has run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Outcome {
    /// The handler ran to its end (or to its panic).
    Done = 0,
    /// No handler saw the call. Trying again cannot run it twice.
    NotStarted = 1,
    /// It may have run, wholly or in part, or not at all.
    Unknown = 2,
}

impl Outcome {
    /// The outcome with this number; numbers that are not known mean [`Outcome::Unknown`].
    #[must_use]
    pub fn from_wire(number: u8) -> Self {
        match number {
            0 => Self::Done,
            1 => Self::NotStarted,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "the call ran",
            Self::NotStarted => "the call did not start",
            Self::Unknown => "the call may have run",
        })
    }
}

/// After which time a call that was refused for want of room may be made again. It is an estimate, so powers of two
/// will do: a byte says them, from 64 microseconds to 19 hours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RetryAfter(NonZeroU8);

impl RetryAfter {
    /// The longest, as the byte says it.
    const MAX: u8 = 31;
    /// What the byte counts doublings of.
    const UNIT_NS: u64 = 32_000;

    /// The shortest one that is not shorter than this.
    #[must_use]
    pub fn at_least(time: Duration) -> Self {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let units = ns.div_ceil(Self::UNIT_NS).max(1);
        let byte = u8::try_from(units.next_power_of_two().trailing_zeros()).unwrap_or(Self::MAX);
        Self(NonZeroU8::new(byte.min(Self::MAX)).unwrap_or(NonZeroU8::MIN))
    }

    /// How long that is.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_micros(32 << self.0.get())
    }

    /// What a byte from the wire says; 0 says nothing.
    fn from_wire(byte: u8) -> Option<Self> {
        NonZeroU8::new(byte.min(Self::MAX)).map(Self)
    }
}

/// A reply's first word: what its body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// The body is the method's result.
    Ok,
    /// The body is the method's own, typed error.
    Application,
    /// The body is a text for people.
    Failed(Code, Outcome),
    /// The same for a call that did not start, for want of room: when to try again.
    Later(Code, RetryAfter),
    /// Shared memory only: the result is ready, but larger than the buffer; the length says how large.
    Need,
}

impl Status {
    /// The word on the wire: kind, code, outcome, and when to try again, a byte each.
    #[inline]
    #[must_use]
    pub fn to_wire(self) -> u32 {
        match self {
            Self::Ok => 0,
            Self::Application => 1,
            Self::Failed(code, outcome) => 2 | (code as u32) << 8 | (outcome as u32) << 16,
            Self::Later(code, after) => {
                2 | (code as u32) << 8 | (Outcome::NotStarted as u32) << 16 | u32::from(after.0.get()) << 24
            }
            Self::Need => 3,
        }
    }

    /// What a word from the wire means; a kind that is not known is a failure whose outcome is not known.
    #[inline]
    #[must_use]
    pub fn from_wire(word: u32) -> Self {
        let [kind, code, outcome, after] = word.to_le_bytes();
        match kind {
            0 => Self::Ok,
            1 => Self::Application,
            2 => match (Code::from_wire(code), Outcome::from_wire(outcome), RetryAfter::from_wire(after)) {
                (code, Outcome::NotStarted, Some(after)) => Self::Later(code, after),
                (code, outcome, _) => Self::Failed(code, outcome),
            },
            3 => Self::Need,
            _ => Self::Failed(Code::Unknown, Outcome::Unknown),
        }
    }
}

/// A call that ended without a result: what to tell the caller.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure.
    pub code: Code,
    /// Whether the call ran.
    pub outcome: Outcome,
    /// For people: what happened, whose fault it is, what to do next.
    pub message: String,
    /// When a call that did not start, for want of room, may be made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<RetryAfter>,
}

impl Failure {
    /// A failure of a call that no handler saw.
    #[must_use]
    pub fn not_started(code: Code, message: impl Into<String>) -> Self {
        Self { code, outcome: Outcome::NotStarted, message: message.into(), retry_after: None }
    }

    /// A failure of a call that ran.
    #[must_use]
    pub fn done(code: Code, message: impl Into<String>) -> Self {
        Self { code, outcome: Outcome::Done, message: message.into(), retry_after: None }
    }

    /// A failure of a call that may have run.
    #[must_use]
    pub fn unknown(code: Code, message: impl Into<String>) -> Self {
        Self { code, outcome: Outcome::Unknown, message: message.into(), retry_after: None }
    }

    /// The same, which says when to try again.
    #[must_use]
    pub fn later(self, after: RetryAfter) -> Self {
        Self { retry_after: Some(after), ..self }
    }

    /// What a reply says of it.
    #[must_use]
    pub fn status(&self) -> Status {
        match (self.outcome, self.retry_after) {
            (Outcome::NotStarted, Some(after)) => Status::Later(self.code, after),
            (outcome, _) => Status::Failed(self.code, outcome),
        }
    }

    /// The message, cut to what the wire carries.
    #[must_use]
    pub fn wire_text(&self) -> &str {
        let mut end = self.message.len().min(MESSAGE_TEXT_MAX);
        while !self.message.is_char_boundary(end) {
            end -= 1;
        }
        &self.message[..end]
    }

    /// The failure that a peer's status and text stand for.
    #[must_use]
    pub fn from_wire(code: Code, outcome: Outcome, text: &[u8]) -> Self {
        let text = &text[..text.len().min(MESSAGE_TEXT_MAX)];
        Self { code, outcome, message: String::from_utf8_lossy(text).into_owned(), retry_after: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({}", self.code.name(), self.message, self.outcome)?;
        match self.retry_after {
            None => f.write_str(")"),
            Some(after) => write!(f, "; try again after {:?})", after.duration()),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_survives_the_wire() {
        for code in Code::ALL {
            for outcome in [Outcome::Done, Outcome::NotStarted, Outcome::Unknown] {
                let status = Status::Failed(code, outcome);
                assert_eq!(Status::from_wire(status.to_wire()), status);
            }
        }
        for status in [Status::Ok, Status::Application, Status::Need] {
            assert_eq!(Status::from_wire(status.to_wire()), status);
        }
    }

    #[test]
    fn when_to_try_again_is_said_in_a_byte_and_never_too_early() {
        for (time, said) in [(0, 64), (1, 64), (64, 64), (65, 128), (20_000, 32_768), (u64::MAX, 32 << 31)] {
            let after = RetryAfter::at_least(Duration::from_micros(time));
            assert_eq!(after.duration(), Duration::from_micros(said), "{time}");
            let status = Status::Later(Code::ResourceExhausted, after);
            assert_eq!(Status::from_wire(status.to_wire()), status);
            let failure = Failure::not_started(Code::ResourceExhausted, "full").later(after);
            assert_eq!(failure.status(), status);
        }
        for byte in 1..31 {
            let exact = Duration::from_micros(32 << byte);
            assert_eq!(RetryAfter::at_least(exact).duration(), exact);
            assert_eq!(RetryAfter::at_least(exact + Duration::from_nanos(1)).duration(), exact * 2);
        }
        let word = Status::Failed(Code::ResourceExhausted, Outcome::NotStarted).to_wire();
        let longest = RetryAfter::at_least(Duration::MAX);
        assert_eq!(Status::from_wire(word | 0xFF << 24), Status::Later(Code::ResourceExhausted, longest));
        // Who knows nothing of it reads the rest of the word as ever; and of a call that ran it says nothing.
        assert_eq!(Status::Later(Code::ResourceExhausted, longest).to_wire() & 0x00FF_FFFF, word);
        let ran = Status::Failed(Code::Internal, Outcome::Done);
        assert_eq!(Status::from_wire(ran.to_wire() | 7 << 24), ran);
    }

    #[test]
    fn words_that_are_not_known_promise_nothing() {
        let unknown = Status::Failed(Code::Unknown, Outcome::Unknown);
        assert_eq!(Status::from_wire(9), unknown);
        assert_eq!(Status::from_wire(2 | 200 << 8 | 77 << 16), unknown);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let failure = Failure::done(Code::Internal, "ä".repeat(MESSAGE_TEXT_MAX));
        assert_eq!(failure.wire_text().len(), MESSAGE_TEXT_MAX);
        let odd = Failure::done(Code::Internal, format!("x{}", "ä".repeat(MESSAGE_TEXT_MAX)));
        assert_eq!(odd.wire_text().len(), MESSAGE_TEXT_MAX - 1);
    }
}
