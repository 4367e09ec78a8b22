//! A JSON schema as one line for people, in the manner of TypeScript: `{"x": integer, "why"?: string | null}`.

use serde_json::Value;

/// Nothing that people write nests deeper, and a service may say anything.
const DEEPEST: usize = 8;

/// The type that a schema describes; what it cannot say in few words is `any`, and whole in `describe --json`.
pub(super) fn of(schema: &Value) -> String {
    at(schema, DEEPEST)
}

fn at(schema: &Value, deep: usize) -> String {
    let Some(deep) = deep.checked_sub(1) else { return "…".to_owned() };
    if let Some(name) = schema["$ref"].as_str() {
        return name.rsplit('/').next().unwrap_or(name).to_owned();
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    if let Some(values) = schema["enum"].as_array() {
        return union(values.iter().map(Value::to_string));
    }
    if let Some(kinds) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        return union(kinds.iter().map(|kind| at(kind, deep)));
    }
    match &schema["type"] {
        Value::String(name) => named(name, schema, deep),
        Value::Array(names) => union(names.iter().filter_map(Value::as_str).map(|name| named(name, schema, deep))),
        _ => "any".to_owned(),
    }
}

/// Each alternative once.
fn union(kinds: impl Iterator<Item = String>) -> String {
    let mut once = Vec::new();
    kinds.for_each(|kind| {
        if !once.contains(&kind) {
            once.push(kind);
        }
    });
    once.join(" | ")
}

fn named(name: &str, schema: &Value, deep: usize) -> String {
    match name {
        "string" if schema["contentEncoding"] == "base64" => "base64 text".to_owned(),
        "array" => array(schema, deep),
        "object" => object(schema, deep),
        _ => name.to_owned(),
    }
}

fn array(schema: &Value, deep: usize) -> String {
    match (schema["prefixItems"].as_array(), schema.get("items")) {
        (Some(items), _) => {
            let items: Vec<String> = items.iter().map(|item| at(item, deep)).collect();
            format!("[{}]", items.join(", "))
        }
        (None, Some(item)) => format!("[{}, …]", at(item, deep)),
        (None, None) => "[any, …]".to_owned(),
    }
}

fn object(schema: &Value, deep: usize) -> String {
    let is_required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|own| own == name));
    let fields = schema["properties"].as_object().into_iter().flatten().map(|(name, field)| {
        let mark = if is_required(name) { "" } else { "?" };
        format!("{}{mark}: {}", Value::from(name.as_str()), at(field, deep))
    });
    let others = schema.get("additionalProperties").filter(|others| others.is_object());
    let others = others.map(|others| format!("…: {}", at(others, deep)));
    format!("{{{}}}", fields.chain(others).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_are_said_in_a_line() {
        for (schema, said) in [
            (json!({ "type": "integer", "format": "uint8", "minimum": 0 }), "integer"),
            (json!({ "type": "string", "contentEncoding": "base64" }), "base64 text"),
            (json!({ "type": ["string", "null"] }), "string | null"),
            (json!({ "anyOf": [{ "$ref": "#/$defs/Page_of_u8" }, { "type": "null" }] }), "Page_of_u8 | null"),
            (
                json!({ "type": "array", "items": { "type": "array", "items": { "type": "number" } } }),
                "[[number, …], …]",
            ),
            (
                json!({ "type": "array", "prefixItems": [{ "type": "string" }, { "type": "boolean" }] }),
                "[string, boolean]",
            ),
            (json!({ "type": "object", "additionalProperties": { "type": "integer" } }), "{…: integer}"),
            (
                json!({ "oneOf": [{ "type": "string", "enum": ["A", "B"] },
                               { "type": "object", "properties": { "C": { "type": "null" } }, "required": ["C"] },
                               { "const": "D" }, { "const": "D" }] }),
                "\"A\" | \"B\" | {\"C\": null} | \"D\"",
            ),
            (json!(true), "any"),
            (json!({}), "any"),
        ] {
            assert_eq!(of(&schema), said, "{schema}");
        }
    }

    #[test]
    fn what_nests_without_end_is_cut() {
        let mut schema = json!({ "type": "array", "items": { "type": "null" } });
        for _ in 0..100 {
            schema = json!({ "type": "array", "items": schema });
        }
        assert_eq!(of(&schema), format!("{}…{}", "[".repeat(DEEPEST), ", …]".repeat(DEEPEST)));
    }
}
