//! A call's arguments, whatever their codec.

use std::iter;

use serde::de::DeserializeOwned;
use serde::de::value::{BytesDeserializer, Error as ValueError, SeqDeserializer};

use crate::archive::{self, Archived, Buffer, View};
use crate::byte_string;
use crate::ids::Codec;
use crate::json::{self, Defaults};
use crate::limits::ARCHIVE_ALIGN;
use crate::msgpack;
use crate::status::{Code, Failure};

/// What a method's arguments are where they are no archive.
pub struct Form {
    /// Their names, in order.
    pub names: &'static [&'static str],
    /// What they are when a caller leaves them out.
    pub defaults: &'static Defaults,
    /// Whether the method takes one byte string and gives one, so that the bytes themselves will do.
    pub raw: bool,
}

/// Reads a call's arguments as the archived tuple `W`, whatever the codec: what is no archive is read as `J`, then
/// archived by `archive`, so that a handler sees the same types either way.
///
/// # Errors
/// [`Failure`] with the code `INVALID_ARGUMENT` when the body is not what the method takes.
pub fn arguments<'a, W: View, J: DeserializeOwned>(
    codec: Codec,
    body: &'a [u8],
    form: &Form,
    scratch: &'a mut Buffer,
    archive: impl FnOnce(&J, &mut Buffer) -> Result<(), Failure>,
) -> Result<&'a Archived<W>, Failure> {
    match codec {
        Codec::Rkyv => archive::view::<W>(aligned(body, scratch)?),
        other => {
            let values = values::<J>(other, body, form)?;
            archive(&values, scratch).map_err(|failure| {
                Failure::not_started(failure.code, format!("the arguments in their other form: {}", failure.message))
            })?;
            archive::view::<W>(scratch.as_slice())
        }
    }
}

/// An archive where it can be read: a copy of one that does not lie there.
#[inline]
fn aligned<'a>(body: &'a [u8], scratch: &'a mut Buffer) -> Result<&'a [u8], Failure> {
    if body.as_ptr().addr().is_multiple_of(ARCHIVE_ALIGN) {
        return Ok(body);
    }
    scratch.room(body.len())?.copy_from_slice(body);
    Ok(scratch.as_slice())
}

/// A byte string that is a method's only argument.
pub struct ByteString<'a>(&'a [u8]);

impl<'a> ByteString<'a> {
    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &'a [u8] {
        self.0
    }
}

/// As [`arguments`], where they are one byte string, which no codec needs rkyv for: that is made for any type.
///
/// # Errors
/// As [`arguments`].
#[inline]
pub fn byte_string<'a, J: DeserializeOwned>(
    codec: Codec,
    body: &'a [u8],
    form: &Form,
    scratch: &'a mut Buffer,
    archive: impl FnOnce(&J, &mut Buffer) -> Result<(), Failure>,
) -> Result<(ByteString<'a>,), Failure> {
    let found = match codec {
        Codec::Rkyv => byte_string::slice(body),
        Codec::Raw if form.raw => Some(body),
        Codec::Raw | Codec::Json | Codec::MsgPack => None,
    };
    if let Some(bytes) = found {
        return Ok((ByteString(bytes),));
    }
    if let Some(len) = (codec == Codec::Json).then(|| json::bytes::byte_string(body, scratch)).flatten() {
        return Ok((ByteString(&scratch.as_slice()[..len]),));
    }
    let archived = arguments::<(Vec<u8>,), J>(codec, body, form, scratch, archive)?;
    Ok((ByteString(archived.0.as_slice()),))
}

fn values<J: DeserializeOwned>(codec: Codec, body: &[u8], form: &Form) -> Result<J, Failure> {
    match codec {
        Codec::MsgPack => msgpack::arguments(body, form.names, form.defaults),
        Codec::Raw if form.raw => {
            let one = BytesDeserializer::<ValueError>::new(body);
            let bytes = J::deserialize(SeqDeserializer::new(iter::once(one)));
            bytes.map_err(|error| Failure::not_started(Code::Internal, error.to_string()))
        }
        Codec::Raw => {
            let message = "a raw call is for methods that take one byte string and give one: use json or msgpack";
            Err(Failure::not_started(Code::Unimplemented, message))
        }
        Codec::Json | Codec::Rkyv => json::arguments(body, form.names, form.defaults),
    }
}
