//! A client's side of the codecs that are no archives: arguments as JSON, MessagePack or raw bytes, and results out of
//! them. Several arguments are a map by names, so that a service may get more of them, if those are optional, and may
//! put them in another order.

use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::archive::{Arguments, Buffer, Sink};
use crate::ids::Codec;
use crate::json;
use crate::msgpack;
use crate::status::Failure;

/// Arguments that travel as JSON.
#[derive(Debug)]
pub struct Json<'a, T: ?Sized>(pub &'a T);

/// Arguments that travel as MessagePack.
#[derive(Debug)]
pub struct MsgPack<'a, T: ?Sized>(pub &'a T);

/// The byte string that is a call's only argument, and travels as it is.
#[derive(Debug)]
pub struct Raw<'a>(pub &'a [u8]);

impl<T: Serialize + ?Sized> Arguments for Json<'_, T> {
    const CODEC: Codec = Codec::Json;

    fn write(&self, out: &mut Buffer) -> Result<(), Failure> {
        json::encode(self.0, out)
    }

    fn write_into(&self, sink: &mut dyn Sink) -> Result<(), Failure> {
        by_copy(self, sink)
    }
}

impl<T: Serialize + ?Sized> Arguments for MsgPack<'_, T> {
    const CODEC: Codec = Codec::MsgPack;

    fn write(&self, out: &mut Buffer) -> Result<(), Failure> {
        msgpack::encode(self.0, out)
    }

    fn write_into(&self, sink: &mut dyn Sink) -> Result<(), Failure> {
        by_copy(self, sink)
    }
}

impl Arguments for Raw<'_> {
    const CODEC: Codec = Codec::Raw;

    fn write(&self, out: &mut Buffer) -> Result<(), Failure> {
        out.clear();
        out.append(self.0)
    }

    fn write_into(&self, sink: &mut dyn Sink) -> Result<(), Failure> {
        sink.append(self.0)
    }
}

/// Text takes longer to make than to copy. The sink knows the limit.
fn by_copy(arguments: &impl Arguments, sink: &mut dyn Sink) -> Result<(), Failure> {
    let mut whole = Buffer::new(u32::MAX as usize);
    arguments.write(&mut whole)?;
    sink.append(whole.as_slice())
}

/// Reads a result, or an error, that came in this codec.
///
/// # Errors
/// Why it cannot be read.
pub fn decode<T: DeserializeOwned>(codec: Codec, body: &[u8]) -> Result<T, String> {
    match codec {
        Codec::MsgPack => msgpack::decode(body),
        // The error of a method that gives raw bytes is JSON. Archives are not read here.
        Codec::Json | Codec::Raw | Codec::Rkyv => json::decode(body),
    }
}

/// Several arguments with their names.
#[derive(Debug)]
pub struct Named<'a, T>(pub &'a [&'static str], pub T);

macro_rules! named {
    ($($place:tt $argument:ident)+) => {
        impl<$($argument: Serialize),+> Serialize for Named<'_, ($($argument,)+)> {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let mut map = to.serialize_map(Some(self.0.len()))?;
                $(map.serialize_entry(self.0[$place], &self.1.$place)?;)+
                map.end()
            }
        }
    };
}

named!(0 A 1 B);
named!(0 A 1 B 2 C);
named!(0 A 1 B 2 C 3 D);
named!(0 A 1 B 2 C 3 D 4 E);
named!(0 A 1 B 2 C 3 D 4 E 5 F);
named!(0 A 1 B 2 C 3 D 4 E 5 F 6 G);
named!(0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H);
named!(0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I);
named!(0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J);
named!(0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K);
named!(0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K 11 L);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Base64;

    struct Elsewhere(Vec<u8>);

    impl Sink for Elsewhere {
        fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }

        fn written(&self) -> usize {
            self.0.len()
        }
    }

    fn written<A: Arguments>(arguments: &A) -> Vec<u8> {
        let (mut out, mut sink) = (Buffer::new(1 << 16), Elsewhere(Vec::new()));
        out.append(b"what was there").unwrap();
        arguments.write(&mut out).unwrap();
        arguments.write_into(&mut sink).unwrap();
        assert_eq!(out.as_slice(), sink.0, "both ways write the same");
        out.as_slice().to_vec()
    }

    #[test]
    fn several_arguments_are_a_map_by_names_and_one_is_itself() {
        let several = Named(&["text", "bytes"], ("hi", Base64(&[0_u8, 255][..])));
        assert_eq!(written(&Json(&several)), br#"{"text":"hi","bytes":"AP8="}"#);
        assert_eq!(written(&MsgPack(&several)), b"\x82\xa4text\xa2hi\xa5bytes\xc4\x02\x00\xff");
        assert_eq!(written(&Json("hi")), b"\"hi\"");
        assert_eq!(written(&Raw(&[1, 2])), [1, 2]);
    }

    #[test]
    fn what_the_client_writes_is_what_the_service_reads() {
        let names = ["a", "b", "c"];
        let values = (7_u8, "seven".to_owned(), None::<u8>);
        let several = Named(&names, values.clone());
        assert_eq!(
            json::arguments::<(u8, String, Option<u8>)>(&written(&Json(&several)), &names, &[]),
            Ok(values.clone())
        );
        assert_eq!(msgpack::arguments(&written(&MsgPack(&several)), &names, &[]), Ok(values));
        assert_eq!(json::arguments::<[u8; 0]>(&written(&Json(&())), &[], &[]), Ok([]));
        assert_eq!(msgpack::arguments::<[u8; 0]>(&written(&MsgPack(&())), &[], &[]), Ok([]));
    }

    #[test]
    fn results_are_read_in_the_codec_of_the_call() {
        assert_eq!(decode::<u8>(Codec::Json, b"7"), Ok(7));
        assert_eq!(decode::<u8>(Codec::MsgPack, b"\x07"), Ok(7));
        assert_eq!(decode::<String>(Codec::Raw, b"\"no\""), Ok("no".to_owned()));
        assert!(decode::<u8>(Codec::MsgPack, b"\x07\x07").unwrap_err().contains("too many"));
        assert!(decode::<u8>(Codec::Json, b"\"7\"").unwrap_err().contains("u8"));
    }
}
