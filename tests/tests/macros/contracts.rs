//! What two programs compare, and what people read.

use std::time::Duration;

use serde_json::{Value, json};
use speedysvc::__private::service::Service;
use speedysvc::{CallError, Error};
use speedysvc_protocol::contract::Contract;
use speedysvc_protocol::hello::Hello;
use speedysvc_protocol::ids::MethodId;
use speedysvc_protocol::limits::NAME_MAX;

use super::api::*;

/// The longest name that the configuration takes.
#[speedysvc::service(name = "a23456789-123456789-123456789-123456789-12345678", version = 7)]
trait Longest {
    fn id(&self, set: std::collections::BTreeSet<u8>) -> u8;
}

/// The same names as in `api`, with other fields.
mod other {
    #[speedysvc::data]
    pub enum Refused {
        TooBig { limit: u32 },
        Never,
    }

    #[speedysvc::service(name = "every-kind", version = 3)]
    pub trait EveryKind {
        fn total(&self, renamed: &speedysvc::Archived<Vec<u64>>) -> Result<u64, Refused>;
        fn bytes(&self, input: &[u8]) -> Vec<u8>;
        fn nothing(&self, what: u8);
    }
}

struct Small;

#[speedysvc::service]
impl other::EveryKind for Small {
    fn total(&self, _: &speedysvc::Archived<Vec<u64>>) -> Result<u64, other::Refused> {
        Ok(0)
    }
    fn bytes(&self, _: &[u8]) -> Vec<u8> {
        Vec::new()
    }
    fn nothing(&self, _: u8) {}
}

/// Types that come out of other macros stand in invisible brackets.
macro_rules! service_of {
    ($name:ident, $text:ty, $bytes:ty, $result:ty) => {
        #[speedysvc::service]
        trait $name {
            fn get(&self, text: $text, bytes: $bytes) -> $result;
        }
    };
}
service_of!(FromMacro, &str, &[u8], Result<Vec<u8>, Refused>);

fn agree(theirs: &Contract, method: &str) -> Result<(), String> {
    let mut hello = Hello::typed(theirs);
    hello.methods.retain(|wanted| wanted.name == method);
    EveryKindService::contract().agree(&hello.methods).map(|_| ()).map_err(|refusal| refusal.message)
}

#[test]
fn signatures_have_one_normal_form() {
    let signatures: Vec<&str> = EveryKindService::SPEC.methods.iter().map(|method| method.signature).collect();
    let expected = [
        "views(&str, &[u8], &Archived<Vec<Point>>, &Archived<Vec<u8>>) -> String",
        "values(Point, &Drawing, Vec<u8>, String) -> Page<Drawing>",
        "total(&Archived<Vec<u64>>) -> Result<u64, Refused>",
        "bytes(&[u8]) -> Vec<u8>",
        "some_bytes(bool) -> Result<Vec<u8>, Refused>",
        "nothing()",
        "check(Option<u8>, (u8, u16)) -> Result<(), Refused>",
        "one_tuple((u8,), [u16; 2]) -> ((u8,), [u16; 2])",
        "next_of(Page<Point>) -> Option<u64>",
        "dyn() -> u8",
    ];
    assert_eq!(signatures, expected);
    assert_eq!(LongestService::SPEC.methods[0].signature, "id(BTreeSet<u8>) -> u8");
    assert_eq!(FromMacroService::SPEC.methods[0].signature, "get(&str, &[u8]) -> Result<Vec<u8>, Refused>");
}

#[test]
fn the_contract_is_the_declaration() {
    let contract = EveryKindService::contract();
    assert_eq!((contract.service.as_str(), contract.version), ("every-kind", 3));
    assert_eq!(contract.methods[5].id, MethodId::of("every-kind", "nothing()"));
    assert!(std::ptr::eq(contract, Host(1_u8).contract()), "it is made once");
    let longest = LongestService::contract();
    assert_eq!((longest.service.len(), longest.version), (NAME_MAX, 7));
}

#[test]
fn programs_agree_on_types_and_not_on_names_of_arguments() {
    let theirs = Small.contract();
    assert_eq!(agree(theirs, "bytes"), Ok(()));
    assert!(agree(theirs, "total").unwrap_err().contains("other fields"));
    let error = agree(theirs, "nothing").unwrap_err();
    assert!(error.contains("`nothing()`") && error.contains("`nothing(u8)`"), "{error}");
}

#[test]
fn the_description_has_docs_and_schemas() {
    let described = EveryKindService::describe();
    assert_eq!(described["docs"], "Every kind of argument\nand result.");
    let method = |name: &str| {
        let methods = described["methods"].as_array().unwrap();
        methods.iter().find(|method| method["name"] == name).unwrap().clone()
    };
    let bytes = json!({"type": "string", "contentEncoding": "base64"});
    let views = method("views");
    assert_eq!(views["docs"], "Takes views.");
    let arguments: Vec<&String> = views["arguments"].as_object().unwrap().keys().collect();
    assert_eq!(arguments, ["text", "bytes", "points", "raw"]);
    assert_eq!((&views["arguments"]["bytes"], &views["arguments"]["raw"]), (&bytes, &bytes));
    assert_eq!(views["arguments"]["text"], json!({"type": "string"}));
    assert_eq!((&method("bytes")["result"], &method("values")["arguments"]["bytes"]), (&bytes, &bytes));
    assert_eq!((&method("nothing")["result"]["type"], &method("nothing")["error"]), (&json!("null"), &Value::Null));
    assert!(method("total")["error"]["$ref"].is_string());
    assert!(method("check")["arguments"]["type"].is_object(), "raw names lose their mark");
    assert_eq!(described["$defs"]["Point"]["description"], "A point.");
    assert!(described["$defs"]["Point"]["properties"]["why"].is_object());
}

/// The client's methods: only their types, since nothing answers here.
#[test]
fn the_client_takes_what_the_trait_says() {
    let _: fn(&str) -> Result<EveryKindClient, Error> = EveryKindClient::connect;
    fn gives<T, E>(_: Result<T, E>) {}
    let nobody: Option<EveryKindClient> = None;
    if let Some(client) = nobody {
        let client = client.with_timeout(Duration::from_secs(1)).clone();
        let (point, bytes) = (Point { x: 1, y: 2 }, vec![1_u8]);
        gives::<String, Error>(client.views("", &bytes, &vec![point.clone()], &bytes));
        gives::<Page<Drawing>, Error>(client.values(point, &Drawing::Empty, bytes, String::new()));
        gives::<u64, CallError<Refused>>(client.total(&vec![1_u64]));
        gives::<Vec<u8>, CallError<Refused>>(client.some_bytes(true));
        gives::<(), Error>(client.nothing());
        gives::<(), CallError<Refused>>(client.check(Some(1), (1, 2)));
    }
    let nobody: Option<FromMacroClient> = None;
    let _: Option<Result<Vec<u8>, CallError<Refused>>> = nobody.map(|client| client.get("", &[]));
}
