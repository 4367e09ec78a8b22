//! Archives: any bytes are a value of the type, or are refused; never more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use speedysvc_protocol::archive::{Buffer, Decode, Encode, decode, encode, take, view};
use speedysvc_protocol::status::{Code, Outcome};

use crate::types::{Drawing, Nothing, Page, Point};

type Box2<T> = Box<Box<T>>;
type Box16<T> = Box2<Box2<Box2<Box2<Box2<Box2<Box2<Box2<T>>>>>>>>;
/// Nested more deeply than is allowed.
pub type Deep = Box16<Box16<Box16<Box16<Box16<Box16<Box16<Box16<Box16<u8>>>>>>>>>;
/// Nested less deeply.
pub type Flat = Box16<Box16<Box16<Box16<Box16<Box16<Box16<u8>>>>>>>;

pub fn target(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    match which % 10 {
        0 => survives::<()>(data),
        1 => survives::<(u64, Option<u8>, bool, char)>(data),
        2 => survives::<(String, String)>(data),
        3 => survives::<Vec<Vec<Option<String>>>>(data),
        4 => survives::<Drawing>(data),
        5 => survives::<(Vec<Drawing>, Page<Point>)>(data),
        6 => survives::<BTreeMap<u8, Drawing>>(data),
        7 => survives::<(BTreeSet<Point>, [Option<Box<str>>; 2])>(data),
        8 => survives::<(Flat, Result<u16, i128>)>(data),
        _ => billions_of_nothing(data),
    }
    refuses::<Deep>(data);
}

/// Bytes at an address that suits archives, as a worker sees them.
fn aligned(data: &[u8]) -> Buffer {
    let mut buffer = Buffer::new(data.len());
    buffer.room(data.len()).expect("within its limit").copy_from_slice(data);
    buffer
}

fn survives<T: Encode + Decode + PartialEq + Debug>(data: &[u8]) {
    let buffer = aligned(data);
    let Some(archived) = seen::<T>(&buffer) else { return };
    let Ok(value) = take::<T>(archived) else { return };
    let mut again = Buffer::new(1 << 24);
    encode(&value, &mut again).expect("what was read can be written");
    assert_eq!(decode::<T>(again.as_slice()).expect("what we wrote can be read"), value);
}

fn seen<T: Decode>(buffer: &Buffer) -> Option<&speedysvc::Archived<T>> {
    match view::<T>(buffer.as_slice()) {
        Ok(archived) => Some(archived),
        Err(failure) => {
            assert_eq!((failure.code, failure.outcome), (Code::InvalidArgument, Outcome::NotStarted));
            None
        }
    }
}

/// Whatever the bytes are: beyond the limit on depth nothing is read.
fn refuses<T: Decode>(data: &[u8]) {
    assert!(seen::<T>(&aligned(data)).is_none(), "an archive deeper than the limit was read");
}

/// Only looked at: taking it out would take as long as it says, and it may say four billion. Without an optimiser even
/// looking does, at 11 ns each: there it may say less.
fn billions_of_nothing(data: &[u8]) {
    // An archived `Vec` ends with its length.
    let len = data.last_chunk().map_or(0, |len| u32::from_le_bytes(*len));
    if cfg!(feature = "fuzzer") || len < 10_000 {
        seen::<Vec<Nothing>>(&aligned(data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use speedysvc_protocol::limits::DEPTH_MAX;

    macro_rules! box4 {
        ($inner:expr) => {
            Box::new(Box::new(Box::new(Box::new($inner))))
        };
    }

    macro_rules! box16 {
        ($inner:expr) => {
            box4!(box4!(box4!(box4!($inner))))
        };
    }

    macro_rules! nested {
        ($ty:ty, $inner:expr) => {{
            let mut buffer = Buffer::new(1 << 20);
            encode::<$ty>(&$inner, &mut buffer).unwrap();
            decode::<$ty>(buffer.as_slice()).map(|_| ())
        }};
    }

    #[test]
    fn depth_ends_between_112_and_144() {
        assert!((112..144).contains(&DEPTH_MAX));
        let flat: Flat = box16!(box16!(box16!(box16!(box16!(box16!(box16!(7)))))));
        let deep: Deep = box16!(box16!(box16!(box16!(box16!(box16!(box16!(box16!(box16!(7)))))))));
        nested!(Flat, flat).unwrap();
        assert_eq!(nested!(Deep, deep).unwrap_err().code, Code::InvalidArgument);
    }
}
