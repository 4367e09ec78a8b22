//! What every service answers beside its own methods, over each transport and in each codec.

use std::process::Command;

use serde_json::Value;
use speedysvc::Code;
use speedysvc::untyped::{Codec, Method, Reply};
use speedysvc_protocol::archive::{self, Buffer};
use speedysvc_tests::harness::{Ended, Engine};

use crate::fixture::{addresses, connect, engine};

/// The document that a standard method gives to a caller that speaks this codec.
fn document(address: &str, method: &str, codec: Codec) -> Value {
    let mut none = Buffer::new(64);
    let body: &[u8] = match codec {
        Codec::Rkyv => {
            archive::encode(&(), &mut none).unwrap();
            none.as_slice()
        }
        Codec::MsgPack => &[0xc0],
        _ => b"null",
    };
    let method = Method::connect(address, method, None).unwrap();
    let Reply::Ok(reply) = method.call_as(codec, body).unwrap() else { panic!("a standard method has no error") };
    match codec {
        Codec::Rkyv => {
            let mut aligned = Buffer::new(1 << 20);
            aligned.append(&reply).unwrap();
            serde_json::from_str(&archive::decode::<String>(aligned.as_slice()).unwrap()).unwrap()
        }
        Codec::MsgPack => rmp_serde::from_slice(&reply).unwrap(),
        _ => serde_json::from_slice(&reply).unwrap(),
    }
}

fn http(engine: &Engine, method: &str) -> Value {
    let mut curl = Command::new("curl");
    let place = engine.tcp_address("test").replace("tcp://", "http://");
    curl.args(["-sS", "--fail-with-body", "-d", "", &format!("{place}/test/{method}")]);
    let ended = Ended::of(curl);
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn a_service_says_that_it_is_well() {
    let engine = engine("");
    let worker = engine.workers()[0];
    let mut all = vec![http(&engine, "health")];
    for address in addresses(&engine) {
        all.extend([Codec::Json, Codec::MsgPack, Codec::Rkyv].map(|codec| document(&address, "health", codec)));
    }
    for health in all {
        assert_eq!(health["status"], "serving", "{health}");
        assert_eq!((&health["service"], &health["pid"]), (&"test".into(), &worker.into()), "{health}");
        assert!(health["up_ms"].is_u64() && health["version"].is_u64(), "{health}");
    }
}

#[test]
fn a_service_describes_its_own_methods() {
    let engine = engine("");
    let mut all = vec![http(&engine, "describe")];
    for address in addresses(&engine) {
        all.extend([Codec::Json, Codec::MsgPack, Codec::Rkyv].map(|codec| document(&address, "describe", codec)));
    }
    for description in &all {
        assert_eq!(description, &all[0], "the same to everybody");
    }
    let methods = all[0]["methods"].as_array().unwrap();
    let echo = methods.iter().find(|method| method["name"] == "echo").unwrap();
    assert_eq!(echo["signature"], "echo(&str) -> String");
    assert_eq!(echo["arguments"]["text"]["type"], "string");
    assert!(!methods.iter().any(|method| method["name"] == "health"), "what all services have is not listed");
}

#[test]
fn they_take_nothing_and_a_typed_client_is_not_in_their_way() {
    let engine = engine("");
    for address in addresses(&engine) {
        let error = Method::connect(&address, "health", None).unwrap().call(b"[1]").unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        let raw = Method::connect(&address, "describe", None).unwrap().call_as(Codec::Raw, b"").unwrap_err();
        assert_eq!(raw.code(), Code::Unimplemented, "{raw}");
        assert_eq!(connect(&address).echo("typed").unwrap(), "typed");
    }
}
