//! The methods that the engine answers for every service.

use serde_json::{Value, json};
use speedysvc_protocol::archive;
use speedysvc_protocol::contract::ServiceSpec;
use speedysvc_protocol::hello::LIBRARY;
use speedysvc_protocol::service::{Call, Form, arguments};
use speedysvc_protocol::standard::Standard;
use speedysvc_protocol::status::Failure;

use crate::clock::now_ns;

/// Answers a call of one of them. `since_ns` is when this loop began to serve.
pub(crate) fn answer(which: Standard, spec: &ServiceSpec, call: Call<'_>, since_ns: u64) -> Result<(), Failure> {
    let Call { codec, body, scratch, reply } = call;
    let none = Form { names: &[], raw: false, defaults: &[] };
    arguments::<(), [u8; 0]>(codec, body.bytes(), &none, scratch, |_, out| archive::encode(&(), out))?;
    let document = match which {
        Standard::Health => health(spec, now_ns().saturating_sub(since_ns) / 1_000_000),
        Standard::Describe => spec.describe(),
    };
    reply.document(codec, &document)
}

/// That it is answered at all is the news: a loop that hangs, and one that drains, do not begin this call either.
fn health(spec: &ServiceSpec, up_ms: u64) -> Value {
    json!({
        "status": "serving", "service": spec.name, "version": spec.version, "library": LIBRARY,
        "pid": std::process::id(), "up_ms": up_ms,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_health_says_is_what_its_schema_names() {
        let spec = ServiceSpec { name: "pen", version: 3, docs: "", methods: &[] };
        let (said, schema) = (health(&spec, 7), Standard::Health.result("pen"));
        let names = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
        assert_eq!(names(&said), names(&schema["properties"]));
        let required: BTreeSet<String> = serde_json::from_value(schema["required"].clone()).unwrap();
        assert_eq!(names(&said), required, "each is always there");
        for name in ["status", "service"] {
            assert_eq!(said[name], schema["properties"][name]["const"], "{name}");
        }
    }
}
