//! Calls of methods that have another codec than archives: `#[method(codec = "…")]`.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use speedysvc_protocol::archive::Arguments;
use speedysvc_protocol::by_name::decode;
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::json::Base64;

use crate::call::Answer;
use crate::channel::Channel;
use crate::error::{CallError, Error};
use crate::pending::{Pending, Starter};
use crate::reply::{Reply, unexpected_error, unreadable};
use crate::scratch;

/// How a result comes out of a reply that is no archive.
pub trait FromReply {
    /// What the caller gets.
    type Value;

    /// Reads it.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(codec: Codec, body: &[u8]) -> Result<Self::Value, String>;
}

/// A result that is a value of a type.
#[derive(Debug)]
pub struct AsValue<T>(PhantomData<T>);

/// A result that is a byte string.
#[derive(Debug)]
pub struct AsBytes;

impl<T: DeserializeOwned> FromReply for AsValue<T> {
    type Value = T;

    fn read(codec: Codec, body: &[u8]) -> Result<T, String> {
        decode(codec, body)
    }
}

impl FromReply for AsBytes {
    type Value = Vec<u8>;

    fn read(codec: Codec, body: &[u8]) -> Result<Vec<u8>, String> {
        match codec {
            Codec::Raw => Ok(body.to_vec()),
            other => decode::<Base64>(other, body).map(|Base64(bytes)| bytes),
        }
    }
}

impl Channel {
    /// Calls a method that has no error of its own, in the codec of its arguments; `method` is its place in the
    /// contract.
    ///
    /// # Errors
    /// [`Error`], which says whether the call ran.
    pub fn call_as<W: Arguments, R: FromReply>(&self, method: MethodIndex, arguments: &W) -> Result<R::Value, Error> {
        scratch::with(|scratch| {
            scratch.reply.wants_bytes = false;
            plain::<W, R>(self.exchange(method, arguments, scratch)?, &mut scratch.reply)
        })
    }

    /// The same for a method that has an error of its own.
    ///
    /// # Errors
    /// The method's, or [`Error`], which says whether the call ran.
    pub fn call_fallible_as<W: Arguments, R: FromReply, E: DeserializeOwned>(
        &self,
        method: MethodIndex,
        arguments: &W,
    ) -> Result<R::Value, CallError<E>> {
        scratch::with(|scratch| {
            scratch.reply.wants_bytes = false;
            fallible::<W, R, E>(self.exchange(method, arguments, scratch)?, &mut scratch.reply)
        })
    }
}

impl Starter<'_> {
    /// Starts a call of a method that has no error of its own, in the codec of its arguments.
    pub fn call_as<W: Arguments, R: FromReply>(&self, method: MethodIndex, arguments: &W) -> Pending<R::Value> {
        self.begin(method, arguments, plain::<W, R>)
    }

    /// The same for a method that has an error of its own.
    pub fn call_fallible_as<W: Arguments, R: FromReply, E: DeserializeOwned>(
        &self,
        method: MethodIndex,
        arguments: &W,
    ) -> Pending<R::Value, CallError<E>> {
        self.begin(method, arguments, fallible::<W, R, E>)
    }
}

fn plain<W: Arguments, R: FromReply>(answer: Answer, reply: &mut Reply) -> Result<R::Value, Error> {
    match answer {
        Answer::Result => R::read(W::CODEC, reply.body.as_slice()).map_err(|why| unreadable(&why)),
        Answer::Application => Err(unexpected_error()),
    }
}

fn fallible<W: Arguments, R: FromReply, E: DeserializeOwned>(
    answer: Answer,
    reply: &mut Reply,
) -> Result<R::Value, CallError<E>> {
    let body = reply.body.as_slice();
    match answer {
        Answer::Result => Ok(R::read(W::CODEC, body).map_err(|why| unreadable(&why))?),
        Answer::Application => Err(CallError::App(decode(W::CODEC, body).map_err(|why| unreadable(&why))?)),
    }
}
