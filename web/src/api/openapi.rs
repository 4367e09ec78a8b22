//! The API as OpenAPI 3.1, made from the types that it answers with.

use axum::response::Response;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::types::{Client, Curve, Log, Loop, Problem, Said, Service, Setting, TimeSeries};

pub(super) async fn document() -> Response {
    super::json(axum::http::StatusCode::OK, &described())
}

/// The document.
pub(crate) fn described() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<Problem>().to_value();
    let said = schemas.subschema_for::<Said>().to_value();
    let mut paths = Map::new();
    let mut path = |path: String, method: &str, what: &str, parameters: &[Value], answer: &Value| {
        paths.insert(format!("/api/v1/{path}"), json!({ method: operation(what, parameters, answer, &problem) }));
    };
    let name = parameter("path", "service", "Which service.", json!({ "type": "string" }));
    for verb in ["start", "stop", "restart"] {
        let what = format!("To {verb} a service. Answered when it is done.");
        path(format!("services/{{service}}/{verb}"), "post", &what, std::slice::from_ref(&name), &said);
    }
    let scale = [name.clone(), workers()];
    path("services/{service}/scale".to_owned(), "post", "To have so many workers.", &scale, &said);
    path("reload".to_owned(), "post", "To read the file again and apply what is different.", &[], &said);
    for Get { path: at, what, parameters, answer } in gets(&mut schemas, &name) {
        path(at.to_owned(), "get", what, &parameters, &answer);
    }
    let token = json!({ "type": "http", "scheme": "bearer" });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "speedysvc dashboard", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT },
        "paths": paths,
        "components": { "schemas": schemas.take_definitions(true), "securitySchemes": { "token": token } },
        "security": [{}, { "token": [] }],
    })
}

/// What can be read.
struct Get {
    path: &'static str,
    what: &'static str,
    parameters: Vec<Value>,
    answer: Value,
}

fn gets(schemas: &mut SchemaGenerator, name: &Value) -> Vec<Get> {
    let text = || json!({ "type": "string" });
    let of = parameter("query", "service", "Which service.", text());
    let method = parameter("query", "method", "Which method; all without it.", text());
    let back = json!({ "type": "integer", "minimum": 1, "maximum": 86400 });
    let back = parameter("query", "seconds", "How far back.", back);
    let windows = json!({ "type": "integer", "enum": [60, 600, 3600, 21600, 86400] });
    let window = parameter("query", "seconds", "The window.", windows);
    let levels = json!({ "enum": ["trace", "debug", "info", "warn", "error"] });
    let lines = json!({ "type": "integer", "minimum": 1, "maximum": 1000 });
    let of_log = vec![
        of.clone(),
        parameter("query", "level", "From here up.", levels),
        parameter("query", "text", "Only lines that contain this.", text()),
        parameter("query", "lines", "At most so many, the last ones.", lines),
    ];
    let get = |path, what, parameters, answer: Schema| Get { path, what, parameters, answer: answer.to_value() };
    let line = vec![of.clone(), method.clone(), back];
    vec![
        get("services", "All services.", vec![], schemas.subschema_for::<Vec<Service>>()),
        get("services/{service}", "One service.", vec![name.clone()], schemas.subschema_for::<Service>()),
        get("history", "Lines over time; of all without `service`.", line, schemas.subschema_for::<TimeSeries>()),
        get(
            "latency",
            "Percentiles of a window, and of the one before.",
            vec![of, method, window],
            schemas.subschema_for::<Vec<Curve>>(),
        ),
        get("loops", "All loops.", vec![], schemas.subschema_for::<Vec<Loop>>()),
        get("clients", "Who is connected.", vec![], schemas.subschema_for::<Vec<Client>>()),
        get("logs", "Lines of the log, oldest first.", of_log, schemas.subschema_for::<Vec<Log>>()),
        get("config", "Settings in force, without secrets.", vec![], schemas.subschema_for::<Vec<Setting>>()),
    ]
}

const ABOUT: &str = "Changes are POSTs. Programs send the field `X-Speedysvc: yes` with them, or a token; browsers are \
                     known by `Origin`. Where a token is wanted, `Authorization: Bearer` brings it.";

fn workers() -> Value {
    let schema = json!({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 64 }, { "const": "auto" }] });
    let mut workers = parameter("query", "workers", "How many, or `auto` for what the file says.", schema);
    workers["required"] = Value::Bool(true);
    workers
}

fn parameter(place: &str, name: &str, what: &str, schema: Value) -> Value {
    json!({ "name": name, "in": place, "description": what, "required": place == "path", "schema": schema })
}

fn operation(what: &str, parameters: &[Value], answer: &Value, problem: &Value) -> Value {
    let content = |schema: &Value| json!({ "application/json": { "schema": schema } });
    let text = json!({ "text/plain": { "schema": { "type": "string" } } });
    let mut responses = Map::new();
    responses.insert("200".to_owned(), json!({ "description": "Done.", "content": content(answer) }));
    responses
        .insert("202".to_owned(), json!({ "description": "Not done yet; it goes on.", "content": content(answer) }));
    let failures = [
        ("404", "There is none."),
        ("409", "The file is wrong; nothing was changed."),
        ("422", "A parameter is wrong."),
        ("502", "It was tried, and failed."),
        ("503", "The supervisor does not answer, or stops."),
    ];
    for (status, why) in failures {
        responses.insert(status.to_owned(), json!({ "description": why, "content": content(problem) }));
    }
    for (status, why) in [
        ("401", "Bring the token."),
        ("403", "Not from here."),
        ("405", "Not this way."),
        ("421", "Not by this name."),
        ("429", "Too many wrong tokens."),
    ] {
        responses.insert(status.to_owned(), json!({ "description": why, "content": text.clone() }));
    }
    json!({ "summary": what, "parameters": parameters, "responses": responses })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let document = described();
        let text = document.to_string();
        let known = document["components"]["schemas"].as_object().unwrap();
        for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(known.contains_key(name), "{name}");
        }
        assert!(known.len() >= 8 && document["paths"].as_object().unwrap().len() >= 13);
    }
}
