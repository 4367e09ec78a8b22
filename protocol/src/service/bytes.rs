//! Results that are byte strings.

use super::{Apart, Reply};
use crate::archive::Bytes;
use crate::byte_string;
use crate::ids::Codec;
use crate::json::{self, Base64};
use crate::msgpack;
use crate::status::Failure;

impl Reply {
    /// Writes the method's result where that is a byte string.
    ///
    /// # Errors
    /// [`Failure`] when it is over the limit.
    // Always: what moves a `Vec` about and gives back a `Failure` costs more than all that is done here.
    #[inline(always)]
    pub fn ok_bytes(&mut self, codec: Codec, value: Vec<u8>) -> Result<(), Failure> {
        self.status = super::OK;
        if codec != Codec::Rkyv {
            return self.write_words(codec, &value);
        }
        if self.goes_ahead(&value) {
            return Ok(());
        }
        let may_be_apart = matches!(self.apart, Apart::From(least) if value.len() >= least);
        if may_be_apart && self.window.is_none() && self.has_room(value.len()) {
            self.apart = Apart::Is;
            self.written = value;
            return Ok(());
        }
        let written = self.archive_bytes(&value);
        self.written = value;
        written
    }

    /// Writes the method's result where that is a byte string that is not given: it may change as soon as this is done.
    ///
    /// # Errors
    /// [`Failure`] when it is over the limit.
    #[inline]
    pub fn ok_lent_bytes(&mut self, codec: Codec, value: &[u8]) -> Result<(), Failure> {
        self.status = super::OK;
        if codec != Codec::Rkyv {
            return self.write_words(codec, value);
        }
        if self.goes_ahead(value) { Ok(()) } else { self.archive_bytes(value) }
    }

    #[inline]
    fn archive_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self.window {
            None => byte_string::encode(bytes, &mut self.body),
            Some(_) => self.archive(&Bytes(bytes)),
        }
    }

    /// A byte string as what is no archive.
    #[inline(never)]
    fn write_words(&mut self, codec: Codec, bytes: &[u8]) -> Result<(), Failure> {
        match codec {
            Codec::Json => json::bytes::encode_bytes(bytes, &mut self.body),
            Codec::MsgPack => msgpack::encode(&Base64(bytes), &mut self.body),
            Codec::Raw | Codec::Rkyv => self.body.append(bytes),
        }
    }

    /// Whether the archive of a byte string of so many bytes is within the limit.
    #[inline]
    pub(super) fn has_room(&self, len: usize) -> bool {
        byte_string::archived_len(len) <= self.body.limit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply with room for so many bytes, where byte strings of at least so many may lie apart.
    fn reply(limit: usize, apart_from: usize) -> Reply {
        let mut reply = Reply::new(limit);
        reply.let_apart(apart_from);
        reply
    }

    #[test]
    fn what_is_lent_is_written_as_what_is_given() {
        for codec in [Codec::Rkyv, Codec::Json, Codec::MsgPack, Codec::Raw] {
            for len in [0, 1, 7, 32, 100] {
                let bytes: Vec<u8> = (0..len).collect();
                let (mut lent, mut given) = (reply(150, 0), reply(150, usize::MAX));
                assert_eq!(lent.ok_lent_bytes(codec, &bytes), Ok(()));
                assert_eq!(given.ok_bytes(codec, bytes), Ok(()));
                assert_eq!((lent.status(), lent.body()), (given.status(), given.body()), "{codec:?} {len}");
                assert_eq!(lent.apart(), None, "nobody keeps it");
            }
            let (mut lent, mut given) = (reply(150, 0), reply(150, 0));
            let (over, also) = (lent.ok_lent_bytes(codec, &[7; 151]), given.ok_bytes(codec, vec![7; 151]));
            assert!(over.is_err() && over == also, "{codec:?}: {over:?}, {also:?}");
        }
    }

    #[test]
    fn what_is_given_lies_apart_where_it_may() {
        let (mut short, mut long, mut over) = (reply(100, 50), reply(100, 50), reply(57, 50));
        assert_eq!((short.ok_bytes(Codec::Rkyv, vec![7; 49]), short.apart()), (Ok(()), None));
        assert_eq!((long.ok_bytes(Codec::Rkyv, vec![7; 50]), long.apart()), (Ok(()), Some([7; 50].as_slice())));
        long.join();
        assert_eq!((long.apart(), long.body().len()), (None, byte_string::archived_len(50)));
        assert!(over.ok_bytes(Codec::Rkyv, vec![7; 50]).is_err() && over.apart().is_none());
    }
}
