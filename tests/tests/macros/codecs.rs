//! `#[method(codec = "...")]`: what clients write, what they understand, and two versions of one contract on a real
//! connection.

use std::sync::{Arc, Mutex};

use speedysvc::__private::service::Service;
use speedysvc::{CallError, Code, Outcome};
use speedysvc_protocol::contract::{Contract, ServiceSpec};
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::service::Call;
use speedysvc_protocol::status::Failure;

use super::api::served;

#[speedysvc::data]
#[derive(Clone, PartialEq, Debug)]
pub struct Point {
    pub x: i32,
    pub label: Option<String>,
}

#[speedysvc::data]
#[derive(PartialEq, Debug)]
pub struct TooFar {
    pub limit: i32,
}

#[speedysvc::service]
pub trait Tongues {
    fn archived(&self, point: &Point, bytes: &[u8]) -> Vec<u8>;
    #[method(codec = "rkyv")]
    fn archived_too(&self) -> u8;
    #[method(codec = "json")]
    fn none(&self) -> Point;
    #[method(codec = "json", idempotent)]
    fn one(&self, point: Point) -> Result<Point, TooFar>;
    #[method(codec = "json")]
    fn several(&self, text: &str, r#type: Option<u8>, view: &speedysvc::Archived<Vec<u64>>, bytes: &[u8]) -> Vec<u8>;
    #[method(codec = "msgpack")]
    fn packed(&self, point: &Point, bytes: Vec<u8>) -> Result<Vec<u8>, TooFar>;
    #[method(codec = "msgpack")]
    fn packed_bytes(&self, bytes: &[u8]);
    #[method(codec = "raw")]
    fn raw(&self, bytes: &[u8]) -> Vec<u8>;
    #[method(codec = "raw")]
    fn raw_or_not(&self, bytes: &[u8]) -> Result<Vec<u8>, TooFar>;
}

struct Polyglot;

fn near(point: Point) -> Result<Point, TooFar> {
    if point.x > 100 { Err(TooFar { limit: 100 }) } else { Ok(point) }
}

#[speedysvc::service]
impl Tongues for Polyglot {
    fn archived(&self, point: &Point, bytes: &[u8]) -> Vec<u8> {
        [bytes, point.x.to_string().as_bytes()].concat()
    }

    fn archived_too(&self) -> u8 {
        7
    }

    fn none(&self) -> Point {
        Point { x: 1, label: None }
    }

    fn one(&self, point: Point) -> Result<Point, TooFar> {
        near(point)
    }

    fn several(&self, text: &str, r#type: Option<u8>, view: &speedysvc::Archived<Vec<u64>>, bytes: &[u8]) -> Vec<u8> {
        let sum: u64 = view.iter().map(|number| number.to_native()).sum();
        [format!("{text} {type:?} {sum} ").as_bytes(), bytes].concat()
    }

    fn packed(&self, point: &Point, bytes: Vec<u8>) -> Result<Vec<u8>, TooFar> {
        near(point.clone()).map(|_| bytes)
    }

    fn packed_bytes(&self, bytes: &[u8]) {
        assert_eq!(bytes, [0, 255]);
    }

    fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.iter().rev().copied().collect()
    }

    fn raw_or_not(&self, bytes: &[u8]) -> Result<Vec<u8>, TooFar> {
        if bytes.is_empty() { Err(TooFar { limit: 0 }) } else { Ok(bytes.to_vec()) }
    }
}

/// Notes in which codec calls come.
struct Spy(Arc<Mutex<Vec<Codec>>>);

impl Service for Spy {
    fn contract(&self) -> &'static Contract {
        Polyglot.contract()
    }

    fn spec(&self) -> &'static ServiceSpec {
        Polyglot.spec()
    }

    fn call(&self, method: MethodIndex, call: Call<'_>) -> Result<(), Failure> {
        self.0.lock().unwrap().push(call.codec);
        Polyglot.call(method, call)
    }
}

#[test]
fn each_method_is_called_in_its_codec() {
    let seen = Arc::default();
    let client = TonguesClient::in_process(Spy(Arc::clone(&seen))).unwrap();
    let point = Point { x: -3, label: Some("é".to_owned()) };
    let far = Point { x: 101, label: None };
    assert_eq!(client.archived(&point, &[1]).unwrap(), b"\x01-3");
    assert_eq!(client.archived_too().unwrap(), 7);
    assert_eq!(client.none().unwrap(), Point { x: 1, label: None });
    assert_eq!(client.one(point.clone()), Ok(point.clone()));
    assert_eq!(client.one(far.clone()), Err(CallError::App(TooFar { limit: 100 })));
    assert_eq!(client.several("a", None, &vec![40, 2], &[0, 255]).unwrap(), b"a None 42 \0\xff");
    assert_eq!(client.packed(&point, vec![0, 255]), Ok(vec![0, 255]));
    assert_eq!(client.packed(&far, Vec::new()), Err(CallError::App(TooFar { limit: 100 })));
    client.packed_bytes(&[0, 255]).unwrap();
    assert_eq!(client.raw(&[1, 2, 255]).unwrap(), [255, 2, 1]);
    assert_eq!(client.raw_or_not(&[7]), Ok(vec![7]));
    assert_eq!(client.raw_or_not(&[]), Err(CallError::App(TooFar { limit: 0 })));
    let (starts, large) = (client.start(), vec![9; 1_000_000]);
    let (one, raw, packed) = (starts.one(point.clone()), starts.raw(&large), starts.packed(&far, Vec::new()));
    assert_eq!(one.wait(), Ok(point));
    assert_eq!(raw.wait().unwrap(), large);
    assert_eq!(packed.wait(), Err(CallError::App(TooFar { limit: 100 })));
    use Codec::{Json, MsgPack, Raw, Rkyv};
    let expected = [Rkyv, Rkyv, Json, Json, Json, Json, MsgPack, MsgPack, MsgPack, Raw, Raw, Raw, Json, Raw, MsgPack];
    assert_eq!(*seen.lock().unwrap(), expected);
    assert_eq!(TonguesService::describe()["methods"][2]["codec"], "json");
}

