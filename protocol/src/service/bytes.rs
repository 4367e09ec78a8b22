//! Results that are byte strings.

use super::{Apart, Reply};
use crate::archive::Bytes;
use crate::byte_string;
use crate::ids::Codec;
use crate::json::{self, Base64};
use crate::msgpack;
use crate::status::{Failure, Status};

impl Reply {
    /// Writes the method's result where that is a byte string.
    ///
    /// # Errors
    /// [`Failure`] when it is over the limit.
    #[inline]
    pub fn ok_bytes(&mut self, codec: Codec, value: Vec<u8>) -> Result<(), Failure> {
        if codec != Codec::Rkyv {
            return self.ok_lent_bytes(codec, &value);
        }
        let may_be_apart = matches!(self.apart, Apart::From(least) if value.len() >= least);
        if may_be_apart && self.window.is_none() && byte_string::archived_len(value.len()) <= self.body.limit() {
            self.status = Status::Ok;
            self.apart = Apart::Is;
            self.written = value;
            return Ok(());
        }
        let written = self.ok_lent_bytes(codec, &value);
        self.written = value;
        written
    }

    /// Writes the method's result where that is a byte string that is not given: it may change as soon as this is done.
    ///
    /// # Errors
    /// [`Failure`] when it is over the limit.
    #[inline]
    pub fn ok_lent_bytes(&mut self, codec: Codec, value: &[u8]) -> Result<(), Failure> {
        self.status = Status::Ok;
        match codec {
            Codec::Rkyv if self.window.is_none() => byte_string::encode(value, &mut self.body),
            Codec::Rkyv => self.archive(&Bytes(value)),
            Codec::Json => json::bytes::encode_bytes(value, &mut self.body),
            Codec::MsgPack => msgpack::encode(&Base64(value), &mut self.body),
            Codec::Raw => self.body.append(value),
        }
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
