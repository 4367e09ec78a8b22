//! MessagePack: what JSON can say, in fewer bytes, and byte strings as they are. For other languages.
//!
//! The rules for arguments are JSON's: a method with one takes its value as the whole body; with none or several, a map
//! by names or an array in order. Structs are maps by names, so that fields may be added.

use rmp_serde::decode::Deserializer;
use rmp_serde::encode::Serializer;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::archive::Buffer;
use crate::json::{Defaults, Sink, default_of, invalid};
use crate::limits::DEPTH_MAX;
use crate::status::Failure;

const NIL: u8 = 0xc0;
const ARRAY_OF_ONE: u8 = 0x91;
const ARRAY_16: u8 = 0xdc;

/// Reads a call's arguments, by the rule in the module's text, into a tuple with one field for each name.
///
/// # Errors
/// [`Failure`] with the code `INVALID_ARGUMENT` that says which argument is missing, unknown or of the wrong type.
pub fn arguments<T: DeserializeOwned>(body: &[u8], names: &[&str], defaults: &Defaults) -> Result<T, Failure> {
    let tuple = match names {
        [_] if body.is_empty() => [&[ARRAY_OF_ONE], &default(defaults, 0).unwrap_or_default()[..]].concat(),
        [_] => [&[ARRAY_OF_ONE], body].concat(),
        _ => in_order(body, names, defaults).map_err(|error| invalid(&error, names))?,
    };
    decode(&tuple).map_err(|error| invalid(&error, names))
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

/// Reads a value that is MessagePack as a whole.
///
/// # Errors
/// Why it is none, or not of this type.
pub fn decode<T: DeserializeOwned>(mut body: &[u8]) -> Result<T, String> {
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
fn in_order(body: &[u8], names: &[&str], defaults: &Defaults) -> Result<Vec<u8>, String> {
    match *body {
        [] | [NIL] if names.is_empty() => Ok(array(&[])),
        [first @ 0x80..=0x8f, ref rest @ ..] => by_name(usize::from(first & 0xf), rest, names, defaults),
        [0xde, high, low, ref rest @ ..] => by_name(u16::from_be_bytes([high, low]).into(), rest, names, defaults),
        [first @ 0x90..=0x9f, ref rest @ ..] => Ok(completed(usize::from(first & 0xf), rest, names, defaults)),
        [ARRAY_16, high, low, ref rest @ ..] => {
            Ok(completed(u16::from_be_bytes([high, low]).into(), rest, names, defaults))
        }
        [0xdd, ..] => Ok(body.to_vec()),
        _ => Err("expected a map of named arguments, or an array in order".to_owned()),
    }
}

/// An array of so many values, with the defaults of those that are left out at its end.
fn completed(count: usize, values: &[u8], names: &[&str], defaults: &Defaults) -> Vec<u8> {
    let missing: Vec<Vec<u8>> = (count..names.len()).map_while(|place| default(defaults, place)).collect();
    let mut tuple = header(count + missing.len()).to_vec();
    tuple.extend_from_slice(values);
    missing.iter().for_each(|value| tuple.extend_from_slice(value));
    tuple
}

/// What argument `place` is when it is left out.
fn default(defaults: &Defaults, place: usize) -> Option<Vec<u8>> {
    let value = default_of(defaults, place)?;
    Some(rmp_serde::to_vec_named(&value).expect("whatever JSON can say has a MessagePack form"))
}

fn by_name(count: usize, mut rest: &[u8], names: &[&str], defaults: &Defaults) -> Result<Vec<u8>, String> {
    let missing: Vec<Vec<u8>> =
        (0..names.len()).map(|place| default(defaults, place).unwrap_or_else(|| vec![NIL])).collect();
    let mut values: Vec<&[u8]> = missing.iter().map(Vec::as_slice).collect();
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

fn header(count: usize) -> [u8; 3] {
    let count = u16::try_from(count).expect("a method has few arguments").to_be_bytes();
    [ARRAY_16, count[0], count[1]]
}

fn array(values: &[&[u8]]) -> Vec<u8> {
    let mut array = header(values.len()).to_vec();
    values.iter().for_each(|value| array.extend_from_slice(value));
    array
}
