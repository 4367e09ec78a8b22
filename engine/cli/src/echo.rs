//! The built-in service: says what it is told, for trying a link or a port.

/// Echoes text and bytes.
#[speedysvc::service]
pub trait Echo {
    /// The same text.
    fn echo<'a>(&self, text: &'a str) -> &'a str;
    /// The same bytes.
    fn echo_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8];
}

pub(crate) struct BuiltinEcho;

#[speedysvc::service]
impl Echo for BuiltinEcho {
    fn echo<'a>(&self, text: &'a str) -> &'a str {
        text
    }

    fn echo_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
    }
}
