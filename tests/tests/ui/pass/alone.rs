//! As in a crate of a user's that is strict about lints.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unused_qualifications, unreachable_pub)]

/// A method's own error.
#[speedysvc::data]
#[derive(Debug, Clone, PartialEq)]
pub struct TooBig;

/// What may come.
#[speedysvc::data]
#[derive(Debug)]
pub enum Shape {
    /// No fields.
    Nothing,
    /// One of each kind.
    Circle(f64, Option<Box<Point<u16>>>),
}

/// A generic one.
#[speedysvc::data]
#[serde(rename_all = "camelCase")]
#[derive(Debug)]
pub struct Point<T> {
    /// Across.
    pub far_across: T,
    /// Down.
    pub far_down: T,
}

/// One side only.
pub mod api {
    use speedysvc::Archived;

    use super::{Shape, TooBig};

    /// Draws.
    #[speedysvc::service]
    pub trait Draw {
        /// Draws one.
        fn draw(&self, shape: &Shape, raw: &Archived<Vec<u64>>) -> Result<u8, TooBig>;
        /// Draws elsewhere.
        #[method(blocking, idempotent)]
        fn slowly(&self, #[default("a name")] name: &str, #[default(b"\0")] bytes: &[u8]) -> u8;
        /// Draws later.
        async fn later(&self, shape: Shape, text: &str) -> Result<u8, TooBig>;
        /// Draws in a runtime.
        #[method(runtime = "tokio")]
        async fn in_tokio(&self, #[default(3)] times: u32);
        /// Draws from JSON.
        #[method(codec = "json")]
        fn spoken(&self, shape: &Shape, #[default(b"")] bytes: &[u8], text: &str) -> Result<Shape, TooBig> {
            let _ = (shape, bytes, text);
            Ok(Shape::Nothing)
        }
        /// Draws from MessagePack.
        #[method(codec = "msgpack")]
        async fn packed(&self, shape: Shape) -> Vec<u8> {
            drop(shape);
            Vec::new()
        }
        /// Draws from bytes.
        #[method(codec = "raw")]
        fn raw(&self, bytes: &[u8]) -> Result<Vec<u8>, TooBig> {
            Ok(bytes.to_vec())
        }
        /// Lends its own.
        fn shape(&self, text: &str) -> Result<&Shape, TooBig> {
            let _ = text;
            Err(TooBig)
        }
        /// Lends what it is given.
        fn same<'a>(&'a self, bytes: &[u8], text: &'a str) -> &'a str {
            let _ = bytes;
            text
        }
        /// Lends that later.
        async fn same_later<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
            bytes
        }
        /// Once drew one.
        #[deprecated = "it is slow"]
        fn old(&self, points: Vec<Shape>, text: String) {
            drop((points, text));
        }
    }
}

mod hidden {
    #[speedysvc::service]
    trait NobodyCalls {
        fn get(&self) -> u8;
    }
}

struct Host;

#[speedysvc::service]
impl api::Draw for Host {
    fn draw(&self, _: &Shape, raw: &speedysvc::Archived<Vec<u64>>) -> Result<u8, TooBig> {
        u8::try_from(raw.len()).map_err(|_| TooBig)
    }

    fn slowly(&self, name: &str, bytes: &[u8]) -> u8 {
        u8::try_from(name.len() + bytes.len()).unwrap_or(0)
    }

    async fn later(&self, shape: Shape, text: &str) -> Result<u8, TooBig> {
        std::future::ready(()).await;
        drop(shape);
        u8::try_from(text.len()).map_err(|_| TooBig)
    }

    async fn in_tokio(&self, times: u32) {
        let _ = times;
    }
}

fn main() {
    fn is_service<T: speedysvc::__private::Service>(_: &T) {}
    is_service(&Host);
    is_service(&shadowed::Names);
    is_service(&in_a_function());
}

fn in_a_function() -> impl speedysvc::__private::Service {
    #[speedysvc::data]
    struct Local(u8);

    #[speedysvc::service]
    trait Locals {
        fn get(&self, local: Local) -> Local;
    }

    struct Host;

    #[speedysvc::service]
    impl Locals for Host {
        fn get(&self, local: Local) -> Local {
            local
        }
    }
    Host
}

/// Names of the standard library that mean something else here.
mod shadowed {
    #![allow(dead_code, reason = "only their names matter")]
    type Result = ();
    type Option = ();
    type Vec = ();
    type String = ();
    struct Target_;
    struct T;

    #[speedysvc::service]
    trait Shadows {
        fn get(&self, channel: &str, call: &[u8], target: u8, reply: u8, codec: u8, body: u8, archived: u8) -> u8;
        fn lend<'target>(&'target self, target: &'target str, value: &str) -> &'target str;
    }

    pub(crate) struct Names;

    #[speedysvc::service]
    impl Shadows for Names {
        fn get(&self, _: &str, _: &[u8], _: u8, _: u8, _: u8, _: u8, _: u8) -> u8 {
            0
        }

        fn lend<'target>(&'target self, target: &'target str, _: &str) -> &'target str {
            target
        }
    }
}
