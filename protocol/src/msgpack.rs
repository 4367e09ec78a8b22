//! MessagePack: what JSON can say, in fewer bytes, and byte strings as they are. For other languages.
//!
//! The rules for arguments are JSON's: a method with one takes its value as the whole body; with none or several, a map
//! by names or an array in order. Structs are maps by names, so that fields may be added.

use rmp_serde::decode::Deserializer;
use rmp_serde::encode::Serializer;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::archive::Buffer;
use crate::json::{Sink, invalid};
use crate::limits::DEPTH_MAX;
use crate::status::Failure;

const NIL: u8 = 0xc0;
const ARRAY_OF_ONE: u8 = 0x91;
const ARRAY_16: u8 = 0xdc;

/// Reads a call's arguments, by the rule in the module's text, into a tuple with one field for each name.
///
/// # Errors
/// [`Failure`] with the code `INVALID_ARGUMENT` that says which argument is missing, unknown or of the wrong type.
pub fn arguments<T: DeserializeOwned>(body: &[u8], names: &[&str]) -> Result<T, Failure> {
    let tuple = match names {
        [_] => [&[ARRAY_OF_ONE], body].concat(),
        _ => in_order(body, names).map_err(|error| invalid(&error, names))?,
    };
    read(&tuple).map_err(|error| invalid(&error, names))
}

/// Writes a value into `out`, replacing what was there.
///
/// # Errors
/// [`Failure`] when it passes the buffer's limit, or has no such form.
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Buffer) -> Result<(), Failure> {
    out.clear();
    let mut sink = Sink::new(out);
    let written = value.serialize(&mut Serializer::new(&mut sink).with_struct_map());
    sink.end(written.map_err(|error| format!("the value has no MessagePack form: {error}")))
}

fn read<T: DeserializeOwned>(mut body: &[u8]) -> Result<T, String> {
    let value = take(&mut body)?;
    if body.is_empty() { Ok(value) } else { Err(format!("{} bytes too many", body.len())) }
}

/// The value at the beginning of `body`, which is what comes behind it afterwards.
fn take<T: DeserializeOwned>(body: &mut &[u8]) -> Result<T, String> {
    let mut from = Deserializer::new(body);
    from.set_max_depth(DEPTH_MAX);
    T::deserialize(&mut from).map_err(|error| format!("the body is not as expected: {error}"))
}

/// The arguments as an array in their order.
fn in_order(body: &[u8], names: &[&str]) -> Result<Vec<u8>, String> {
    match *body {
        [] | [NIL] if names.is_empty() => Ok(array(&[])),
        [first @ 0x80..=0x8f, ref rest @ ..] => by_name(usize::from(first & 0xf), rest, names),
        [0xde, high, low, ref rest @ ..] => by_name(u16::from_be_bytes([high, low]).into(), rest, names),
        [0x90..=0x9f | ARRAY_16 | 0xdd, ..] => Ok(body.to_vec()),
        _ => Err("expected a map of named arguments, or an array in order".to_owned()),
    }
}

fn by_name(count: usize, mut rest: &[u8], names: &[&str]) -> Result<Vec<u8>, String> {
    let mut values: Vec<&[u8]> = vec![&[NIL]; names.len()];
    for _ in 0..count {
        let name: String = take(&mut rest)?;
        let place = names.iter().position(|known| *known == name);
        let place = place.ok_or_else(|| format!("no argument is called `{name}`"))?;
        let before = rest;
        take::<IgnoredAny>(&mut rest)?;
        values[place] = &before[..before.len() - rest.len()];
    }
    if rest.is_empty() { Ok(array(&values)) } else { Err(format!("{} bytes too many", rest.len())) }
}

fn array(values: &[&[u8]]) -> Vec<u8> {
    let count = u16::try_from(values.len()).expect("a method has few arguments").to_be_bytes();
    let mut array = vec![ARRAY_16, count[0], count[1]];
    values.iter().for_each(|value| array.extend_from_slice(value));
    array
}
