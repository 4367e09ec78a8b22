//! Starting calls: what generated clients do it with.

use speedysvc_protocol::archive::{Arguments, Decode};
use speedysvc_protocol::ids::MethodIndex;

use super::{Call, Pending};
use crate::call::Answer;
use crate::channel::{CallError, Channel};
use crate::reply::{Reply, read_fallible, read_fallible_bytes, read_plain, read_plain_bytes};

/// Starts calls of a channel.
#[derive(Debug)]
pub struct Starter<'a>(&'a Channel);

impl<'a> Starter<'a> {
    pub(crate) fn new(channel: &'a Channel) -> Self {
        Self(channel)
    }

    /// Starts a call whose reply is read so.
    pub(crate) fn begin<W: Arguments, T, E>(
        &self,
        method: MethodIndex,
        arguments: &W,
        read: fn(Answer, &mut Reply) -> Result<T, E>,
    ) -> Pending<T, E> {
        Pending { call: Some(Call::Usual(self.0.begin(method, arguments))), read }
    }

    /// Starts a call of a method that has no error of its own; `method` is its place in the contract.
    pub fn call<W: Arguments, R: Decode>(&self, method: MethodIndex, arguments: &W) -> Pending<R> {
        self.begin(method, arguments, read_plain::<R>)
    }

    /// The same for a method whose result is a byte string.
    pub fn call_for_bytes<W: Arguments>(&self, method: MethodIndex, arguments: &W) -> Pending<Vec<u8>> {
        Pending { call: Some(self.begin_for_bytes(method, arguments)), read: read_plain_bytes }
    }

    /// Starts a call of a method that has an error of its own.
    pub fn call_fallible<W: Arguments, R: Decode, E: Decode>(
        &self,
        method: MethodIndex,
        arguments: &W,
    ) -> Pending<R, CallError<E>> {
        self.begin(method, arguments, read_fallible::<R, E>)
    }

    /// The same for a method whose result is a byte string.
    pub fn call_fallible_for_bytes<W: Arguments, E: Decode>(
        &self,
        method: MethodIndex,
        arguments: &W,
    ) -> Pending<Vec<u8>, CallError<E>> {
        let call = Some(self.begin_for_bytes(method, arguments));
        Pending { call, read: read_fallible_bytes::<E> }
    }

    #[inline]
    fn begin_for_bytes<W: Arguments>(&self, method: MethodIndex, arguments: &W) -> Call {
        match arguments.byte_string().and_then(|bytes| self.0.begin_short(method, bytes)) {
            Some(flight) => Call::Short(flight),
            None => Call::UsualForBytes(self.0.begin(method, arguments)),
        }
    }
}

impl Drop for Starter<'_> {
    fn drop(&mut self) {
        self.0.flush();
    }
}