/// What a program was built with, before and after its service grew.
mod older {
    #[speedysvc::data]
    #[derive(PartialEq, Debug)]
    pub struct Query {
        pub text: String,
    }

    #[speedysvc::data]
    #[derive(PartialEq, Debug)]
    pub struct Page {
        pub hits: Vec<String>,
    }

    #[speedysvc::service(name = "search")]
    pub trait Search {
        #[method(codec = "json")]
        fn search(&self, query: &Query, most: u32) -> Page;
        #[method(codec = "msgpack")]
        fn packed(&self, query: &Query, most: u32) -> Page;
        #[method(codec = "json")]
        fn changed(&self, number: u32) -> u32;
    }

    /// The same with archives.
    #[speedysvc::service(name = "search")]
    pub trait Strict {
        fn search(&self, query: &Query, most: u32) -> Page;
    }

    /// A method that no version has.
    #[speedysvc::service(name = "search")]
    pub trait Gone {
        #[method(codec = "json")]
        fn find(&self, query: &Query) -> Page;
    }
}

mod newer {
    #[speedysvc::data]
    #[derive(PartialEq, Debug)]
    pub struct Query {
        #[serde(default)]
        pub language: String,
        pub text: String,
        pub since: Option<u64>,
    }

    #[speedysvc::data]
    #[derive(PartialEq, Debug)]
    pub struct Page {
        pub total: Option<u64>,
        pub hits: Vec<String>,
    }

    #[speedysvc::service(name = "search")]
    pub trait Search {
        #[method(codec = "json")]
        fn search(&self, #[default(0)] from: u32, query: &Query, most: u32, exact: Option<bool>) -> Page;
        fn added(&self) -> u8;
        #[method(codec = "msgpack")]
        fn packed(&self, query: &Query, most: u32) -> Page;
        #[method(codec = "json")]
        fn changed(&self, text: String) -> String;
    }

    /// What this version's clients ask of the older one, which knows no `from`.
    #[speedysvc::service(name = "search")]
    pub trait Fewer {
        #[method(codec = "msgpack")]
        fn packed(&self, query: &Query, most: u32) -> Page;
        #[method(codec = "json")]
        fn search(&self, #[default(0)] from: u32, query: &Query, most: u32, exact: Option<bool>) -> Page;
    }
}

struct Index;

#[speedysvc::service]
impl older::Search for Index {
    fn search(&self, query: &older::Query, most: u32) -> older::Page {
        older::Page { hits: vec![query.text.clone(); most as usize] }
    }

    fn packed(&self, query: &older::Query, most: u32) -> older::Page {
        older::Search::search(self, query, most)
    }

    fn changed(&self, number: u32) -> u32 {
        number
    }
}

struct NewIndex;

#[speedysvc::service]
impl newer::Search for NewIndex {
    fn search(&self, from: u32, query: &newer::Query, most: u32, exact: Option<bool>) -> newer::Page {
        let newer::Query { language, text, since } = query;
        let hit = format!("{text} {language:?} {since:?} {from} {exact:?}");
        newer::Page { total: Some(9), hits: vec![hit; most as usize] }
    }

    fn added(&self) -> u8 {
        1
    }

    fn packed(&self, query: &newer::Query, most: u32) -> newer::Page {
        newer::Search::search(self, 0, query, most, None)
    }

    fn changed(&self, text: String) -> String {
        text
    }
}

#[test]
fn an_old_client_and_a_new_service_understand_each_other() {
    served("new", NewIndex, |address| {
        let client = older::SearchClient::connect(address).unwrap();
        let query = older::Query { text: "owl".to_owned() };
        let hits = vec![r#"owl "" None 0 None"#.to_owned(); 2];
        assert_eq!(client.search(&query, 2).unwrap(), older::Page { hits: hits.clone() }, "{address}");
        assert_eq!(client.packed(&query, 2).unwrap(), older::Page { hits }, "{address}");
        // What is not optional is refused by the call, and nothing has run.
        let error = client.changed(7).unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::InvalidArgument, Outcome::NotStarted), "{error}");
        // The same program with archives is refused when it connects, and one that asks for what is not there.
        let error = older::StrictClient::connect(address).err().unwrap();
        assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
        let error = older::GoneClient::connect(address).err().unwrap();
        assert_eq!(error.code(), Code::Unimplemented, "{error}");
        assert!(error.message().contains("no method `find`"), "{error}");
    });
}

#[test]
fn a_new_client_and_an_old_service_do_as_far_as_they_can() {
    served("old", Index, |address| {
        let client = newer::FewerClient::connect(address).unwrap();
        let query = newer::Query { language: "en".to_owned(), text: "owl".to_owned(), since: Some(1) };
        let page = newer::Page { total: None, hits: vec!["owl".to_owned()] };
        assert_eq!(client.packed(&query, 1).unwrap(), page, "{address}");
        let error = client.search(3, &query, 1, None).unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::InvalidArgument, Outcome::NotStarted), "{error}");
        assert!(error.message().contains("no argument is called"), "{error}");
    });
}
