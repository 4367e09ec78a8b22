//! What a caller is told when a call gave no result.

use std::fmt;
use std::time::Duration;

use speedysvc_protocol::status::{Code, Failure, Outcome, RetryAfter};

/// A call, or a connection, that failed: what kind, whether the call ran, and a text for people.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    failure: Failure,
    attempts: u32,
}

impl Error {
    /// What kind of failure.
    #[must_use]
    pub fn code(&self) -> Code {
        self.failure.code
    }

    /// Whether the call ran. A call that did not start may be made again without running twice.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.failure.outcome
    }

    /// For people: what happened, and what to do.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.failure.message
    }

    /// When a call that did not start, for want of room, may be made again; `None` when the service does not say. The
    /// client has waited for as long before each of its own attempts, if the call's deadline and its budget allowed
    /// for them.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.failure.retry_after.map(RetryAfter::duration)
    }

    /// How often the call was tried: 1, unless it was made again.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn not_started(code: Code, message: impl Into<String>) -> Self {
        Failure::not_started(code, message).into()
    }

    pub(crate) fn done(code: Code, message: impl Into<String>) -> Self {
        Failure::done(code, message).into()
    }

    pub(crate) fn unknown(code: Code, message: impl Into<String>) -> Self {
        Failure::unknown(code, message).into()
    }

    /// The same failure, with another word on whether the call ran.
    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.failure.outcome = outcome;
        self
    }

    /// The same failure with a text in front of its own.
    pub(crate) fn within(mut self, what: &str) -> Self {
        self.failure.message = format!("{what}: {}", self.failure.message);
        self
    }

    /// The same failure with a text behind its own.
    pub(crate) fn and(mut self, what: &str) -> Self {
        self.failure.message.push_str(what);
        self
    }

    /// The same failure, after so many attempts.
    pub(crate) fn after_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self { failure, attempts: 1 }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)?;
        match self.attempts {
            0 | 1 => Ok(()),
            attempts => write!(f, " after {attempts} attempts"),
        }
    }
}

/// The same text: a `main` that returns the error shows it so.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// What a call of a method with a typed error of its own may end with.
#[derive(Clone, PartialEq, Eq)]
pub enum CallError<E> {
    /// The method ran and returned its own error.
    App(E),
    /// There is no answer of the method.
    Rpc(Error),
}

impl<E> From<Error> for CallError<E> {
    fn from(error: Error) -> Self {
        Self::Rpc(error)
    }
}

impl<E: fmt::Debug> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(error) => error.fmt(f),
            Self::Rpc(error) => fmt::Display::fmt(error, f),
        }
    }
}

/// The method's own error as it shows itself, or the text of a failed call.
impl<E: fmt::Debug> fmt::Debug for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(error) => f.debug_tuple("App").field(error).finish(),
            Self::Rpc(error) => fmt::Debug::fmt(error, f),
        }
    }
}

impl<E: fmt::Debug> std::error::Error for CallError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::App(_) => None,
            Self::Rpc(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_code_message_and_outcome() {
        let error = Error::not_started(Code::Unavailable, "nobody there").within("shm://echo");
        assert_eq!(error.to_string(), "UNAVAILABLE: shm://echo: nobody there (the call did not start)");
        assert_eq!(format!("{error:?}"), error.to_string(), "what a `main` shows that returns it");
        assert_eq!(format!("{:?}", CallError::<u8>::Rpc(error.clone())), error.to_string());
        assert_eq!(format!("{:?}", CallError::App(7_u8)), "App(7)");
        let again = error.clone().after_attempts(3).to_string();
        assert_eq!(again, format!("{error} after 3 attempts"));
        let full = Failure::not_started(Code::ResourceExhausted, "full").later(RetryAfter::at_least(Duration::ZERO));
        let full = Error::from(full);
        assert_eq!(full.retry_after(), Some(Duration::from_micros(64)));
        assert_eq!(full.to_string(), "RESOURCE_EXHAUSTED: full (the call did not start; try again after 64µs)");
        assert_eq!(CallError::<u8>::Rpc(error.clone()).to_string(), error.to_string());
        assert_eq!(CallError::App(7_u8).to_string(), "7");
    }
}
