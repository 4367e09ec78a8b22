//! The built-in service: says what it is told, for trying a link or a port.

/// Echoes text and bytes.
#[speedysvc::service]
pub trait Echo {
    /// The same text.
    fn echo(&self, text: &str) -> String;
    /// The same bytes.
    fn echo_bytes(&self, bytes: &[u8]) -> Vec<u8>;
}

pub(crate) struct BuiltinEcho;

#[speedysvc::service]
impl Echo for BuiltinEcho {
    fn echo(&self, text: &str) -> String {
        text.to_owned()
    }

    fn echo_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }
}
