//! What a caller may be told, and whether its call ran.

use std::fmt;

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

/// A reply's first word: what its body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// The body is the method's result.
    Ok,
    /// The body is the method's own, typed error.
    Application,
    /// The body is a text for people.
    Failed(Code, Outcome),
    /// Shared memory only: the result is ready, but larger than the buffer; the length says how large.
    Need,
}

impl Status {
    /// The word on the wire: kind, code and outcome in the lowest three bytes.
    #[inline]
    #[must_use]
    pub fn to_wire(self) -> u32 {
        match self {
            Self::Ok => 0,
            Self::Application => 1,
            Self::Failed(code, outcome) => 2 | (code as u32) << 8 | (outcome as u32) << 16,
            Self::Need => 3,
        }
    }

    /// What a word from the wire means; a kind that is not known is a failure whose outcome is not known.
    #[inline]
    #[must_use]
    pub fn from_wire(word: u32) -> Self {
        let [kind, code, outcome, _] = word.to_le_bytes();
        match kind {
            0 => Self::Ok,
            1 => Self::Application,
            2 => Self::Failed(Code::from_wire(code), Outcome::from_wire(outcome)),
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
}

impl Failure {
    /// A failure of a call that no handler saw.
    #[must_use]
    pub fn not_started(code: Code, message: impl Into<String>) -> Self {
        Self { code, outcome: Outcome::NotStarted, message: message.into() }
    }

    /// A failure of a call that ran.
    #[must_use]
    pub fn done(code: Code, message: impl Into<String>) -> Self {
        Self { code, outcome: Outcome::Done, message: message.into() }
    }

    /// A failure of a call that may have run.
    #[must_use]
    pub fn unknown(code: Code, message: impl Into<String>) -> Self {
        Self { code, outcome: Outcome::Unknown, message: message.into() }
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
        Self { code, outcome, message: String::from_utf8_lossy(text).into_owned() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.code.name(), self.message, self.outcome)
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
