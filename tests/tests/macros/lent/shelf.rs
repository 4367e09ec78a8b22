//! A service that lends what it answers, and one that gives the same.

use std::collections::BTreeMap;

use speedysvc::Archived;

#[speedysvc::data]
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub name: String,
    pub cells: Vec<u64>,
}

#[speedysvc::data]
#[derive(PartialEq, Debug)]
pub struct NoRow(pub u64);

/// What it lends is its own, or its caller's.
#[speedysvc::service(name = "shelf")]
pub trait Shelf {
    fn name(&self) -> &str;
    fn version(&self) -> &'static str;
    fn bytes(&self, key: &str) -> Result<&[u8], NoRow>;
    fn vector(&self) -> &Vec<u8>;
    fn first(&self) -> &Row;
    fn row(&self, number: u64) -> Result<&Row, NoRow>;
    fn echo<'a>(&self, bytes: &'a [u8]) -> &'a [u8];
    fn echo_text<'a>(&self, text: &'a str, other: &str) -> &'a str;
    fn longer<'x>(&self, one: &'x str, other: &'x Archived<String>) -> Result<&'x str, NoRow>;
    fn named_or<'a>(&'a self, key: &str, or: &'a str) -> &'a str;
    #[method(blocking)]
    fn echo_beside<'a>(&self, bytes: &'a [u8]) -> &'a [u8];
    #[method(codec = "raw")]
    fn raw<'a>(&self, bytes: &'a [u8]) -> &'a [u8];
    #[method(codec = "json")]
    fn in_json<'a>(&self, bytes: &'a [u8]) -> &'a [u8];
    #[method(codec = "msgpack")]
    fn packed(&self, number: u64) -> Result<&Row, NoRow>;
    async fn later(&self) -> &Row;
    async fn echo_later<'a>(&self, bytes: &'a [u8], text: &str) -> Result<&'a [u8], NoRow>;
}

/// The same service as it was when it gave.
pub mod given {
    use super::{NoRow, Row};

    #[speedysvc::service(name = "shelf")]
    pub trait Shelf {
        fn name(&self) -> String;
        fn version(&self) -> String;
        fn bytes(&self, key: &str) -> Result<Vec<u8>, NoRow>;
        fn vector(&self) -> Vec<u8>;
        fn first(&self) -> Row;
        fn row(&self, number: u64) -> Result<Row, NoRow>;
        fn echo(&self, bytes: &[u8]) -> Vec<u8>;
        fn echo_text(&self, text: &str, other: &str) -> String;
        fn longer(&self, one: &str, other: &speedysvc::Archived<String>) -> Result<String, NoRow>;
        fn named_or(&self, key: &str, or: &str) -> String;
        #[method(blocking)]
        fn echo_beside(&self, bytes: &[u8]) -> Vec<u8>;
        #[method(codec = "raw")]
        fn raw(&self, bytes: &[u8]) -> Vec<u8>;
        #[method(codec = "json")]
        fn in_json(&self, bytes: &[u8]) -> Vec<u8>;
        #[method(codec = "msgpack")]
        fn packed(&self, number: u64) -> Result<Row, NoRow>;
        async fn later(&self) -> Row;
        async fn echo_later(&self, bytes: &[u8], text: &str) -> Result<Vec<u8>, NoRow>;
    }
}

pub struct Held {
    pub rows: Vec<Row>,
    bytes: BTreeMap<String, Vec<u8>>,
}

impl Held {
    pub fn new() -> Self {
        let rows = (0..3).map(|number| Row { name: format!("row {number}"), cells: vec![number; 3] }).collect();
        let bytes = [("small", vec![1, 2, 3]), ("large", noise(100_000))];
        Self { rows, bytes: bytes.into_iter().map(|(key, bytes)| (key.to_owned(), bytes)).collect() }
    }
}

pub fn noise(len: usize) -> Vec<u8> {
    (0..=255_u8).cycle().step_by(37).take(len).collect()
}

#[speedysvc::service]
impl Shelf for Held {
    fn name(&self) -> &str {
        &self.rows[0].name
    }

    fn version(&self) -> &'static str {
        "1.0"
    }

    fn bytes(&self, key: &str) -> Result<&[u8], NoRow> {
        self.bytes.get(key).map(Vec::as_slice).ok_or(NoRow(0))
    }

    fn vector(&self) -> &Vec<u8> {
        &self.bytes["small"]
    }

    fn first(&self) -> &Row {
        &self.rows[0]
    }

    fn row(&self, number: u64) -> Result<&Row, NoRow> {
        usize::try_from(number).ok().and_then(|number| self.rows.get(number)).ok_or(NoRow(number))
    }

    fn echo<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
    }

    fn echo_text<'a>(&self, text: &'a str, _: &str) -> &'a str {
        text
    }

    fn longer<'x>(&self, one: &'x str, other: &'x Archived<String>) -> Result<&'x str, NoRow> {
        match one.len().cmp(&other.len()) {
            std::cmp::Ordering::Less => Ok(other),
            std::cmp::Ordering::Equal => Err(NoRow(one.len() as u64)),
            std::cmp::Ordering::Greater => Ok(one),
        }
    }

    fn named_or<'a>(&'a self, key: &str, or: &'a str) -> &'a str {
        if self.bytes.contains_key(key) { &self.rows[1].name } else { or }
    }

    fn echo_beside<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
    }

    fn raw<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[bytes.len() / 2..]
    }

    fn in_json<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
    }

    fn packed(&self, number: u64) -> Result<&Row, NoRow> {
        self.row(number)
    }

    async fn later(&self) -> &Row {
        std::future::ready(()).await;
        &self.rows[2]
    }

    async fn echo_later<'a>(&self, bytes: &'a [u8], text: &str) -> Result<&'a [u8], NoRow> {
        std::future::ready(()).await;
        if text.is_empty() { Err(NoRow(7)) } else { Ok(bytes) }
    }
}

/// Gives what the other lends.
pub struct Giver(pub Held);

#[speedysvc::service]
impl given::Shelf for Giver {
    fn name(&self) -> String {
        self.0.name().to_owned()
    }

    fn version(&self) -> String {
        self.0.version().to_owned()
    }

    fn bytes(&self, key: &str) -> Result<Vec<u8>, NoRow> {
        self.0.bytes(key).map(<[u8]>::to_vec)
    }

    fn vector(&self) -> Vec<u8> {
        self.0.vector().clone()
    }

    fn first(&self) -> Row {
        self.0.first().clone()
    }

    fn row(&self, number: u64) -> Result<Row, NoRow> {
        self.0.row(number).cloned()
    }

    fn echo(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn echo_text(&self, text: &str, _: &str) -> String {
        text.to_owned()
    }

    fn longer(&self, one: &str, other: &Archived<String>) -> Result<String, NoRow> {
        self.0.longer(one, other).map(str::to_owned)
    }

    fn named_or(&self, key: &str, or: &str) -> String {
        self.0.named_or(key, or).to_owned()
    }

    fn echo_beside(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.raw(bytes).to_vec()
    }

    fn in_json(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn packed(&self, number: u64) -> Result<Row, NoRow> {
        self.0.packed(number).cloned()
    }

    async fn later(&self) -> Row {
        self.0.later().await.clone()
    }

    async fn echo_later(&self, bytes: &[u8], text: &str) -> Result<Vec<u8>, NoRow> {
        self.0.echo_later(bytes, text).await.map(<[u8]>::to_vec)
    }
}
