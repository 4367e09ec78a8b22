//! Calls by name, with JSON: for command lines and scripts that know no contract.

use std::time::Duration;

use crate::address::{Address, Environment};
use crate::call::Answer;
use crate::channel::Channel;
use crate::error::Error;

/// What a method answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JsonReply {
    /// Its result, as JSON.
    Ok(Vec<u8>),
    /// Its own error, as JSON.
    Application(Vec<u8>),
}

/// Calls a method of whatever service `address` names or serves. Without a timeout, connecting may take 5 seconds, and
/// the call as long as the service allows.
///
/// # Errors
/// [`Error`], which says whether the call ran.
pub fn call(address: &str, method: &str, json_body: &[u8], timeout: Option<Duration>) -> Result<JsonReply, Error> {
    Method::connect(address, method, timeout)?.call(json_body)
}

/// A connection for one method: for those who call it more than once.
#[derive(Clone, Debug)]
pub struct Method(Channel);

impl Method {
    /// Connects to whatever service `address` names or serves. The timeout is as for [`call`], for each call.
    ///
    /// # Errors
    /// [`Error`], also when the service has no such method.
    pub fn connect(address: &str, method: &str, timeout: Option<Duration>) -> Result<Self, Error> {
        let channel = Channel::connect_by_name(None, address, method, timeout)?;
        Ok(Self(match timeout {
            Some(timeout) => channel.with_timeout(timeout),
            None => channel,
        }))
    }

    /// Calls the method.
    ///
    /// # Errors
    /// [`Error`], which says whether the call ran.
    pub fn call(&self, json_body: &[u8]) -> Result<JsonReply, Error> {
        let (answer, body) = self.0.call_json(json_body)?;
        Ok(match answer {
            Answer::Result => JsonReply::Ok(body),
            Answer::Application => JsonReply::Application(body),
        })
    }
}

/// Whether a text is an address at all. Nothing is looked up.
///
/// # Errors
/// [`Error`] with the forms that an address can have.
pub fn check_address(address: &str) -> Result<(), Error> {
    Address::parse(address, &Environment::of_process()).map(|_| ())
}
