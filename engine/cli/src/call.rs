//! `call`: calls by hand. Only replies go to standard output.

use std::io::{self, Read};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use speedysvc::Error;
use speedysvc::untyped::{self, Method, Reply};

use crate::arguments::Call;
use crate::times::{Times, nanos};
use crate::{exit, out};

pub(crate) fn call(what: &Call) -> ExitCode {
    let ended = prepare(what).and_then(|(method, body)| repeat(what, method, &body));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

/// Everything that can be wrong before anybody is called is said here.
fn prepare(what: &Call) -> Result<(Result<Method, Error>, Vec<u8>), ExitCode> {
    untyped::check_address(&what.address).map_err(|error| exit::say(&error.message(), exit::USAGE))?;
    let body = body(&what.json_argument).map_err(|why| exit::say(&why, exit::USAGE))?;
    let method = Method::connect(&what.address, &what.method, what.timeout);
    Ok((method.map(|method| what.traceparent.map_or(method.clone(), |trace| method.with_trace(trace))), body))
}

fn repeat(what: &Call, method: Result<Method, Error>, body: &[u8]) -> Result<(), ExitCode> {
    let mut times = Times::default();
    let ended = method.map_err(|error| failed(what, &error, None)).and_then(|method| {
        (1..=what.repeat).try_for_each(|number| {
            let begin = Instant::now();
            let answer = method.call(body);
            let took = begin.elapsed();
            times.note(took);
            // A million results say no more than the last of them, unless they are asked for.
            if matches!(answer, Ok(Reply::Ok(_))) && !what.json && number < what.repeat {
                return Ok(());
            }
            show(what, answer, took)
        })
    });
    if what.repeat > 1 && times.count() > 0 {
        eprintln!("{}", times.line());
    }
    ended
}

fn show(what: &Call, answer: Result<Reply, Error>, took: Duration) -> Result<(), ExitCode> {
    match answer {
        Ok(Reply::Ok(reply)) if what.json => out::line(&with("result", &reply, took)),
        Ok(Reply::Ok(reply)) => out::line(&String::from_utf8_lossy(&reply)),
        Ok(Reply::Application(error)) if what.json => {
            out::line(&with("error", &error, took)).and(Err(ExitCode::from(exit::FAILED)))
        }
        Ok(Reply::Application(error)) => {
            let text = String::from_utf8_lossy(&error);
            let said = format_args!("{} answered with its own error: {text}", what.method);
            Err(exit::say(&said, exit::FAILED))
        }
        Err(error) => Err(failed(what, &error, Some(took))),
    }
}

/// A reply as one line of JSON.
fn with(key: &str, body: &[u8], took: Duration) -> String {
    let value = serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into());
    let ended = if key == "result" { "ok" } else { "application" };
    let mut line = json!({ "ended": ended, "outcome": "done", "took_ns": nanos(took) });
    line[key] = value;
    line.to_string()
}

fn failed(what: &Call, error: &Error, took: Option<Duration>) -> ExitCode {
    if !what.json {
        return exit::say(error, exit::of_call(error));
    }
    let line = json!({
        "ended": "failed", "outcome": error.outcome(), "code": error.code().name(),
        "message": error.message(), "took_ns": took.map(nanos),
    });
    out::line(&line.to_string()).err().unwrap_or(ExitCode::from(exit::of_call(error)))
}

/// The JSON as it was given, checked before anybody is called.
fn body(text: &str) -> Result<Vec<u8>, String> {
    let mut text = text.to_owned();
    if text == "-" {
        text.clear();
        io::stdin().read_to_string(&mut text).map_err(|error| format!("cannot read standard input: {error}"))?;
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(_) => Ok(text.into_bytes()),
        Err(error) => Err(format!("the argument is not JSON: {error}; a text needs quotes, as in '\"Hello\"'")),
    }
}
