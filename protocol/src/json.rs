//! JSON: the codec for people, scripts and other languages.
//!
//! A method with one argument takes its value as the whole body; with none or several, an object by names or an array
//! in order. Byte strings are base64 text. Arguments with a default may be left out: by name, or at the end of an
//! array, or with the whole body.

pub(crate) mod bytes;

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, SeqAccess};
use serde::{Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::archive::Buffer;
use crate::status::{Code, Failure};

pub use bytes::Base64;

/// What arguments are, in their order, when a caller leaves them out; shorter where no more of them have a default.
pub type Defaults = [Option<fn() -> Value>];

/// What argument `place` is when it is left out.
pub(crate) fn default_of(defaults: &Defaults, place: usize) -> Option<Value> {
    defaults.get(place).copied().flatten().map(|default| default())
}

/// A default as JSON.
///
/// # Panics
/// When the value has no JSON form (a map with keys that are not text).
#[must_use]
pub fn value<T: Serialize + ?Sized>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_else(|error| panic!("a default has no JSON form: {error}"))
}

/// Reads a call's arguments, by the rule in the module's text, into a tuple with one field for each name.
///
/// # Errors
/// [`Failure`] with [`Code::InvalidArgument`] that says which argument is missing, unknown or of the wrong type.
pub fn arguments<T: DeserializeOwned>(body: &[u8], names: &[&str], defaults: &Defaults) -> Result<T, Failure> {
    if let ([_], Some(read)) = (names, whole(body)) {
        return Ok(read);
    }
    serde_json::from_value(Value::Array(values(body, names, defaults)?)).or_else(|error| {
        // In JSON Schema, and in what some languages write, 3.0 is an integer. Only now, as it costs a second reading.
        let mut again = Value::Array(values(body, names, defaults)?);
        if !make_integers(&mut again) {
            return Err(invalid(&error, names));
        }
        serde_json::from_value(again).map_err(|_| invalid(&error, names))
    })
}

/// A tuple of one, which the body is the value of, without a detour over [`Value`]. `None` when it is not, or must be
/// read with more patience.
fn whole<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let mut from = serde_json::Deserializer::from_slice(body);
    let read = T::deserialize(SeqAccessDeserializer::new(Alone(Some(&mut from)))).ok()?;
    from.end().is_ok().then_some(read)
}

/// A sequence of one value.
struct Alone<D>(Option<D>);

impl<'de, D: Deserializer<'de>> SeqAccess<'de> for Alone<D> {
    type Error = D::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, D::Error> {
        self.0.take().map(|from| seed.deserialize(from)).transpose()
    }
}

fn values(body: &[u8], names: &[&str], defaults: &Defaults) -> Result<Vec<Value>, Failure> {
    let alone = if names.len() == 1 && body.is_empty() { default_of(defaults, 0) } else { None };
    match (names, alone) {
        ([_], Some(default)) => Ok(vec![default]),
        ([_], None) => Ok(vec![parse(body)?]),
        _ => in_order(body, names, defaults),
    }
}

/// Makes integers of numbers without a fraction. Whether there were any.
fn make_integers(value: &mut Value) -> bool {
    /// Up to here a double holds every integer.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= EXACT);
            #[expect(clippy::cast_possible_truncation, reason = "just checked")]
            let integer = whole.map(|number| number as i64);
            integer.map(|integer| *value = integer.into()).is_some()
        }
        Value::Array(values) => values.iter_mut().fold(false, |any, value| make_integers(value) | any),
        Value::Object(fields) => fields.values_mut().fold(false, |any, value| make_integers(value) | any),
        _ => false,
    }
}

fn in_order(body: &[u8], names: &[&str], defaults: &Defaults) -> Result<Vec<Value>, Failure> {
    if names.is_empty() && body.is_empty() {
        return Ok(Vec::new());
    }
    match parse(body)? {
        Value::Array(mut values) => {
            values.extend((values.len()..names.len()).map_while(|place| default_of(defaults, place)));
            Ok(values)
        }
        Value::Null if names.is_empty() => Ok(Vec::new()),
        Value::Object(fields) => by_name(fields, names, defaults),
        _ => Err(invalid(&"expected an object of named arguments, or an array in order", names)),
    }
}

fn by_name(mut fields: Map<String, Value>, names: &[&str], defaults: &Defaults) -> Result<Vec<Value>, Failure> {
    let mut value = |place, name: &str| fields.remove(name).or_else(|| default_of(defaults, place));
    let values = names.iter().enumerate().map(|(place, name)| value(place, name).unwrap_or(Value::Null)).collect();
    match fields.keys().next() {
        Some(unknown) => Err(invalid(&format_args!("no argument is called `{unknown}`"), names)),
        None => Ok(values),
    }
}

