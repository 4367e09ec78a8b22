//! Calls through `Service::call`, as a worker makes them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use speedysvc_protocol::archive::{self, Bytes, Decode, Encode, Ref, Str};
use speedysvc_protocol::ids::Codec;
use speedysvc_protocol::json::Base64;
use speedysvc_protocol::status::{Code, Outcome, Status};

use super::api::*;

/// Calls with an archive, and gives the value that the reply's archive holds.
fn in_archive<T: Decode>(name: &str, arguments: &impl Encode) -> (Status, T) {
    let (status, body) = call(name, Codec::Rkyv, archived(arguments).as_slice()).expect("the call runs");
    (status, archive::decode(aligned(&body).as_slice()).expect("the reply is an archive of its type"))
}

/// Calls with JSON, and gives the text of the reply.
fn in_json(name: &str, body: &str) -> (Status, String) {
    let (status, body) = call(name, Codec::Json, body.as_bytes()).expect("the call runs");
    (status, String::from_utf8(body).expect("JSON is UTF-8"))
}

#[test]
fn views_are_the_same_in_both_codecs() {
    let points = vec![Point { x: 1, y: 2 }, Point { x: 3, y: 4 }];
    let raw = vec![9_u8];
    let expected = "hi [0, 255] [1, 3] [9]";
    let arguments = (Str("hi"), Bytes(&[0, 255]), Ref(&points), Bytes(&raw));
    assert_eq!(in_archive::<String>("views", &arguments), (Status::Ok, expected.to_owned()));
    let points = r#"[{"x":1,"why":2},{"x":3,"why":4}]"#;
    let by_name = format!(r#"{{"raw":"CQ==","points":{points},"bytes":"AP8=","text":"hi"}}"#);
    let in_order = format!(r#"["hi","AP8=",{points},"CQ=="]"#);
    for body in [by_name, in_order] {
        assert_eq!(in_json("views", &body), (Status::Ok, format!("\"{expected}\"")), "{body}");
    }
}

#[test]
fn values_are_the_same_in_both_codecs() {
    let (point, bytes) = (Point { x: -1, y: 2 }, vec![1_u8, 2]);
    let (drawing, text) = (Drawing::Empty, "a text that is stored elsewhere".to_owned());
    let arguments = (Ref(&point), Ref(&drawing), Bytes(&bytes), Ref(&text));
    let (status, page) = in_archive::<Page<Drawing>>("values", &arguments);
    assert_eq!((status, page.items.len(), page.next), (Status::Ok, 3, Some(100)));
    assert_eq!(page.items[0], drawing);
    let body = r#"[{"x":-1,"why":2},"Empty","AQI=","a text that is stored elsewhere"]"#;
    let (status, text) = in_json("values", body);
    assert_eq!(status, Status::Ok);
    assert_eq!(serde_json::from_str::<Page<Drawing>>(&text).unwrap(), page);
}

#[test]
fn one_argument_is_the_whole_json_body() {
    assert_eq!(in_archive::<u64>("total", &(Ref(&vec![30_u64, 12]),)), (Status::Ok, 42));
    assert_eq!(in_json("total", "[30,12]"), (Status::Ok, "42".to_owned()));
    assert_eq!(in_json("bytes", "\"AQI=\""), (Status::Ok, "\"AgE=\"".to_owned()));
    assert_eq!(in_archive::<Vec<u8>>("bytes", &(Bytes(&[1, 2, 3]),)), (Status::Ok, vec![3, 2, 1]));
}

#[test]
fn a_method_without_arguments_takes_nothing_in_any_way() {
    for body in ["", "null", "[]", "{}"] {
        assert_eq!(in_json("nothing", body), (Status::Ok, "null".to_owned()), "{body:?}");
        assert_eq!(in_json("dyn", body), (Status::Ok, "7".to_owned()), "{body:?}");
    }
    assert_eq!(in_archive::<()>("nothing", &()), (Status::Ok, ()));
    assert_eq!(in_archive::<u8>("dyn", &()), (Status::Ok, 7));
    let failure = call("nothing", Codec::Json, b"[1]").unwrap_err();
    assert!(failure.message.contains("takes no arguments"), "{failure}");
}

#[test]
fn errors_of_the_method_keep_their_types() {
    assert_eq!(
        in_archive::<Refused>("total", &(Ref(&vec![101_u64]),)),
        (Status::Application, Refused::TooBig { limit: 100 })
    );
    assert_eq!(in_json("total", "[101]"), (Status::Application, r#"{"TooBig":{"limit":100}}"#.to_owned()));
    assert_eq!(in_archive::<Refused>("some_bytes", &(Ref(&true),)), (Status::Application, Refused::Never));
    assert_eq!(in_archive::<Vec<u8>>("some_bytes", &(Ref(&false),)), (Status::Ok, vec![1, 2]));
    assert_eq!(in_json("some_bytes", "false"), (Status::Ok, "\"AQI=\"".to_owned()));
    assert_eq!(in_archive::<()>("check", &(Ref(&None::<u8>), Ref(&(1_u8, 2_u16)))), (Status::Ok, ()));
    assert_eq!(in_json("check", r#"{"limit":[1,2]}"#), (Status::Ok, "null".to_owned()));
    assert_eq!(in_json("check", r#"{"limit":[1,2],"type":5}"#).0, Status::Application);
}

/// Calls with MessagePack, and gives the value of the reply. Arguments and reply come and go as JSON does, bytes apart.
fn in_msgpack<T: DeserializeOwned>(name: &str, arguments: &impl Serialize) -> (Status, T) {
    let body = rmp_serde::to_vec_named(arguments).expect("arguments have a form");
    let (status, body) = call(name, Codec::MsgPack, &body).expect("the call runs");
    (status, rmp_serde::from_slice(&body).expect("the reply is a value of its type"))
}

#[test]
fn message_pack_is_answered_as_json_is() {
    let (point, bytes) = (Point { x: -1, y: 2 }, Base64(vec![0, 255]));
    let expected = "hi [0, 255] [-1] [0, 255]".to_owned();
    let in_order = ("hi", &bytes, [&point], &bytes);
    assert_eq!(in_msgpack::<String>("views", &in_order), (Status::Ok, expected.clone()));
    #[derive(Serialize)]
    struct ByName<'a> {
        raw: &'a Base64,
        points: [&'a Point; 1],
        text: &'a str,
        bytes: &'a Base64,
    }
    let by_name = ByName { raw: &bytes, points: [&point], text: "hi", bytes: &bytes };
    assert_eq!(in_msgpack::<String>("views", &by_name), (Status::Ok, expected));
    let (status, page) = in_msgpack::<Page<Drawing>>("values", &(&point, &Drawing::Empty, &bytes, "elsewhere"));
    assert_eq!((status, page.items.len(), &page.items[0]), (Status::Ok, 3, &Drawing::Empty));
    assert_eq!(in_msgpack::<u64>("total", &[30, 12]), (Status::Ok, 42));
    let refused = (Status::Application, Refused::TooBig { limit: 100 });
    assert_eq!(in_msgpack::<Refused>("total", &[101]), refused);
    assert_eq!(in_msgpack::<()>("nothing", &()), (Status::Ok, ()));
    assert_eq!(in_msgpack::<u8>("dyn", &[0_u8; 0]), (Status::Ok, 7));
    // Bytes are bytes, not lists of numbers: 0xc4 begins a `bin`.
    assert_eq!(call("bytes", Codec::MsgPack, &[0xc4, 2, 1, 255]).unwrap(), (Status::Ok, vec![0xc4, 2, 255, 1]));
}

#[test]
fn message_pack_that_cannot_be_read_starts_nothing() {
    let deep = [&[0x91; 100_000][..], &[0xc0]].concat();
    // Where it is skipped, nothing but its depth is wrong.
    let deep_unknown = [&[0x82, 0xa1, b'x'][..], &deep, &[0xa5][..], &b"items\x90"[..]].concat();
    let bodies: [(&str, &[u8], &str); 9] = [
        ("total", &[], "this method takes"),
        ("total", &[0xc1], "this method takes"),
        ("total", &[0x91, 1, 1], "bytes too many"),
        ("total", &[0xdd, 0xff, 0xff, 0xff, 0xff], "this method takes"),
        ("total", &deep, "this method takes"),
        ("next_of", &deep_unknown, "this method takes"),
        ("views", &[0x81, 0xa1, b'x', 1], "no argument is called `x`"),
        ("views", &[0x84], "the arguments text, bytes, points, raw"),
        ("nothing", &[0x91, 1], "takes no arguments"),
    ];
    for (name, body, why) in bodies {
        let failure = call(name, Codec::MsgPack, body).unwrap_err();
        assert_eq!((failure.code, failure.outcome), (Code::InvalidArgument, Outcome::NotStarted), "{failure}");
        assert!(failure.message.contains(why), "{failure}");
    }
}

#[test]
fn bytes_travel_raw_where_they_are_all_there_is() {
    assert_eq!(call("bytes", Codec::Raw, &[1, 2, 255]).unwrap(), (Status::Ok, vec![255, 2, 1]));
    assert_eq!(call("bytes", Codec::Raw, &[]).unwrap(), (Status::Ok, vec![]));
    for other in ["total", "some_bytes", "nothing", "views"] {
        let failure = call(other, Codec::Raw, &[]).unwrap_err();
        assert_eq!((failure.code, failure.outcome), (Code::Unimplemented, Outcome::NotStarted), "{failure}");
    }
}

/// What a client sends that was built before a field was added, or after: `Page` has `next`, which is optional.
#[test]
fn json_and_message_pack_tolerate_fields_that_are_optional() {
    #[derive(Serialize)]
    struct Older {
        limit: (u8, u16),
    }
    #[derive(Serialize)]
    struct Newer {
        items: [u8; 0],
        since: &'static str,
    }
    assert_eq!(in_json("next_of", r#"{"items":[]}"#), (Status::Ok, "null".to_owned()));
    assert_eq!(in_json("next_of", r#"{"items":[],"since":"2.0"}"#), (Status::Ok, "null".to_owned()));
    assert_eq!(in_msgpack::<Option<u64>>("next_of", &Newer { items: [], since: "2.0" }), (Status::Ok, None));
    assert_eq!(in_msgpack::<()>("check", &Older { limit: (1, 2) }), (Status::Ok, ()));
}

#[test]
fn tuples_of_one_are_tuples() {
    let expected = ((5,), [1, 2]);
    assert_eq!(in_archive::<((u8,), [u16; 2])>("one_tuple", &((5_u8,), [1_u16, 2])), (Status::Ok, expected));
    assert_eq!(in_json("one_tuple", "[[5],[1,2]]"), (Status::Ok, "[[5],[1,2]]".to_owned()));
}

#[test]
fn arguments_that_cannot_be_read_start_nothing() {
    let bodies: [(Codec, &[u8]); 3] = [(Codec::Rkyv, &[0xff; 3]), (Codec::Json, b"{"), (Codec::Json, b"[\"x\"]")];
    for (codec, body) in bodies {
        let failure = call("total", codec, body).unwrap_err();
        assert_eq!((failure.code, failure.outcome), (Code::InvalidArgument, Outcome::NotStarted), "{failure}");
    }
}

#[test]
fn a_method_that_is_not_there_is_unimplemented() {
    let failure = call("no such method", Codec::Rkyv, &[]).unwrap_err();
    assert_eq!((failure.code, failure.outcome), (Code::Unimplemented, Outcome::NotStarted));
    assert!(failure.message.contains("every-kind") && failure.message.contains("65535"), "{failure}");
}

#[test]
fn a_reply_over_the_limit_says_that_the_call_ran() {
    let body = archived(&(Bytes(&[0; 64]),));
    for (codec, body) in [(Codec::Rkyv, body.as_slice()), (Codec::Json, &b"\"AAAAAAAAAAAAAAAAAAAAAAAA\""[..])] {
        let failure = call_within(16, "bytes", codec, body).unwrap_err();
        assert_eq!((failure.code, failure.outcome), (Code::ResourceExhausted, Outcome::Done), "{failure}");
    }
}
