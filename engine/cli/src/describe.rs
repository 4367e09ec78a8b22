//! `describe`: what a service offers, as it says itself.

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

/// Names, signatures and doc comments.
fn page(description: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut page = format!("{} (version {})\n", text(&description["service"]), description["version"]);
    paragraph(&mut page, &text(&description["docs"]), "  ");
    for method in description["methods"].as_array().into_iter().flatten() {
        let idempotent = if method["idempotent"] == true { "    (idempotent)" } else { "" };
        write!(page, "\n{}{idempotent}\n", text(&method["signature"])).expect("a text takes everything");
        let names: Vec<&str> = method["arguments"].as_object().into_iter().flatten().map(|(name, _)| &**name).collect();
        if !names.is_empty() {
            writeln!(page, "    takes: {}", names.join(", ")).expect("a text takes everything");
        }
        paragraph(&mut page, &text(&method["docs"]), "    ");
    }
    page
}

/// Doc comments come from whoever wrote the service: nothing of them may steer a terminal.
fn paragraph(page: &mut String, text: &str, indent: &str) {
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let plain: String = line.chars().filter(|c| !c.is_control()).collect();
        writeln!(page, "{indent}{plain}").expect("a text takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_names_and_words_and_nothing_that_steers_a_terminal() {
        let description = serde_json::json!({
            "service": "pen", "version": 2, "docs": "Draws.\n\nAlways.",
            "methods": [
                { "signature": "draw(Point) -> u8", "docs": "A \u{1b}[31mred dot.", "idempotent": true,
                  "arguments": { "point": {} } },
                { "signature": "rest()", "docs": "", "idempotent": false, "arguments": {} },
            ],
        });
        let expected = "pen (version 2)\n  Draws.\n  Always.\n\n\
                        draw(Point) -> u8    (idempotent)\n    takes: point\n    A [31mred dot.\n\nrest()\n";
        assert_eq!(page(&description), expected);
    }
}
