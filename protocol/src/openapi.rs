//! A service as an OpenAPI 3.1 document, from the same declaration as its contract: every method is
//! `POST /SERVICE/METHOD` with JSON, also those that every service answers.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::contract::{MethodSpec, ServiceSpec};
use crate::standard::Standard;

impl ServiceSpec {
    /// The document. `timeout_field` is the header field with which a caller says how long it will wait.
    #[must_use]
    pub fn openapi(&self, timeout_field: &str) -> Value {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
        });
        let mut generator = SchemaGenerator::new(settings);
        let own = self.methods.iter().map(|method| (method.name, method.path(&mut generator)));
        let all = own.chain(Standard::ALL.map(|standard| (standard.name(), standard.path(self))));
        let paths: Map<String, Value> = all.map(|(name, path)| (format!("/{}/{name}", self.name), path)).collect();
        let mut schemas = generator.take_definitions(true);
        schemas.insert("Failure".to_owned(), failure());
        let mut document = json!({
            "openapi": "3.1.0",
            "info": { "title": self.name, "version": self.version.to_string(), "description": self.docs },
            "paths": paths,
            "components": { "schemas": schemas, "parameters": { "Timeout": timeout(timeout_field) } },
        });
        state_bounds(&mut document);
        document
    }
}

impl MethodSpec {
    fn path(&self, generator: &mut SchemaGenerator) -> Value {
        let types = self.schema_with_defaults(generator);
        let mut responses = responses(&types.result.into());
        if let Some(error) = types.error {
            let schema = json!({
                "type": "object", "required": ["code", "outcome", "error"],
                "properties": { "code": { "const": "APPLICATION" }, "outcome": { "const": "done" }, "error": error },
            });
            responses["422"] = content("The method's own error: the call ran.", &schema);
        }
        let needs_body = match &types.arguments[..] {
            [] => false,
            [one] => !has_default(one),
            _ => true,
        };
        path(self.name, self.docs, needs_body, &body(self.arguments, types.arguments), &responses)
    }
}

impl Standard {
    fn path(self, spec: &ServiceSpec) -> Value {
        path(self.name(), self.docs(), false, &body(&[], Vec::new()), &responses(&self.result(spec.name)))
    }
}

/// A method's place; `arguments` is the schema of its body.
fn path(name: &str, docs: &str, needs_body: bool, arguments: &Value, responses: &Value) -> Value {
    json!({ "post": {
        "operationId": name,
        "summary": docs.lines().next().unwrap_or_default(),
        "description": docs,
        "parameters": [{ "$ref": "#/components/parameters/Timeout" }],
        "requestBody": { "required": needs_body, "content": { "application/json": { "schema": arguments } } },
        "responses": responses,
    } })
}

fn responses(result: &Value) -> Value {
    json!({
        "200": content("What the method gives.", result),
        "default": content("It gave nothing, and says whether the call ran.", &json!({ "$ref": FAILURE })),
    })
}

const FAILURE: &str = "#/components/schemas/Failure";

/// The rule of [`crate::json::arguments`], as a schema.
fn body(names: &[&str], mut arguments: Vec<Schema>) -> Value {
    match names {
        [] => json!({ "anyOf": [
            { "type": "object", "maxProperties": 0 }, { "type": "array", "maxItems": 0 }, { "type": "null" },
        ] }),
        [_] => arguments.pop().map_or(Value::Bool(true), Value::from),
        _ => {
            let required: Vec<&str> = names
                .iter()
                .zip(&arguments)
                .filter(|(_, schema)| !takes_null(schema.as_value()) && !has_default(schema))
                .map(|(n, _)| *n)
                .collect();
            // At the end of an array, what has a default may be left out.
            let least = arguments.iter().rposition(|schema| !has_default(schema)).map_or(0, |last| last + 1);
            let properties: Map<String, Value> =
                names.iter().map(|name| (*name).to_owned()).zip(arguments.iter().cloned().map(Value::from)).collect();
            json!({ "anyOf": [
                { "type": "object", "properties": properties, "required": required, "additionalProperties": false },
                { "type": "array", "prefixItems": arguments, "minItems": least, "maxItems": names.len() },
            ] })
        }
    }
}

fn has_default(schema: &Schema) -> bool {
    schema.get("default").is_some()
}

/// Whether an argument may be left out: then it is null.
fn takes_null(schema: &Value) -> bool {
    let is_null = |value: &Value| value == "null";
    match schema {
        Value::Bool(any) => *any,
        Value::Object(fields) => {
            let ty = fields.get("type");
            let by_type = ty.is_some_and(|ty| is_null(ty) || ty.as_array().is_some_and(|all| all.iter().any(is_null)));
            let any_of = fields.get("anyOf").and_then(Value::as_array);
            by_type || any_of.is_some_and(|all| all.iter().any(takes_null))
        }
        _ => false,
    }
}

