//! What a caller is told when a call gave no result.

use std::fmt;

use speedysvc_protocol::status::{Code, Failure, Outcome};

/// A call, or a connection, that failed: what kind, whether the call ran, and a text for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error(Failure);

impl Error {
    /// What kind of failure.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Whether the call ran. A call that did not start may be made again without running twice.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// For people: what happened, and what to do.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn not_started(code: Code, message: impl Into<String>) -> Self {
        Self(Failure::not_started(code, message))
    }

    pub(crate) fn done(code: Code, message: impl Into<String>) -> Self {
        Self(Failure::done(code, message))
    }

    pub(crate) fn unknown(code: Code, message: impl Into<String>) -> Self {
        Self(Failure::unknown(code, message))
    }

    /// The same failure, with another word on whether the call ran.
    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    /// The same failure with a text in front of its own.
    pub(crate) fn within(mut self, what: &str) -> Self {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {}

/// What a call of a method with a typed error of its own may end with.
#[derive(Clone, PartialEq, Eq, Debug)]
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
        assert_eq!(CallError::<u8>::Rpc(error.clone()).to_string(), error.to_string());
        assert_eq!(CallError::App(7_u8).to_string(), "7");
    }
}
