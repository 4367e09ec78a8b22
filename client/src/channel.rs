//! A connection to a service (being written).
use std::time::Duration;
use speedysvc_protocol::archive::{Decode, Encode};
use speedysvc_protocol::contract::Contract;
use speedysvc_protocol::ids::MethodIndex;
/// x
pub type Error = speedysvc_protocol::status::Failure;
/// x
#[derive(Debug)]
pub enum CallError<E> { /// x
 App(E), /// x
 Rpc(Error) }
/// x
#[derive(Clone)]
pub struct Channel;
impl Channel {
    /// x
    pub fn connect(_c: &'static Contract, _a: &str) -> Result<Self, Error> { Ok(Self) }
    /// x
    pub fn with_timeout(&self, _t: Duration) -> Self { Self }
    /// x
    pub fn call<W: Encode, R: Decode>(&self, _m: MethodIndex, _a: &W) -> Result<R, Error> { panic!("later") }
    /// x
    pub fn call_fallible<W: Encode, R: Decode, E: Decode>(&self, _m: MethodIndex, _a: &W) -> Result<R, CallError<E>> { panic!("later") }
}
