//! `call`: one call by hand. Only the reply goes to standard output.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use speedysvc::untyped::{self, Reply};

use crate::arguments::Call;
use crate::exit;

pub(crate) fn call(what: &Call) -> ExitCode {
    if let Err(error) = untyped::check_address(&what.address) {
        return exit::say(&error.message(), exit::USAGE);
    }
    let body = match body(&what.json) {
        Ok(body) => body,
        Err(why) => return exit::say(&why, exit::USAGE),
    };
    match untyped::call(&what.address, &what.method, &body, what.timeout) {
        Ok(Reply::Ok(reply)) => print(&reply),
        Ok(Reply::Application(error)) => {
            let text = String::from_utf8_lossy(&error);
            exit::say(&format_args!("{} answered with its own error: {text}", what.method), exit::FAILED)
        }
        Err(error) => exit::say(&error, exit::of_call(&error)),
    }
}

/// The JSON as it was given, checked before anybody is called.
fn body(text: &str) -> Result<Vec<u8>, String> {
    let mut text = text.to_owned();
    if text == "-" {
        text.clear();
        io::stdin().read_to_string(&mut text).map_err(|error| format!("cannot read standard input: {error}"))?;
    }
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(_) => Ok(text.into_bytes()),
        Err(error) => Err(format!("the argument is not JSON: {error}; a text needs quotes, as in '\"Hello\"'")),
    }
}

fn print(reply: &[u8]) -> ExitCode {
    let mut out = io::stdout();
    match out.write_all(reply).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::say(&format_args!("cannot write the reply: {error}"), exit::FAILED),
    }
}
