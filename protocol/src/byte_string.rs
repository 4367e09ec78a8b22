//! Byte strings in memory that others may write: found by their archive's last bytes, so that only what is wanted is
//! copied, and once.

use std::array;
use std::ops::Range;

use crate::archive::{self, Arguments, Buffer, Bytes, Sink};
use crate::shm::layout::{INLINE, INLINE_WORDS};
use crate::status::Failure;

/// Bytes of the root, with which the archive of a byte string ends: a relative pointer and a length.
pub const ROOT: usize = 8;
pub(crate) const ROOT_ALIGN: usize = 4;

const _: () = assert!((INLINE - ROOT).is_multiple_of(ROOT_ALIGN));

/// Where the bytes of a byte string lie in an archive of `len` bytes that ends with this root. `None` when it is no
/// archive of bytes, or an odd one: [`decode`](crate::archive::decode) knows.
#[inline]
#[must_use]
pub fn range(len: usize, root: [u8; ROOT]) -> Option<Range<usize>> {
    // As `archive::FORMAT` says; the pointer counts from itself. The tests compare with what rkyv reads.
    let [a, b, c, d, counts @ ..] = root;
    let pointer = len.checked_sub(ROOT).filter(|at| at.is_multiple_of(ROOT_ALIGN))?;
    let start = pointer.checked_add_signed(isize::try_from(i32::from_le_bytes([a, b, c, d])).ok()?)?;
    let end = start.checked_add(usize::try_from(u32::from_le_bytes(counts)).ok()?)?;
    (end <= pointer).then_some(start..end)
}

/// Where the root lies in the archive of a byte string of so many bytes, and the root. `None` when the byte string is
/// longer than a root can say.
#[inline]
pub(crate) fn root(len: usize) -> Option<(usize, [u8; ROOT])> {
    let pointer = len.next_multiple_of(ROOT_ALIGN);
    let (back, count) = (i32::try_from(pointer).ok()?, u32::try_from(len).ok()?);
    // As one word, since it is read as one.
    let word = u64::from((-back).cast_unsigned()) | u64::from(count) << 32;
    Some((pointer, word.to_le_bytes()))
}

/// Bytes of the archive of a byte string of so many bytes.
#[inline]
#[must_use]
pub fn archived_len(len: usize) -> usize {
    len.next_multiple_of(ROOT_ALIGN).saturating_add(ROOT)
}

/// What comes behind the bytes of a byte string in its archive: padding, and the root.
#[derive(Clone, Copy, Debug)]
pub struct Tail {
    bytes: [u8; ROOT_ALIGN + ROOT],
    begin: usize,
}

impl Tail {
    /// Of a byte string of so many bytes; `None` as for [`encode`]'s own way.
    #[inline]
    #[must_use]
    pub fn of(len: usize) -> Option<Self> {
        let (pointer, root) = root(len)?;
        let mut bytes = [0; ROOT_ALIGN + ROOT];
        bytes[ROOT_ALIGN..].copy_from_slice(&root);
        Some(Self { bytes, begin: ROOT_ALIGN - (pointer - len) })
    }

    /// Its bytes.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.begin..]
    }
}

/// The archive of a byte string as the words of a line, and its length. `None` when it is longer than those.
///
/// By words, as they are stored so: what is written by bytes and then read in larger pieces a processor waits for.
#[inline(always)]
#[must_use]
pub fn words(bytes: &[u8]) -> Option<([u64; INLINE_WORDS], usize)> {
    if bytes.len() > INLINE - ROOT {
        return None;
    }
    let (pointer, root) = root(bytes.len())?;
    let (whole, rest) = bytes.as_chunks::<8>();
    // Each by itself: a copy in one large piece waits for whoever has just written smaller ones.
    let mut words = array::from_fn(|place| whole.get(place).map_or(0, |bytes| u64::from_le_bytes(*bytes)));
    let (end, root) = (whole.len(), u64::from_le_bytes(root));
    let part = || rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    match rest.len() {
        0 => words[end] = root,
        1..=ROOT_ALIGN => (words[end], words[end + 1]) = (part() | root << 32, root >> 32),
        _ => (words[end], words[end + 1]) = (part(), root),
    }
    Some((words, pointer + ROOT))
}

/// Writes the archive of a byte string into `out`, replacing what was there: what
/// [`crate::archive::encode`] makes of it, in fewer steps.
///
/// # Errors
/// As there.
#[inline]
pub fn encode(bytes: &[u8], out: &mut Buffer) -> Result<(), Failure> {
    match words(bytes) {
        Some((words, len)) => out.set_words(words, len),
        None => encode_long(bytes, out),
    }
}

