//! One trait: the server's trait, the client and the contract.
#![forbid(unsafe_code)]

/// Greets people.
#[speedysvc::service]
pub trait Hello {
    /// Greets.
    fn hello(&self, name: &str) -> String;
}