/// Bounds that a type has and that its schema leaves to `format`, which validators ignore.
fn state_bounds(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let (low, high) = match fields.get("format").and_then(Value::as_str) {
                Some("int32") => (json!(i32::MIN), json!(i32::MAX)),
                Some("int64" | "int") => (json!(i64::MIN), json!(i64::MAX)),
                Some("uint32") => (json!(0), json!(u32::MAX)),
                Some("uint64" | "uint") => (json!(0), json!(u64::MAX)),
                _ => (Value::Null, Value::Null),
            };
            if !high.is_null() {
                fields.entry("minimum").or_insert(low);
                fields.entry("maximum").or_insert(high);
            }
            if fields.get("contentEncoding").is_some_and(|encoding| encoding == "base64") {
                fields.insert("pattern".to_owned(), BASE64.into());
            }
            fields.values_mut().for_each(state_bounds);
        }
        Value::Array(values) => values.iter_mut().for_each(state_bounds),
        _ => {}
    }
}

/// RFC 4648 section 4: whole groups of four, and no bits in the padding.
const BASE64: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

fn failure() -> Value {
    json!({
        "type": "object", "required": ["code", "outcome", "message"],
        "properties": {
            "code": { "type": "string", "description": "One of gRPC's status codes." },
            "outcome": { "enum": ["not_started", "unknown", "done"], "description": "Whether the call ran." },
            "message": { "type": "string", "description": "What happened, whose fault it is, what to do next." },
            "retry_after_ms": { "type": "integer", "description": "When there may be room for the call." },
        },
    })
}

fn timeout(name: &str) -> Value {
    json!({
        "name": name, "in": "header", "required": false,
        "description": "How long the caller will wait, in milliseconds. A call that waited longer is not started.",
        "schema": { "type": "integer", "minimum": 1, "maximum": 86_400_000 },
    })
}

fn content(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::contract::{MethodSchema, Runs};
    use crate::ids::Codec;

    fn methods() -> &'static [MethodSpec] {
        const METHODS: &[MethodSpec] = &[MethodSpec {
            name: "write",
            signature: "write(&str) -> Result<u32, Dry>",
            docs: "Writes.\n\nUntil it is dry.",
            idempotent: false,
            runs: Runs::OnTheLoop,
            codec: Codec::Rkyv,
            arguments: &["text"],
            defaults: &[None],
            schema: |generator| MethodSchema {
                arguments: vec![generator.subschema_for::<String>()],
                result: generator.subschema_for::<u32>(),
                error: Some(generator.subschema_for::<bool>()),
            },
        }];
        METHODS
    }

    #[test]
    fn every_method_that_a_service_answers_has_its_path() {
        let document = ServiceSpec { name: "pen", version: 3, docs: "Pens.", methods: methods() }.openapi("T");
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.keys().collect::<Vec<_>>(), ["/pen/write", "/pen/health", "/pen/describe"]);
        let ids: Vec<&Value> = paths.values().map(|path| &path["post"]["operationId"]).collect();
        assert_eq!(ids, ["write", "health", "describe"]);
        for (name, path) in paths {
            let post = &path["post"];
            assert!(post["summary"].as_str().is_some_and(|summary| summary.len() > 5), "{name}: {post}");
            assert_eq!(post["responses"]["default"]["content"]["application/json"]["schema"]["$ref"], FAILURE);
            assert_eq!(post["requestBody"]["required"], name == "/pen/write", "{name}");
            assert_eq!(post["responses"].get("422").is_some(), name == "/pen/write", "{name}");
        }
        let answer = |name: &str| &paths[name]["post"]["responses"]["200"]["content"]["application/json"]["schema"];
        assert_eq!(answer("/pen/health")["properties"]["service"]["const"], "pen");
        assert_eq!(answer("/pen/health")["properties"]["up_ms"]["maximum"], u64::MAX);
        assert_eq!(answer("/pen/write")["maximum"], u32::MAX);
    }

    #[test]
    fn the_schema_of_a_description_names_what_is_in_one() {
        let spec = ServiceSpec { name: "pen", version: 3, docs: "", methods: methods() };
        let (description, schema) = (spec.describe(), Standard::Describe.result("pen"));
        let names = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
        for (object, schema) in
            [(&description, &schema), (&description["methods"][0], &schema["properties"]["methods"]["items"])]
        {
            assert_eq!(names(object), names(&schema["properties"]));
            let required: BTreeSet<String> = serde_json::from_value(schema["required"].clone()).unwrap();
            assert_eq!(names(object), required, "each is always there");
        }
    }
}
