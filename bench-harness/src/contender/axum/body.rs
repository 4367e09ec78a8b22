//! What the bodies are.

use std::borrow::Cow;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::contender) enum Kind {
    Raw,
    Json,
    /// As our services have it: a single argument, and the result, by themselves.
    Ours,
}

impl Kind {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Raw => "application/octet-stream",
            Self::Json | Self::Ours => "application/json",
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Raw | Self::Json => "/echo",
            Self::Ours => "/echo/echo_bytes",
        }
    }

    pub(super) fn body(self, request: &[u8]) -> io::Result<Bytes> {
        match self {
            Self::Raw => Ok(Bytes::copy_from_slice(request)),
            Self::Ours => Ok(serde_json::to_vec(&Base64(request.into()))?.into()),
            Self::Json => Ok(serde_json::to_vec(&Encoded { bytes: Base64(request.into()) })?.into()),
        }
    }

    /// The payload of a body that has arrived.
    pub(super) fn payload(self, body: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Raw => Ok(body),
            Self::Json => Ok(serde_json::from_slice::<Encoded<'_>>(&body)?.bytes.0.into_owned()),
            Self::Ours => Ok(serde_json::from_slice::<Base64<'_>>(&body)?.0.into_owned()),
        }
    }
}

/// The JSON of both ways.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Encoded<'a> {
    bytes: Base64<'a>,
}

/// Bytes as JSON carries them.
#[derive(PartialEq, Eq, Debug)]
struct Base64<'a>(Cow<'a, [u8]>);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64<'_> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Text)
    }
}

/// Takes the text where it lies, without a copy.
struct Text;

impl Visitor<'_> for Text {
    type Value = Base64<'static>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes in base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        STANDARD.decode(text).map(|bytes| Base64(bytes.into())).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_there_and_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        for kind in [Kind::Raw, Kind::Json] {
            assert_eq!(kind.payload(kind.body(&bytes).unwrap().to_vec()).unwrap(), bytes);
        }
        assert_eq!(Kind::Json.body(b"hi!").unwrap(), r#"{"bytes":"aGkh"}"#);
        assert_eq!(Kind::Ours.body(b"hi!").unwrap(), r#""aGkh""#);
        assert_eq!(Kind::Ours.payload(br#""aGkh""#.to_vec()).unwrap(), b"hi!");
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        assert!(Kind::Json.payload(br#"{"bytes":"?"}"#.to_vec()).is_err());
    }
}
