//! Archives: values as bytes that can be read where they lie. The only file that calls rkyv.
//!
//! Reading is always checked, with a limit on depth. Shared pointers (`Rc`, `Arc`) cannot be archived: their checks are
//! where rkyv's advisories of 2026 were, and the traits below leave them out by their types.

mod buffer;

use std::num::NonZeroUsize;

use rkyv::api::low::{LowDeserializer, LowSerializer, LowValidator};
use rkyv::bytecheck::CheckBytes;
// Not `rancor::Error`, which says nothing in release builds.
use rkyv::munge::munge;
use rkyv::primitive::ArchivedUsize;
use rkyv::rancor::{BoxedError as Error, Fallible, Source};
use rkyv::ser::allocator::{Arena as Allocations, ArenaHandle};
use rkyv::ser::{Positional, Writer};
use rkyv::string::{ArchivedString, StringResolver};
use rkyv::util::AlignedVec;
use rkyv::validation::Validator;
use rkyv::validation::archive::ArchiveValidator;
use rkyv::{Archive, Deserialize, Place, Portable, RelPtr, Serialize, SerializeUnsized};

use crate::ids::Codec;
use crate::limits::DEPTH_MAX;
use crate::status::{Code, Failure};

pub use buffer::Buffer;
use buffer::too_large;
#[doc(hidden)]
pub use rkyv;

/// The archive format of this build, compared at connect: archives of another format would be misread.
pub const FORMAT: &str = "rkyv-0.8/little-endian/aligned/32";

/// A value's archived form, as a handler may borrow it.
pub type Archived<T> = <T as Archive>::Archived;

type Arena<'o, 'a> = LowSerializer<Out<'o>, ArenaHandle<'a>, Error>;

/// Where an archive is written.
#[doc(hidden)]
pub enum Out<'a> {
    Buffer(&'a mut Buffer),
    Elsewhere(&'a mut dyn Sink),
}

/// A place for an archive that is no [`Buffer`].
pub trait Sink {
    /// Adds bytes at the end.
    ///
    /// # Errors
    /// [`Failure`] when there is no room for them.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Failure>;

    /// Bytes so far.
    fn written(&self) -> usize;
}

/// What can be written as an archive.
pub trait Encode: for<'o, 'a> Serialize<Arena<'o, 'a>> {}
impl<T: for<'o, 'a> Serialize<Arena<'o, 'a>> + ?Sized> Encode for T {}

/// A call's arguments, as they are written.
pub trait Arguments {
    /// How they are written.
    const CODEC: Codec = Codec::Rkyv;

    /// Writes them into `out`, as [`encode`] does.
    ///
    /// # Errors
    /// As [`encode`].
    fn write(&self, out: &mut Buffer) -> Result<(), Failure>;

    /// Writes them into an empty sink, as [`encode_into`] does.
    ///
    /// # Errors
    /// As [`encode_into`].
    fn write_into(&self, sink: &mut dyn Sink) -> Result<(), Failure>;

    /// The byte string that they are, if they are one and nothing else: it can be archived where it is read.
    #[inline]
    fn byte_string(&self) -> Option<&[u8]> {
        None
    }
}

impl<T: Encode> Arguments for T {
    #[inline]
    fn write(&self, out: &mut Buffer) -> Result<(), Failure> {
        encode(self, out)
    }

    fn write_into(&self, sink: &mut dyn Sink) -> Result<(), Failure> {
        encode_into(self, sink)
    }
}

/// What can be read from an archive by borrowing.
pub trait View: Archive<Archived: Portable + for<'a> CheckBytes<LowValidator<'a, Error>>> {}
impl<T: Archive<Archived: Portable + for<'a> CheckBytes<LowValidator<'a, Error>>>> View for T {}

/// What can be read from an archive into a value of its own.
pub trait Decode: View<Archived: Deserialize<Self, LowDeserializer<Error>>> + Sized {}
impl<T: View<Archived: Deserialize<T, LowDeserializer<Error>>>> Decode for T {}

impl Positional for Out<'_> {
    #[inline]
    fn pos(&self) -> usize {
        match self {
            Self::Buffer(buffer) => buffer.len,
            Self::Elsewhere(sink) => sink.written(),
        }
    }
}