fn encode_long(bytes: &[u8], out: &mut Buffer) -> Result<(), Failure> {
    let Some((pointer, root)) = root(bytes.len()) else { return archive::encode(&Bytes(bytes), out) };
    let (body, end) = out.room(pointer + ROOT)?.split_at_mut(pointer);
    let (body, padding) = body.split_at_mut(bytes.len());
    body.copy_from_slice(bytes);
    if !padding.is_empty() {
        padding.fill(0);
    }
    end.copy_from_slice(&root);
    Ok(())
}

/// A byte string as the only argument of a call.
#[derive(Debug)]
pub struct OnlyArgument<'a>(pub &'a [u8]);

impl Arguments for OnlyArgument<'_> {
    #[inline]
    fn write(&self, out: &mut Buffer) -> Result<(), Failure> {
        encode(self.0, out)
    }

    fn write_into(&self, sink: &mut dyn Sink) -> Result<(), Failure> {
        archive::encode_into(&Bytes(self.0), sink)
    }

    #[inline]
    fn byte_string(&self) -> Option<&[u8]> {
        Some(self.0)
    }
}

/// The bytes of the byte string whose archive this is; `None` as for [`range`].
#[inline]
#[must_use]
pub fn slice(archive: &[u8]) -> Option<&[u8]> {
    archive.get(range(archive.len(), *archive.last_chunk()?)?)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::archive::decode;

    proptest! {
        #[test]
        fn byte_strings_lie_where_rkyv_reads_them(value in vec(any::<u8>(), 0..200), at in 0..ROOT, how in 0_usize..3) {
            let mut buffer = Buffer::new(1024);
            archive::encode(&value, &mut buffer).unwrap();
            let mut archive = buffer.as_slice().to_vec();
            let root = archive.len() - ROOT;
            // As it is, and with one byte of the root changed.
            archive[root + at] = [archive[root + at], 0, archive[root + at].wrapping_add(1)][how];
            buffer.room(archive.len()).unwrap().copy_from_slice(&archive);
            let read = decode::<Vec<u8>>(buffer.as_slice()).ok();
            prop_assert!(how != 0 || read.as_ref() == Some(&value));
            if let Some(bytes) = slice(&archive) {
                prop_assert_eq!(Some(bytes), read.as_deref());
            } else {
                prop_assert!(read.is_none_or(|bytes| bytes.is_empty()), "a byte string was not found");
            }
        }
    }

    proptest! {
        #[test]
        fn it_is_written_as_rkyv_does(value in vec(any::<u8>(), 0..200), before in vec(any::<u8>(), 0..300)) {
            let (mut theirs, mut ours) = (Buffer::new(1024), Buffer::new(1024));
            archive::encode(&(value.clone(),), &mut theirs).unwrap();
            ours.room(before.len()).unwrap().copy_from_slice(&before);
            encode(&value, &mut ours).unwrap();
            prop_assert_eq!(theirs.as_slice(), ours.as_slice());
            let tail = Tail::of(value.len()).unwrap();
            prop_assert_eq!(theirs.as_slice().len(), archived_len(value.len()));
            prop_assert_eq!(theirs.as_slice(), [&value, tail.as_slice()].concat());
            let mut short = value;
            short.truncate(40);
            archive::encode(&(short.clone(),), &mut theirs).unwrap();
            let written = words(&short).map(|(words, len)| words.map(u64::to_le_bytes).as_flattened()[..len].to_vec());
            prop_assert_eq!(Some(theirs.as_slice().to_vec()).filter(|archive| archive.len() <= INLINE), written);
        }
    }

    #[test]
    fn one_over_the_limit_is_refused_as_by_rkyv() {
        let (mut theirs, mut ours) = (Buffer::new(64), Buffer::new(64));
        assert!(encode(&[7; 56], &mut ours).is_ok());
        let error = encode(&[7; 57], &mut ours).unwrap_err();
        assert_eq!(error, archive::encode(&vec![7_u8; 57], &mut theirs).unwrap_err());
        let mut small = Buffer::new(16);
        assert!(encode(&[7; 9], &mut small).is_err() && encode(&[7; 8], &mut small).is_ok());
        assert_eq!(slice(small.as_slice()), Some([7; 8].as_slice()));
    }

    #[test]
    fn lengths_at_the_edges_have_no_range() {
        let root = |pointer: i32, len: u32| [pointer.to_le_bytes(), len.to_le_bytes()].concat().try_into().unwrap();
        assert_eq!(range(ROOT + 8, root(-8, 8)), Some(0..8));
        for (archive, pointer, len) in
            [(7, 0, 0), (ROOT + 2, -2, 1), (ROOT + 8, -9, 1), (ROOT + 8, -8, 9), (ROOT + 8, i32::MIN, u32::MAX)]
        {
            assert_eq!(range(archive, root(pointer, len)), None, "{archive} {pointer} {len}");
        }
    }
}
