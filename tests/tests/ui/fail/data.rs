use std::collections::HashMap;
use std::sync::Arc;

#[speedysvc::data]
pub union Bits {
    byte: u8,
}

#[speedysvc::data]
pub enum Never {}

#[speedysvc::data]
pub struct Shared {
    pub name: Arc<str>,
    pub numbers: Option<HashMap<u8, u8>>,
}

#[speedysvc::data]
pub struct Borrowed<'a>(&'a str);

#[speedysvc::data(version = 1)]
pub struct Configured;

#[speedysvc::data]
pub fn function() {}

fn main() {}