fn parse(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::not_started(Code::InvalidArgument, format!("the body is not JSON: {error}")))
}

pub(crate) fn invalid(error: &dyn fmt::Display, names: &[&str]) -> Failure {
    let takes = match names {
        [] => "no arguments".to_owned(),
        [one] => format!("the value of `{one}` as the whole body"),
        several => format!("the arguments {}", several.join(", ")),
    };
    Failure::not_started(Code::InvalidArgument, format!("{error}; this method takes {takes}"))
}

/// Writes a value as JSON text into `out`, replacing what was there.
///
/// # Errors
/// [`Failure`] when the text passes the buffer's limit, or the value has no JSON form (a map with keys that are not
/// text).
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Buffer) -> Result<(), Failure> {
    out.clear();
    let mut sink = Sink::new(out);
    let written = serde_json::to_writer(&mut sink, value);
    sink.end(written.map_err(|error| format!("the value has no JSON form: {error}")))
}

/// Reads a value that is JSON text.
///
/// # Errors
/// Why it is none, or not of this type.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// A buffer as serializers write to it.
pub(crate) struct Sink<'a> {
    out: &'a mut Buffer,
    refused: Option<Failure>,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(out: &'a mut Buffer) -> Self {
        Self { out, refused: None }
    }

    /// What came of it: the buffer's own refusal, or the serializer's.
    pub(crate) fn end(self, written: Result<(), String>) -> Result<(), Failure> {
        match (written, self.refused) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(refused)) => Err(refused),
            (Err(error), None) => Err(Failure::done(Code::Internal, error)),
        }
    }
}

