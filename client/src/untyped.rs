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
    let mut channel = Channel::connect_by_name(None, address, method, timeout)?;
    if let Some(timeout) = timeout {
        channel = channel.with_timeout(timeout);
    }
    let (answer, body) = channel.call_json(json_body)?;
    Ok(match answer {
        Answer::Result => JsonReply::Ok(body),
        Answer::Application => JsonReply::Application(body),
    })
}

/// Whether a text is an address at all. Nothing is looked up.
///
/// # Errors
/// [`Error`] with the forms that an address can have.
pub fn check_address(address: &str) -> Result<(), Error> {
    Address::parse(address, &Environment::of_process()).map(|_| ())
}
