//! The codec in which a method's clients write, as `#[method(codec = "...")]` names it.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Error, LitStr, Result};

use crate::types::{Argument, Output, is_byte_vector};

/// As `speedysvc_protocol::ids::Codec`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Codec {
    #[default]
    Rkyv,
    Json,
    MsgPack,
    Raw,
}

/// The codec of this name.
pub fn named(name: &LitStr) -> Result<Codec> {
    const KNOWN: &str = "the codecs are \"rkyv\" (the usual one), \"json\", \"msgpack\" and \"raw\"";
    let why = match name.value().as_str() {
        "rkyv" => return Ok(Codec::Rkyv),
        "json" => return Ok(Codec::Json),
        "msgpack" => return Ok(Codec::MsgPack),
        "raw" => return Ok(Codec::Raw),
        "pickle" => "pickle is refused: reading it runs whatever code the sender put into it".to_owned(),
        "marshal" => "marshal is refused: it differs between versions of Python and is not safe to read".to_owned(),
        other => format!("`{other}` is no codec"),
    };
    Err(Error::new(name.span(), format!("{why}; {KNOWN}")))
}

impl Codec {
    /// Whether a method can be called so; `place` is where that was said.
    pub fn check(self, arguments: &[Argument], output: &Output, place: Span) -> Result<()> {
        let takes_bytes = matches!(arguments, [one] if one.kind.is_byte_string());
        let gives_bytes = output.ok.as_ref().is_some_and(is_byte_vector);
        if self == Self::Raw && !(takes_bytes && gives_bytes) {
            let message = "raw is for methods that take one byte string and give one, such as \
                           `fn shrink(&self, image: &[u8]) -> Vec<u8>`: use \"json\" or \"msgpack\" here";
            return Err(Error::new(place, message));
        }
        Ok(())
    }

    /// The variant of `ids::Codec`.
    pub fn variant(self) -> TokenStream {
        match self {
            Self::Rkyv => quote!(Rkyv),
            Self::Json => quote!(Json),
            Self::MsgPack => quote!(MsgPack),
            Self::Raw => quote!(Raw),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_codec_is_told_what_there_is() {
        let named = |name: &str| named(&LitStr::new(name, Span::call_site())).map_err(|error| error.to_string());
        assert_eq!(named("msgpack"), Ok(Codec::MsgPack));
        for (name, why) in [("pickle", "runs whatever code"), ("marshal", "not safe"), ("JSON", "`JSON` is no codec")] {
            let error = named(name).unwrap_err();
            assert!(error.contains(why) && error.contains("\"rkyv\""), "{error}");
        }
    }
}
