//! Byte strings in JSON: base64 text.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::Simd;
use base64::engine::general_purpose::PAD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::archive::Buffer;
use crate::status::Failure;

/// A byte string where there is no archive: in JSON base64 with padding (RFC 4648 section 4), in MessagePack itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Base64<B = Vec<u8>>(pub B);

/// The alphabet of RFC 4648 section 4 with padding, by the best instructions that this processor has.
fn base64() -> Simd {
    Simd::standard(PAD)
}

impl<B: AsRef<[u8]>> Serialize for Base64<B> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let bytes = self.0.as_ref();
        if to.is_human_readable() { to.serialize_str(&base64().encode(bytes)) } else { to.serialize_bytes(bytes) }
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(BytesVisitor)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Base64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes, which are base64 text in JSON and `bin` in MessagePack")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Base64, E> {
        let decoded = base64().decode(text.as_bytes());
        decoded.map(Base64).map_err(|error| E::custom(format!("bytes are written as base64 text: {error}")))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Base64, E> {
        Ok(Base64(bytes.to_vec()))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Base64, E> {
        Ok(Base64(bytes))
    }
}

impl JsonSchema for Base64 {
    fn schema_name() -> Cow<'static, str> {
        "Base64".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "contentEncoding": "base64" })
    }
}

/// Decodes the byte string that is the whole body to the front of `into`: how many bytes they are. `None` when it is
/// none, or written in an unusual way. Nothing is looked at twice: what may not be in the text of a string is no base64
/// either.
pub(crate) fn byte_string(body: &[u8], into: &mut Buffer) -> Option<usize> {
    let text = body.trim_ascii().strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let room = into.room(text.len().div_ceil(4) * 3).ok()?;
    base64().decode_slice(text, room).ok()
}

/// Writes a byte string into `out`, replacing what was there: what [`encode`] makes of [`Base64`], in one pass.
///
/// # Errors
/// [`Failure`] when it is over the limit.
pub(crate) fn encode_bytes(bytes: &[u8], out: &mut Buffer) -> Result<(), Failure> {
    let len = base64::encoded_len(bytes.len(), true).unwrap_or(usize::MAX - 2);
    let [before, text @ .., behind] = out.room(len.saturating_add(2))? else { unreachable!("there are two quotes") };
    (*before, *behind) = (b'"', b'"');
    let written = base64().encode_slice(bytes, text);
    debug_assert_eq!(written.ok(), Some(len), "the length of base64 is known");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::encode;
    use super::*;

    #[test]
    fn byte_strings_are_read_and_written_as_any_value() {
        let (mut scratch, mut out, mut slow) = (Buffer::new(1000), Buffer::new(1000), Buffer::new(1000));
        // Beyond the shortest length for which wide instructions are used.
        for len in 0..300_usize {
            let bytes: Vec<u8> = (0..=255).cycle().step_by(37).take(len).collect();
            encode_bytes(&bytes, &mut out).unwrap();
            encode(&Base64(&bytes), &mut slow).unwrap();
            assert_eq!(out.as_slice(), slow.as_slice());
            let spaced = [b" \n", out.as_slice(), b"\t\r\n"].concat();
            assert_eq!(byte_string(&spaced, &mut scratch), Some(len));
            assert_eq!(scratch.as_slice()[..len], bytes);
        }
        let unusual = [
            "",
            "\"",
            "AP8B",
            "\"AP8B",
            "\"AP8\"",
            "\"AP8B\" 1",
            "\"AP8B\"\"\"",
            "\"\\u0041P8B\"",
            "null",
            "\"AP8B=\"",
        ];
        for body in unusual {
            assert_eq!(byte_string(body.as_bytes(), &mut scratch), None, "{body}");
        }
        let long = [b"\"", vec![b'A'; 2_000].as_slice(), b"\""].concat();
        assert_eq!(byte_string(&long, &mut scratch), None, "over the limit");
        assert!(encode_bytes(&[0; 748], &mut out).is_err() && encode_bytes(&[0; 747], &mut out).is_ok());
    }
}
