//! Names of things, as types that cannot be mixed up.

use std::fmt;
use std::num::NonZeroU16;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A method's stable 64-bit name: the FNV-1a hash of its service, name and signature. Frames carry it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MethodId(pub u64);

/// The hash of the types that a method takes and gives, as far as a JSON schema can tell them apart.
///
/// Two programs whose method ids agree but whose shapes differ were built from types of the same name and different
/// fields: an archive of one would be misread by the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape(pub u64);

/// A method's place in its service's contract. Slots carry it, because they have no room for a [`MethodId`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MethodIndex(pub u16);

/// One client's shared-memory attachment to one service. Never reused within a broker's life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkId(pub u64);

/// A worker process of one service, counted from 0 in the order of their starts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub u32);

/// One life of one loop. Claims name it, so a late answer of a loop that was given up can be told from its successor's.
///
/// Allotted by the broker; not given out again while a claim may still name it (`SLOTS` rule 3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub NonZeroU16);

/// A call on a TCP connection, chosen by the client and unique among its calls in flight.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// How a call's arguments and reply are written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Codec {
    /// An rkyv archive: the same contract on both sides.
    #[default]
    Rkyv = 1,
    /// JSON text, for people and other languages.
    Json = 2,
    /// MessagePack, for other languages: JSON's types, and byte strings as they are.
    MsgPack = 3,
    /// The bytes themselves, for methods that take one byte string and give one.
    Raw = 4,
}

impl Codec {
    /// The codec with this number on the wire.
    #[inline]
    #[must_use]
    pub fn from_wire(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Rkyv),
            2 => Some(Self::Json),
            3 => Some(Self::MsgPack),
            4 => Some(Self::Raw),
            _ => None,
        }
    }

    /// The codec of this name, as people write it.
    ///
    /// # Errors
    /// What there is instead; for Python's own formats also why they are not.
    pub fn from_name(name: &str) -> Result<Self, String> {
        const KNOWN: &str = "the codecs are rkyv, json, msgpack and raw";
        match name {
            "rkyv" => Ok(Self::Rkyv),
            "json" => Ok(Self::Json),
            "msgpack" => Ok(Self::MsgPack),
            "raw" => Ok(Self::Raw),
            "pickle" => {
                Err(format!("pickle is refused: reading it runs whatever code the sender put into it; {KNOWN}"))
            }
            "marshal" => Err(format!(
                "marshal is refused: it differs between versions of Python and is not safe to read; {KNOWN}"
            )),
            _ => Err(format!("`{name}` is no codec; {KNOWN}")),
        }
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a, 64 bits (Fowler, Noll, Vo): stable, tiny, and usable in constants. Not for hostile keys.
#[must_use]
pub const fn fnv1a(bytes: &[u8], mut hash: u64) -> u64 {
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(FNV_PRIME);
        i += 1;
    }
    hash
}

impl MethodId {
    /// The id of a method by its service's name and its signature, such as `echo(&str) -> String`.
    #[must_use]
    pub const fn of(service: &str, signature: &str) -> Self {
        let hash = fnv1a(service.as_bytes(), FNV_OFFSET);
        let hash = fnv1a(b".", hash);
        Self(fnv1a(signature.as_bytes(), hash))
    }
}

impl Shape {
    /// The shape that a canonical text of the types stands for.
    #[must_use]
    pub const fn of(text: &str) -> Self {
        Self(fnv1a(text.as_bytes(), FNV_OFFSET))
    }
}

/// 64-bit ids travel through JSON as 16 hexadecimal digits: JSON numbers lose bits beyond 53 in many languages.
macro_rules! hex_in_json {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:016x})"), self.0)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(&format_args!("{:016x}", self.0))
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                u64::from_str_radix(&text, 16).map($name).map_err(D::Error::custom)
            }
        }
    };
}
hex_in_json!(MethodId);
hex_in_json!(Shape);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv1a_matches_the_published_vectors() {
        // http://www.isthe.com/chongo/tech/comp/fnv/ : FNV-1a 64 of "" and "foobar".
        assert_eq!(fnv1a(b"", FNV_OFFSET), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar", FNV_OFFSET), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn ids_differ_by_service_name_and_signature() {
        let id = MethodId::of("echo", "echo(&str) -> String");
        assert_ne!(id, MethodId::of("echo2", "echo(&str) -> String"));
        assert_ne!(id, MethodId::of("echo", "echo(&[u8]) -> String"));
    }

    #[test]
    fn codecs_have_names_and_numbers_and_pickle_is_none() {
        for (name, number) in [("rkyv", 1), ("json", 2), ("msgpack", 3), ("raw", 4)] {
            let codec = Codec::from_name(name).unwrap();
            assert_eq!((codec as u8, Codec::from_wire(number)), (number, Some(codec)));
        }
        assert_eq!((Codec::from_wire(0), Codec::from_wire(5)), (None, None));
        for (name, why) in [("pickle", "runs whatever code"), ("marshal", "versions of Python"), ("cbor", "no codec")] {
            let error = Codec::from_name(name).unwrap_err();
            assert!(error.contains(why) && error.contains("msgpack"), "{error}");
        }
    }

    #[test]
    fn ids_survive_json_beyond_53_bits() {
        let id = MethodId(u64::MAX - 1);
        let text = serde_json::to_string(&id).unwrap();
        assert_eq!(text, "\"fffffffffffffffe\"");
        assert_eq!(serde_json::from_str::<MethodId>(&text).unwrap(), id);
    }
}
