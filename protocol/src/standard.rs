//! What every service answers beside its own methods: `health`, whether it is well, and `describe`, what it offers.
//!
//! They take nothing and give a JSON document: an object to a caller that speaks JSON or MessagePack, its text as a
//! `String` to one that speaks rkyv. Archives cannot grow fields, and these two must be understood across versions
//! (decision 0040). They come behind the service's own methods, so that a method's place in its trait stays its index.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::contract::{Contract, Method};
use crate::ids::{Codec, MethodId, MethodIndex, Shape};

/// A method that the engine answers for every service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standard {
    /// Whether the service is well, who answers, and for how long it has run.
    Health,
    /// The service, its methods and their types as JSON schemas.
    Describe,
}

impl Standard {
    /// All of them, in the order of their indexes.
    pub const ALL: [Self; 2] = [Self::Health, Self::Describe];

    /// Its name, which no method of a trait can have.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Describe => "describe",
        }
    }

    /// Name, arguments and result in normal form.
    #[must_use]
    pub const fn signature(self) -> &'static str {
        match self {
            Self::Health => "health() -> Json",
            Self::Describe => "describe() -> Json",
        }
    }

    /// What it is for, in Markdown.
    #[must_use]
    pub const fn docs(self) -> &'static str {
        match self {
            Self::Health => {
                "Whether the service is well, who answers, and for how long it has run.\n\nThat it is answered \
                             at all is the news: a worker that hangs, drains or is gone does not begin the call."
            }
            Self::Describe => "The service, its own methods and their types as JSON Schema.",
        }
    }

    /// The JSON Schema of what it gives, for a service of this name. More fields may come: callers skip those that they
    /// do not know.
    #[must_use]
    pub fn result(self, service: &str) -> Value {
        match self {
            Self::Health => json!({
                "type": "object", "required": ["status", "service", "version", "library", "pid", "up_ms"],
                "properties": {
                    "status": { "const": "serving" },
                    "service": { "const": service },
                    "version": { "type": "integer", "format": "uint32", "description": "Of the service's trait." },
                    "library": { "type": "string", "description": "Name and version of what answers." },
                    "pid": { "type": "integer", "format": "uint32", "description": "Of the worker." },
                    "up_ms": { "type": "integer", "format": "uint64", "description": "How long it has served." },
                },
            }),
            Self::Describe => {
                let schema = json!({ "type": ["object", "boolean"], "description": "A JSON Schema." });
                json!({
                    "type": "object", "required": ["service", "version", "docs", "methods", "$defs"],
                    "properties": {
                        "service": { "const": service },
                        "version": { "type": "integer", "format": "uint32", "description": "Of the service's trait." },
                        "docs": { "type": "string" },
                        "methods": { "type": "array", "items": described_method(&schema) },
                        "$defs": { "type": "object", "additionalProperties": schema },
                    },
                })
            }
        }
    }

    /// Which one an index means in a service that has `own` methods.
    #[must_use]
    pub fn at(index: MethodIndex, own: usize) -> Option<Self> {
        usize::from(index.0).checked_sub(own).and_then(|place| Self::ALL.get(place)).copied()
    }

    fn method(self, service: &str) -> Method {
        let signature = self.signature();
        let id = MethodId::of(service, signature);
        let (name, signature) = (self.name().to_owned(), signature.to_owned());
        Method { name, signature, id, shape: *TEXT, idempotent: true, codec: Codec::Json }
    }
}

fn described_method(schema: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["name", "signature", "docs", "idempotent", "codec", "arguments", "result", "error"],
        "properties": {
            "name": { "type": "string" },
            "signature": { "type": "string" },
            "docs": { "type": "string" },
            "idempotent": { "type": "boolean", "description": "Whether twice does no more than once." },
            "codec": { "type": "string", "description": "In which clients that are built from the trait call it." },
            "arguments": { "type": "object", "additionalProperties": schema },
            "result": schema,
            "error": { "type": ["object", "boolean", "null"], "description": "Its JSON Schema, where there is one." },
        },
    })
}

/// The shape of a method that takes nothing and gives a text.
static TEXT: LazyLock<Shape> = LazyLock::new(|| Shape::of("[] -> Json"));

impl Contract {
    /// What a service with this contract answers: its own methods, and the standard ones behind them.
    #[must_use]
    pub fn with_standard(&self) -> Self {
        let mut all = self.clone();
        all.methods.extend(Standard::ALL.map(|standard| standard.method(&self.service)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hello::Hello;

    #[test]
    fn they_come_behind_the_services_own_and_are_found_by_name() {
        let own = Contract { service: "pen".into(), version: 3, methods: vec![Standard::Health.method("other")] };
        let all = own.with_standard();
        assert_eq!(all.methods.len(), 3);
        assert_eq!(all.methods[..1], own.methods, "what a client was built with stays where it was");
        for (place, standard) in Standard::ALL.into_iter().enumerate() {
            let index = MethodIndex(u16::try_from(1 + place).unwrap());
            assert_eq!(Standard::at(index, 1), Some(standard));
            assert_eq!(all.index_of(MethodId::of("pen", standard.signature())), Some(index));
        }
        assert_eq!(Standard::at(MethodIndex(0), 1), None);
        assert_eq!(Standard::at(MethodIndex(3), 1), None);
        assert_eq!(Standard::at(MethodIndex(u16::MAX), 1), None);
        let (_, given) = Hello::by_name("pen", "describe").answer(&all).unwrap();
        assert_eq!((given[0].index, given[0].idempotent), (MethodIndex(2), true));
    }
}
