//! Types as users write them, and a service with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use speedysvc::Archived;

#[speedysvc::data]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[rkyv(derive(PartialEq, Eq, PartialOrd, Ord))]
pub struct Point {
    pub x: i32,
    pub y: u16,
}

/// Takes no room in an archive: a few bytes can claim to hold billions.
#[speedysvc::data]
#[derive(Clone, PartialEq, Debug)]
pub struct Nothing;

#[speedysvc::data]
#[derive(Clone, PartialEq, Debug)]
pub enum Drawing {
    Empty,
    Named(String, BTreeMap<u8, Point>),
    Raw { bytes: Vec<u8>, next: Option<Box<Point>> },
    Many(Vec<Option<String>>, (bool, char)),
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

/// 300 times as large in an archive as the `[]` or `null` that stands for one in JSON.
#[speedysvc::data]
#[derive(Clone, PartialEq, Debug)]
pub struct Wide {
    pub numbers: Option<[u64; 32]>,
}

#[speedysvc::service]
pub trait Kinds {
    fn text(&self, text: &str) -> String;
    fn bytes(&self, bytes: &[u8]) -> Vec<u8>;
    fn drawings(&self, drawings: Vec<Drawing>, at: &Point) -> Result<Page<Drawing>, Refused>;
    fn views(&self, page: &Archived<Page<String>>, raw: &Archived<Vec<u8>>) -> u64;
    fn set(&self, set: BTreeSet<Point>, limit: Option<u8>) -> Result<u32, Refused>;
    fn wide(&self, wide: Vec<Option<Wide>>) -> u32;
    fn nothing(&self);
}

/// Remembers whether a handler ran.
#[derive(Default)]
pub struct Host(pub AtomicBool);

impl Host {
    fn ran(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[speedysvc::service]
impl Kinds for Host {
    fn text(&self, text: &str) -> String {
        self.ran();
        text.to_owned()
    }

    fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.ran();
        bytes.to_vec()
    }

    fn drawings(&self, drawings: Vec<Drawing>, at: &Point) -> Result<Page<Drawing>, Refused> {
        self.ran();
        if at.x < 0 { Err(Refused::Never) } else { Ok(Page { items: drawings, next: Some(u64::from(at.y)) }) }
    }

    fn views(&self, page: &Archived<Page<String>>, raw: &Archived<Vec<u8>>) -> u64 {
        self.ran();
        let texts: usize = page.items.iter().map(|text| text.as_str().chars().count()).sum();
        (texts + raw.as_slice().iter().filter(|byte| **byte == 0).count()) as u64
    }

    fn set(&self, set: BTreeSet<Point>, limit: Option<u8>) -> Result<u32, Refused> {
        self.ran();
        let limit = u64::from(limit.unwrap_or(u8::MAX));
        if set.len() as u64 > limit { Err(Refused::TooBig { limit }) } else { Ok(set.len() as u32) }
    }

    fn wide(&self, wide: Vec<Option<Wide>>) -> u32 {
        self.ran();
        wide.len() as u32
    }

    fn nothing(&self) {
        self.ran();
    }
}
