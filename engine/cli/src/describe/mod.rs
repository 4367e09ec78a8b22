//! `describe`: what a service offers, as it says itself.

mod types;

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use speedysvc::untyped::{self, Reply};

use crate::{exit, out};

pub(crate) fn describe(address: &str, json: bool, timeout: Option<Duration>) -> ExitCode {
    if let Err(error) = untyped::check_address(address) {
        return exit::say(&error.message(), exit::USAGE);
    }
    let text = match untyped::call(address, "describe", b"null", timeout) {
        Ok(Reply::Ok(text) | Reply::Application(text)) => text,
        Err(error) => return exit::say(&error, exit::of_call(&error)),
    };
    let written = match serde_json::from_slice::<Value>(&text) {
        Err(error) => return exit::say(&format_args!("the service describes itself badly: {error}"), exit::FAILED),
        Ok(description) if json => out::line(&description.to_string()),
        Ok(description) => out::line(page(&description).trim_end()),
    };
    written.err().unwrap_or(ExitCode::SUCCESS)
}

/// Names, signatures, what they take and give in JSON, and doc comments. All of it comes from whoever wrote the
/// service: nothing may steer a terminal.
fn page(description: &Value) -> String {
    let text = |value: &Value| plain(value.as_str().unwrap_or_default());
    let mut page = format!("{} (version {})\n", text(&description["service"]), description["version"]);
    paragraph(&mut page, &description["docs"], "  ");
    for method in description["methods"].as_array().into_iter().flatten() {
        let idempotent = if method["idempotent"] == true { "    (idempotent)" } else { "" };
        write!(page, "\n{}{idempotent}\n", text(&method["signature"])).expect(TAKES_ALL);
        let arguments = method["arguments"].as_object().into_iter().flatten();
        let arguments: Vec<String> = arguments.map(|(name, schema)| argument(name, schema)).collect();
        if !arguments.is_empty() {
            writeln!(page, "    takes  {}", arguments.join(", ")).expect(TAKES_ALL);
        }
        for (word, schema) in [("gives", &method["result"]), ("fails with", &method["error"])] {
            if !schema.is_null() && schema["type"] != "null" {
                writeln!(page, "    {word}  {}", plain(&types::of(schema))).expect(TAKES_ALL);
            }
        }
        paragraph(&mut page, &method["docs"], "    ");
    }
    for (name, schema) in description["$defs"].as_object().into_iter().flatten() {
        write!(page, "\n{} is {}\n", plain(name), plain(&types::of(schema))).expect(TAKES_ALL);
        paragraph(&mut page, &schema["description"], "    ");
    }
    page
}

const TAKES_ALL: &str = "a text takes everything";

/// An argument as `name: type`, with its default where it may be left out.
fn argument(name: &str, schema: &Value) -> String {
    let default = schema.get("default").map(|default| format!(" = {default}")).unwrap_or_default();
    plain(&format!("{name}: {}{default}", types::of(schema)))
}

fn paragraph(page: &mut String, text: &Value, indent: &str) {
    for line in text.as_str().unwrap_or_default().lines().map(str::trim).filter(|line| !line.is_empty()) {
        writeln!(page, "{indent}{}", plain(line)).expect(TAKES_ALL);
    }
}

/// The text without what steers a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_to_send_and_nothing_that_steers_a_terminal() {
        let description = serde_json::json!({
            "service": "pen", "version": 2, "docs": "Draws.\n\nAlways.",
            "methods": [
                { "signature": "draw(Point, u8) -> u8", "docs": "A \u{1b}[31mred dot.", "idempotent": true,
                  "arguments": { "point": { "$ref": "#/$defs/Point" },
                                 "wi\u{7}dth": { "type": "integer", "default": 3 } },
                  "result": { "type": "integer" }, "error": { "type": "string" } },
                { "signature": "rest()\u{9b}2J", "docs": "", "idempotent": false, "arguments": {},
                  "result": { "type": "null" }, "error": null },
            ],
            "$defs": { "Point": { "description": "Where.", "type": "object", "required": ["x"],
                                  "properties": { "x": { "type": "integer" },
                                                  "name": { "type": ["string", "null"] } } } },
        });
        let expected = "pen (version 2)\n  Draws.\n  Always.\n\n\
                        draw(Point, u8) -> u8    (idempotent)\n    takes  point: Point, width: integer = 3\n    \
                        gives  integer\n    fails with  string\n    A [31mred dot.\n\nrest()2J\n\n\
                        Point is {\"x\": integer, \"name\"?: string | null}\n    Where.\n";
        assert_eq!(page(&description), expected);
    }
}