impl std::io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.out.append(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(failure) => {
                self.refused = Some(failure);
                Err(std::io::ErrorKind::OutOfMemory.into())
            }
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments<T: DeserializeOwned>(body: &[u8], names: &[&str]) -> Result<T, Failure> {
        super::arguments(body, names, &[])
    }

    #[test]
    fn what_has_a_default_may_be_left_out() {
        let defaults: &Defaults = &[None, Some(|| json!(7)), Some(|| json!("x"))];
        let read = |body: &str| super::arguments::<(u8, u8, String)>(body.as_bytes(), &["a", "b", "c"], defaults);
        let expected = |b, c: &str| Ok((1, b, c.to_owned()));
        assert_eq!(read(r#"{"a":1}"#), expected(7, "x"));
        assert_eq!(read(r#"{"c":"y","a":1}"#), expected(7, "y"));
        assert_eq!(read("[1]"), expected(7, "x"));
        assert_eq!(read("[1,2]"), expected(2, "x"));
        assert!(read(r#"{"b":1}"#).is_err() && read("[]").is_err(), "`a` has none");
        assert!(read(r#"{"a":1,"b":null}"#).is_err(), "null is a value");
        let alone: &Defaults = &[Some(|| json!([3]))];
        assert_eq!(super::arguments::<(Vec<u8>,)>(b"", &["xs"], alone), Ok((vec![3],)));
        assert_eq!(super::arguments::<(Vec<u8>,)>(b"[4]", &["xs"], alone), Ok((vec![4],)));
        assert!(arguments::<(Vec<u8>,)>(b"", &["xs"]).is_err());
    }

    #[test]
    fn one_argument_is_the_whole_body() {
        assert_eq!(arguments::<(String,)>(b"\"hi\"", &["text"]).unwrap().0, "hi");
        assert_eq!(arguments::<(Vec<u8>,)>(b"[1,2]", &["xs"]).unwrap().0, [1, 2]);
    }

    #[test]
    fn a_number_without_a_fraction_is_an_integer_where_one_is_needed() {
        assert_eq!(arguments::<(Vec<u64>,)>(b"[3.0, 4, 1e2]", &["xs"]).unwrap().0, [3, 4, 100]);
        assert_eq!(arguments::<(i8, f64)>(br#"{"a":-3.0,"b":2.0}"#, &["a", "b"]).unwrap(), (-3, 2.0));
        for body in ["3.5", "-1.0", "1e300", "256.0"] {
            let error = arguments::<(u8,)>(body.as_bytes(), &["x"]).unwrap_err();
            assert!(error.message.contains("the value of `x`"), "{error}");
        }
    }

    /// Numbers arrive as they were sent, to the last bit, as among programs of one language.
    #[test]
    fn a_number_is_the_same_when_it_arrives() {
        use proptest::prelude::*;
        proptest!(|(number in any::<f64>().prop_filter("JSON has no such", |number| number.is_finite()))| {
            let mut out = Buffer::new(64);
            encode(&number, &mut out).unwrap();
            prop_assert_eq!(decode::<f64>(out.as_slice()).unwrap().to_bits(), number.to_bits());
            prop_assert_eq!(arguments::<(f64,)>(out.as_slice(), &["x"]).unwrap().0.to_bits(), number.to_bits());
        });
    }

    #[test]
    fn several_arguments_come_by_name_or_in_order() {
        for body in [&br#"{"b":"x","a":1}"#[..], br#"[1,"x"]"#] {
            assert_eq!(arguments::<(u8, String)>(body, &["a", "b"]).unwrap(), (1, "x".to_owned()));
        }
        let optional = arguments::<(u8, Option<u8>)>(br#"{"a":1}"#, &["a", "b"]).unwrap();
        assert_eq!(optional, (1, None));
    }

    #[test]
    fn no_arguments_may_be_said_in_four_ways() {
        for body in [&b""[..], b"null", b"[]", b"{}"] {
            arguments::<()>(body, &[]).unwrap_or_else(|_| arguments::<[u8; 0]>(body, &[]).map(|_| ()).unwrap());
        }
    }

    #[test]
    fn mistakes_say_what_the_method_takes() {
        let error = arguments::<(u8, u8)>(br#"{"a":1,"c":2}"#, &["a", "b"]).unwrap_err();
        assert!(error.message.contains("no argument is called `c`"), "{error}");
        assert!(error.message.contains("takes the arguments a, b"), "{error}");
        let error = arguments::<(u8,)>(b"{", &["a"]).unwrap_err();
        assert!(error.message.contains("not JSON"), "{error}");
    }

    #[test]
    fn bytes_are_base64() {
        let text = serde_json::to_string(&Base64(vec![0, 255, 1])).unwrap();
        assert_eq!(text, "\"AP8B\"");
        assert_eq!(serde_json::from_str::<Base64>(&text).unwrap().0, [0, 255, 1]);
        assert!(serde_json::from_str::<Base64>("\"?\"").is_err());
    }

    /// What is read at once against what is read by way of a [`Value`].
    #[test]
    fn a_body_read_at_once_is_what_it_is_by_the_long_way() {
        fn both<T: DeserializeOwned + PartialEq + fmt::Debug>(body: &str) {
            let long = serde_json::from_slice(body.as_bytes())
                .ok()
                .and_then(|value: Value| serde_json::from_value::<(T,)>(Value::Array(vec![value])).ok());
            let read = whole::<(T,)>(body.as_bytes());
            assert!(read.is_none() || read == long, "{body}: {read:?}, {long:?}");
            // With patience 3.0 is an integer, too.
            let patient = arguments::<(T,)>(body.as_bytes(), &["x"]).is_ok();
            assert!(long.is_some() == patient || body.contains(['.', 'e']), "{body}: {long:?}");
        }
        let bodies = [
            "3",
            "3.0",
            "-1",
            "256",
            "\"a\"",
            "\"\\u00e4\\/\"",
            "\"\"",
            "[]",
            "[1]",
            "[1,2]",
            "[[1,2],[3]]",
            "null",
            "true",
            "{}",
            "{\"a\":1}",
            "{\"a\":1,\"a\":2}",
            "{\"a\":1} ",
            " 3 ",
            "3 4",
            "[1",
            "\"AP8B\"",
            "\"AP8\"",
            "1e2",
            "18446744073709551615",
            "",
        ];
        for body in bodies {
            both::<u8>(body);
            both::<f64>(body);
            both::<String>(body);
            both::<Vec<u8>>(body);
            both::<Vec<Vec<u64>>>(body);
            both::<(u8, u8)>(body);
            both::<Option<u8>>(body);
            both::<std::collections::BTreeMap<String, u8>>(body);
            both::<Base64>(body);
            both::<Value>(body);
        }
        assert_eq!(whole::<(String,)>(b"\"a\""), Some(("a".to_owned(),)), "the short way is taken");
    }

    #[test]
    fn a_value_over_the_limit_is_refused_with_the_limit() {
        let mut out = Buffer::new(8);
        assert!(encode("0123456789", &mut out).unwrap_err().message.contains("8 bytes"));
    }
}
