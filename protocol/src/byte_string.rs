//! Byte strings in memory that others may write: found by their archive's last bytes, so that only what is wanted is
//! copied, and once.

use std::ops::Range;

/// Bytes of the root, with which the archive of a byte string ends: a relative pointer and a length.
pub const ROOT: usize = 8;
const ROOT_ALIGN: usize = 4;

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
    use crate::archive::{Buffer, decode, encode};

    proptest! {
        #[test]
        fn byte_strings_lie_where_rkyv_reads_them(value in vec(any::<u8>(), 0..200), at in 0..ROOT, how in 0_usize..3) {
            let mut buffer = Buffer::new(1024);
            encode(&value, &mut buffer).unwrap();
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
