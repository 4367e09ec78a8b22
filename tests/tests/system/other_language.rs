//! `tests/other-language/client.py` was written from docs/protocol.md alone: while it works, the document is true.

use std::process::{Command, Output};

use crate::fixture::{addresses, engine};

fn python(address: &str, method: &str, json: &str) -> Option<Output> {
    let (host, port) = address.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':')).expect("a TCP address");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/other-language/client.py");
    match Command::new("python3").args([script, host, port, method, json]).output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("SKIPPED: python3: {error}; apt-get install python3");
            None
        }
    }
}

#[test]
fn a_client_in_python_is_understood() {
    let engine = engine("");
    let [_, tcp] = addresses(&engine);
    let Some(echoed) = python(&tcp, "echo", r#""Grüße aus Python""#) else { return };
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert_eq!((echoed.status.code(), text(&echoed).as_str()), (Some(0), r#""Grüße aus Python""#), "{echoed:?}");
    let unknown = python(&tcp, "no_such_method", "null").expect("it ran before");
    assert_ne!(unknown.status.code(), Some(0), "{unknown:?}");
    drop(engine);
    let gone = python(&tcp, "echo", "1").expect("it ran before");
    assert_eq!(gone.status.code(), Some(69), "{gone:?}");
}
