//! The oracle of all JSON messages: what was read is the same after it was written and read again.

use std::fmt::Debug;

use serde_json::{from_slice, from_str, to_string};

pub trait Message: for<'de> serde::Deserialize<'de> + serde::Serialize + PartialEq + Debug {}
impl<T: for<'de> serde::Deserialize<'de> + serde::Serialize + PartialEq + Debug> Message for T {}

/// The message in `data`, if it is one.
pub fn survives<T: Message>(data: &[u8]) -> Option<T> {
    let message: T = from_slice(data).ok()?;
    let text = to_string(&message).expect("what was read can be written");
    assert_eq!(from_str::<T>(&text).expect("what we wrote can be read"), message);
    Some(message)
}