impl Writer<Error> for Out<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        // Padding, which is mostly none.
        if bytes.is_empty() {
            return Ok(());
        }
        let written = match self {
            Self::Buffer(buffer) => buffer.append(bytes),
            Self::Elsewhere(sink) => sink.append(bytes),
        };
        written.map_err(not_written)
    }
}

#[cold]
fn not_written(failure: Failure) -> Error {
    Error::new(failure)
}

/// Writes a value's archive into `out`, replacing what was there.
///
/// # Errors
/// [`Failure`] with [`Code::ResourceExhausted`] when the archive is larger than the buffer's limit.
#[inline]
pub fn encode<T: Encode>(value: &T, out: &mut Buffer) -> Result<(), Failure> {
    out.clear();
    out.refused = None;
    let mut arena = out.arena.take().unwrap_or_default();
    let written = write(value, Out::Buffer(out), &mut arena);
    out.arena = Some(arena);
    written.map_err(|error| not_encoded(out, &error))
}

#[cold]
fn not_encoded(out: &mut Buffer, error: &Error) -> Failure {
    match out.refused.take() {
        Some(len) => too_large(len, out.limit),
        None => not_archived(error),
    }
}

/// Writes a value's archive into an empty sink, whose first byte is aligned to 16 bytes for its reader.
///
/// # Errors
/// [`Failure`] when it does not fit: what the sink holds then is of no use.
pub fn encode_into<T: Encode>(value: &T, sink: &mut dyn Sink) -> Result<(), Failure> {
    rkyv::util::with_arena(|arena| write(value, Out::Elsewhere(sink), arena)).map_err(|error| not_archived(&error))
}

#[inline]
fn write<T: Encode>(value: &T, out: Out<'_>, arena: &mut Allocations) -> Result<(), Error> {
    rkyv::api::low::to_bytes_in_with_alloc::<_, _, Error>(value, out, arena.acquire()).map(|_| ())
}

#[cold]
fn not_archived(error: &Error) -> Failure {
    Failure::done(Code::Internal, format!("the value cannot be archived: {error}"))
}

/// Reads an archive where it lies, after checking all of it.
///
/// # Errors
/// [`Failure`] with [`Code::InvalidArgument`] when the bytes are not an archive of `T`.
#[inline]
pub fn view<T: View>(bytes: &[u8]) -> Result<&Archived<T>, Failure> {
    let depth = NonZeroUsize::new(DEPTH_MAX);
    let mut context = Validator::new(ArchiveValidator::with_max_depth(bytes, depth), ());
    rkyv::api::access_with_context::<Archived<T>, _, Error>(bytes, &mut context).map_err(|error| not_an_archive(&error))
}

#[cold]
fn not_an_archive(error: &Error) -> Failure {
    Failure::not_started(Code::InvalidArgument, format!("not an archive of this type: {error}"))
}

/// Reads a value out of what [`view`] returned.
///
/// # Errors
/// [`Failure`] when the type's own conversion refuses.
#[inline]
pub fn take<T: Decode>(archived: &Archived<T>) -> Result<T, Failure> {
    rkyv::api::low::deserialize::<T, Error>(archived).map_err(|error| not_acceptable(&error))
}

#[cold]
fn not_acceptable(error: &Error) -> Failure {
    Failure::not_started(Code::InvalidArgument, format!("a value is not acceptable: {error}"))
}

/// Reads a value from its archive.
///
/// # Errors
/// [`Failure`] with [`Code::InvalidArgument`] when the bytes are not an archive of `T`.
#[inline]
pub fn decode<T: Decode>(bytes: &[u8]) -> Result<T, Failure> {
    take::<T>(view::<T>(bytes)?)
}

/// A `&str`, archived like a `String` without making one.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Str<'a>(pub &'a str);

impl Archive for Str<'_> {
    type Archived = ArchivedString;
    type Resolver = StringResolver;

    fn resolve(&self, resolver: StringResolver, out: Place<ArchivedString>) {
        ArchivedString::resolve_from_str(self.0, resolver, out);
    }
}

impl<S: Fallible<Error: Source> + ?Sized> Serialize<S> for Str<'_>
where
    str: SerializeUnsized<S>,
{
    fn serialize(&self, serializer: &mut S) -> Result<StringResolver, S::Error> {
        ArchivedString::serialize_from_str(self.0, serializer)
    }
}

