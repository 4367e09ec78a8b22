//! Calls by name, with JSON or another codec: for command lines and scripts that know no contract.

use std::time::Duration;

use crate::address::Environment;
use crate::call::Answer;
use crate::channel::Channel;
use crate::error::Error;
use crate::routes::Routes;

pub use speedysvc_protocol::ids::Codec;
use speedysvc_protocol::trace::TraceContext;

/// What a method answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Its result, in the codec of the call.
    Ok(Vec<u8>),
    /// Its own error, in the codec of the call; of a raw call in JSON.
    Application(Vec<u8>),
}

/// Calls a method of whatever service `address` leads to. Without a timeout, connecting may take 5 seconds, and
/// the call as long as the service allows.
///
/// # Errors
/// [`Error`], which says whether the call ran.
pub fn call(address: &str, method: &str, json_body: &[u8], timeout: Option<Duration>) -> Result<Reply, Error> {
    Method::connect(address, method, timeout)?.call(json_body)
}

/// A connection for one method: for those who call it more than once.
#[derive(Clone, Debug)]
pub struct Method(Channel);

impl Method {
    /// Connects to whatever service `address` leads to. The timeout is as for [`call`], for each call.
    ///
    /// # Errors
    /// [`Error`], also when the service has no such method.
    pub fn connect(address: &str, method: &str, timeout: Option<Duration>) -> Result<Self, Error> {
        let channel = Channel::connect_by_name(address, method, timeout)?;
        Ok(Self(match timeout {
            Some(timeout) => channel.with_timeout(timeout),
            None => channel,
        }))
    }

    /// The same connection, whose calls belong to this trace: each is a child of its span.
    #[must_use]
    pub fn with_trace(&self, trace: TraceContext) -> Self {
        Self(self.0.with_trace(trace))
    }

    /// Calls the method.
    ///
    /// # Errors
    /// [`Error`], which says whether the call ran.
    pub fn call(&self, json_body: &[u8]) -> Result<Reply, Error> {
        self.call_as(Codec::Json, json_body)
    }

    /// Calls the method with arguments in this codec.
    ///
    /// # Errors
    /// [`Error`], which says whether the call ran.
    pub fn call_as(&self, codec: Codec, body: &[u8]) -> Result<Reply, Error> {
        let (answer, body) = self.0.call_bytes(codec, body)?;
        Ok(match answer {
            Answer::Result => Reply::Ok(body),
            Answer::Application => Reply::Application(body),
        })
    }
}

/// Whether a text is an address at all. Nothing is looked up.
///
/// # Errors
/// [`Error`] with the forms that an address can have.
pub fn check_address(address: &str) -> Result<(), Error> {
    Routes::parse(address, &Environment::of_process()).map(|_| ())
}
