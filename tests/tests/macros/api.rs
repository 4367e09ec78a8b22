//! A service with every kind of argument and result, and a host for it.

use std::collections::BTreeMap;

use speedysvc::__private::service::Service;
use speedysvc::Archived;
use speedysvc_protocol::archive::{self, Buffer, Encode};
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::service::{Body, Call, Reply};
use speedysvc_protocol::status::{Failure, Status};

/// A point.
#[speedysvc::data]
#[derive(Clone, PartialEq, Debug)]
#[rkyv(derive(Debug))]
pub struct Point {
    /// Across.
    pub x: i32,
    #[serde(rename = "why")]
    pub y: i32,
}

#[speedysvc::data]
#[derive(Clone, PartialEq, Debug)]
pub enum Drawing {
    Empty,
    Named(String, BTreeMap<u8, Point>),
    Raw { bytes: Vec<u8>, page: Page<Point> },
}

#[speedysvc::data]
#[derive(Clone, PartialEq, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<u64>,
}

#[speedysvc::data]
#[derive(PartialEq, Debug)]
pub enum Refused {
    TooBig { limit: u64 },
    Never,
}

/// Every kind of argument
/// and result.
#[speedysvc::service(version = 3)]
pub trait EveryKind: Send {
    /// Takes views.
    fn views(&self, text: &str, bytes: &[u8], points: &Archived<Vec<Point>>, raw: &Archived<Vec<u8>>) -> String;
    /// Takes values.
    fn values(&self, point: Point, drawing: &Drawing, bytes: Vec<u8>, text: String) -> Page<Drawing>;
    fn total(&self, numbers: &Archived<Vec<u64>>) -> Result<u64, Refused>;
    fn bytes(&self, bytes: &[u8]) -> Vec<u8>;
    fn some_bytes(&self, many: bool) -> Result<Vec<u8>, Refused>;
    fn nothing(&self);
    fn check(&self, r#type: Option<u8>, limit: (u8, u16)) -> Result<(), Refused>;
    fn one_tuple(&self, only: (u8,), array: [u16; 2]) -> ((u8,), [u16; 2]) {
        (only, array)
    }
    fn next_of(&self, page: Page<Point>) -> Option<u64>;
    #[deprecated]
    fn r#dyn(&self) -> u8 {
        7
    }
}

/// Generic, so that the attribute is tested with that too.
pub struct Host<T>(pub T);

#[speedysvc::service]
impl<T: Send + Sync + 'static> EveryKind for Host<T>
where
    T: Copy + Into<u64>,
{
    fn views(&self, text: &str, bytes: &[u8], points: &Archived<Vec<Point>>, raw: &Archived<Vec<u8>>) -> String {
        let xs: Vec<i32> = points.iter().map(|point| point.x.to_native()).collect();
        format!("{text} {bytes:?} {xs:?} {:?}", raw.as_slice())
    }

    fn values(&self, point: Point, drawing: &Drawing, bytes: Vec<u8>, text: String) -> Page<Drawing> {
        let named = Drawing::Named(text, BTreeMap::from([(1, point.clone())]));
        let raw = Drawing::Raw { bytes, page: Page { items: vec![point], next: None } };
        Page { items: vec![drawing.clone(), named, raw], next: Some(self.0.into()) }
    }

    fn total(&self, numbers: &Archived<Vec<u64>>) -> Result<u64, Refused> {
        let sum: u64 = numbers.iter().map(|number| number.to_native()).sum();
        let limit = self.0.into();
        if sum > limit { Err(Refused::TooBig { limit }) } else { Ok(sum) }
    }

    fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.iter().rev().copied().collect()
    }

    fn some_bytes(&self, many: bool) -> Result<Vec<u8>, Refused> {
        if many { Err(Refused::Never) } else { Ok(vec![1, 2]) }
    }

    fn nothing(&self) {}

    fn next_of(&self, page: Page<Point>) -> Option<u64> {
        page.next
    }

    fn check(&self, r#type: Option<u8>, limit: (u8, u16)) -> Result<(), Refused> {
        r#type.is_none().then_some(()).ok_or(Refused::TooBig { limit: u64::from(limit.0) + u64::from(limit.1) })
    }
}

/// A call as the loop makes it: the status and the body of its reply.
pub fn call(name: &str, codec: Codec, body: &[u8]) -> Result<(Status, Vec<u8>), Failure> {
    call_within(1 << 16, name, codec, body)
}

pub fn call_within(limit: usize, name: &str, codec: Codec, body: &[u8]) -> Result<(Status, Vec<u8>), Failure> {
    let place = EveryKindService::SPEC.methods.iter().position(|method| method.name == name);
    let index = MethodIndex(place.and_then(|place| place.try_into().ok()).unwrap_or(u16::MAX));
    let (mut scratch, mut reply) = (Buffer::new(1 << 16), Reply::new(limit));
    let host: &dyn Service = &Host(100_u32);
    host.call(index, Call { codec, body: Body::Own(body), scratch: &mut scratch, reply: &mut reply })?;
    Ok((reply.status(), reply.body().to_vec()))
}

/// What a client sends.
pub fn archived(arguments: &impl Encode) -> Buffer {
    let mut buffer = Buffer::new(1 << 20);
    archive::encode(arguments, &mut buffer).expect("the arguments fit");
    buffer
}

/// An archive that is aligned again.
pub fn aligned(bytes: &[u8]) -> Buffer {
    let mut buffer = Buffer::new(1 << 16);
    buffer.append(bytes).expect("the bytes fit");
    buffer
}

/// Runs the service, and a check with each of its addresses: shared memory and TCP.
pub fn served(name: &str, service: impl Service, check: impl Fn(&str)) {
    let folder = std::env::temp_dir().join(format!("macros-{name}-{}", std::process::id()));
    let server = speedysvc::Server::new(service).folder(&folder).listen("tcp://127.0.0.1:0");
    let running = server.start().unwrap();
    let addresses: Vec<String> = running.addresses().collect();
    assert!(addresses.len() >= 2, "{addresses:?}");
    addresses.iter().for_each(|address| check(address));
    drop(running);
    std::fs::remove_dir_all(&folder).unwrap();
}
