//! Arguments in JSON or MessagePack: the whole body, an array in order, or an object by names.

use std::collections::BTreeMap;
use std::fmt::Debug;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::json::{self, Base64, Defaults};
use speedysvc_protocol::msgpack;
use speedysvc_protocol::status::{Code, Outcome};

use crate::json::Message;
use crate::types::{Drawing, Point};

pub fn target(data: &[u8]) {
    survive::<[u8; 0]>(data, &[], &[]);
    survive::<(String,)>(data, &["text"], &[]);
    survive::<(Base64,)>(data, &["bytes"], &[]);
    survive::<(Vec<Drawing>,)>(data, &["drawings"], &[]);
    survive::<(u8, Option<String>)>(data, &["a", "b"], &[]);
    survive::<(u8, String)>(data, &["a", "b"], &[None, Some(|| "left out".into())]);
    survive::<(Point, BTreeMap<u8, Point>, Option<Box<Drawing>>)>(data, &["a", "b", "c"], &[]);
}

fn survive<T: Message>(data: &[u8], names: &[&str], defaults: &Defaults) {
    survive_as_message_pack::<T>(data, names, defaults);
    let values = match json::arguments::<T>(data, names, defaults) {
        Ok(values) => values,
        Err(failure) => {
            assert_eq!((failure.code, failure.outcome), (Code::InvalidArgument, Outcome::NotStarted));
            return assert!(failure.message.contains("JSON") || failure.message.contains("this method takes"));
        }
    };
    let mut out = Buffer::new(data.len() * 8 + 64);
    json::encode(&values, &mut out).expect("what was read can be written");
    // One argument is the whole body, so its tuple of one is opened.
    let body = match names {
        [_] => &out.as_slice()[1..out.as_slice().len() - 1],
        _ => out.as_slice(),
    };
    same(&json::arguments::<T>(body, names, defaults).expect("what we wrote can be read"), &values);
}

fn survive_as_message_pack<T: Message>(data: &[u8], names: &[&str], defaults: &Defaults) {
    let values = match msgpack::arguments::<T>(data, names, defaults) {
        Ok(values) => values,
        Err(failure) => {
            assert_eq!((failure.code, failure.outcome), (Code::InvalidArgument, Outcome::NotStarted));
            return assert!(failure.message.contains("this method takes"));
        }
    };
    let mut out = Buffer::new(data.len() * 8 + 64);
    msgpack::encode(&values, &mut out).expect("what was read can be written");
    // One argument is the whole body: the array's first byte says that it has one.
    let body = &out.as_slice()[usize::from(names.len() == 1)..];
    same(&msgpack::arguments::<T>(body, names, defaults).expect("what we wrote can be read"), &values);
}

fn same<T: PartialEq + Debug>(again: &T, first: &T) {
    assert_eq!(again, first, "a value changed on its way through JSON");
}