/// A `&[u8]` argument, archived like a `Vec<u8>` without making one.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

/// What an `ArchivedVec<u8>` is in memory. Of our own, as that can only be made by ways that fit any element: for short
/// byte strings they cost more than all the rest of archiving one.
#[doc(hidden)]
#[derive(rkyv::Portable)]
#[repr(C)]
pub struct ArchivedBytes {
    ptr: RelPtr<u8>,
    len: ArchivedUsize,
}

impl Archive for Bytes<'_> {
    type Archived = ArchivedBytes;
    /// Where the bytes are.
    type Resolver = usize;

    #[inline]
    fn resolve(&self, at: usize, out: Place<ArchivedBytes>) {
        munge!(let ArchivedBytes { ptr, len } = out);
        RelPtr::emplace(at, ptr);
        self.0.len().resolve((), len);
    }
}

impl<S: Fallible + Writer + ?Sized> Serialize<S> for Bytes<'_> {
    #[inline]
    fn serialize(&self, serializer: &mut S) -> Result<usize, S::Error> {
        let at = serializer.pos();
        serializer.write(self.0)?;
        Ok(at)
    }
}

/// A `&T` argument, archived like the `T` itself.
#[derive(Debug)]
pub struct Ref<'a, T>(pub &'a T);

impl<T: Archive> Archive for Ref<'_, T> {
    type Archived = T::Archived;
    type Resolver = T::Resolver;

    fn resolve(&self, resolver: T::Resolver, out: Place<T::Archived>) {
        self.0.resolve(resolver, out);
    }
}

impl<T: Serialize<S>, S: Fallible + ?Sized> Serialize<S> for Ref<'_, T> {
    fn serialize(&self, serializer: &mut S) -> Result<T::Resolver, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ARCHIVE_ALIGN;

    fn roundtrip<T: Encode + Decode + PartialEq + std::fmt::Debug>(value: T) {
        let mut buffer = Buffer::new(1 << 20);
        encode(&value, &mut buffer).unwrap();
        assert_eq!(buffer.as_slice().as_ptr() as usize % ARCHIVE_ALIGN, 0);
        assert_eq!(decode::<T>(buffer.as_slice()).unwrap(), value);
    }

    #[test]
    fn values_survive() {
        roundtrip(());
        roundtrip(("short".to_owned(), "much longer than the inline form".to_owned(), 7_u64));
        roundtrip(vec![1_u128, 2, 3]);
        roundtrip(Some(vec![Ok::<u8, String>(1), Err("no".to_owned())]));
    }

    #[test]
    fn borrowed_arguments_are_archived_like_owned_ones() {
        let (mut owned, mut borrowed) = (Buffer::new(1024), Buffer::new(1024));
        let value = ("hello, world, and more".to_owned(), vec![1_u8, 2, 3], vec![4_u64]);
        encode(&value, &mut owned).unwrap();
        encode(&(Str(&value.0), Bytes(&value.1), Ref(&value.2)), &mut borrowed).unwrap();
        assert_eq!(owned.as_slice(), borrowed.as_slice());
    }

    #[test]
    fn garbage_is_refused_at_every_truncation() {
        let mut buffer = Buffer::new(1024);
        encode(&(vec!["one".to_owned(), "a string that is stored elsewhere".to_owned()], 5_u32), &mut buffer).unwrap();
        let mut copy = Buffer::new(1024);
        for len in 0..buffer.as_slice().len() {
            copy.room(len).unwrap().copy_from_slice(&buffer.as_slice()[..len]);
            if let Ok(value) = decode::<(Vec<String>, u32)>(copy.as_slice()) {
                assert_ne!(value.1, 5, "a truncated archive read as the whole");
            }
        }
    }

    #[test]
    fn the_limit_names_itself() {
        let mut buffer = Buffer::new(64);
        let error = encode(&vec![0_u8; 100], &mut buffer).unwrap_err();
        assert_eq!(error.code, Code::ResourceExhausted);
        assert!(error.message.contains("limit of 64 bytes"), "{error}");
        assert!(buffer.room(65).unwrap_err().message.contains("limit of 64 bytes"));
    }
}
