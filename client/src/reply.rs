//! A reply as it comes in, and what is made of it.

use speedysvc_protocol::archive::{self, Buffer, Decode};
use speedysvc_protocol::status::Code;

use crate::call::Answer;
use crate::error::{CallError, Error};

/// Where a call's reply goes.
pub(crate) struct Reply {
    /// The body, when it is not in `bytes`.
    pub(crate) body: Buffer,
    /// Whether the result is a byte string. Its bytes may then be taken out of their archive where that lies, which
    /// saves a large one a copy.
    pub(crate) wants_bytes: bool,
    /// Such a result.
    pub(crate) bytes: Option<Vec<u8>>,
}

impl Reply {
    pub(crate) fn new() -> Self {
        Self { body: Buffer::new(0), wants_bytes: false, bytes: None }
    }

    #[inline]
    fn take_bytes(&mut self) -> Result<Vec<u8>, Error> {
        match self.bytes.take() {
            Some(bytes) => Ok(bytes),
            None => read(self),
        }
    }
}

/// The result of a method that has no error of its own.
pub(crate) fn read_plain<R: Decode>(answer: Answer, reply: &mut Reply) -> Result<R, Error> {
    match answer {
        Answer::Result => read(reply),
        Answer::Application => Err(unexpected_error()),
    }
}

/// The same when it is a byte string.
pub(crate) fn read_plain_bytes(answer: Answer, reply: &mut Reply) -> Result<Vec<u8>, Error> {
    match answer {
        Answer::Result => reply.take_bytes(),
        Answer::Application => Err(unexpected_error()),
    }
}

/// The result of a method that has one.
pub(crate) fn read_fallible<R: Decode, E: Decode>(answer: Answer, reply: &mut Reply) -> Result<R, CallError<E>> {
    match answer {
        Answer::Result => Ok(read(reply)?),
        Answer::Application => Err(CallError::App(read(reply)?)),
    }
}

/// The same when it is a byte string.
pub(crate) fn read_fallible_bytes<E: Decode>(answer: Answer, reply: &mut Reply) -> Result<Vec<u8>, CallError<E>> {
    match answer {
        Answer::Result => Ok(reply.take_bytes()?),
        Answer::Application => Err(CallError::App(read(reply)?)),
    }
}

fn read<T: Decode>(reply: &Reply) -> Result<T, Error> {
    archive::decode(reply.body.as_slice()).map_err(|failure| unreadable(&failure.message))
}

#[cold]
pub(crate) fn unreadable(why: &str) -> Error {
    Error::done(Code::DataLoss, format!("the reply cannot be read: {why}"))
}

#[cold]
pub(crate) fn unexpected_error() -> Error {
    Error::done(Code::Internal, "the service answered with an error that this method does not have")
}
