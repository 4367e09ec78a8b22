//! The service: it needs the service `hello`, so that must run before.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use crowd::Greeter;
use hello::HelloClient;

fn main() -> ExitCode {
    match HelloClient::connect("service://hello") {
        Ok(hello) => speedysvc::serve(Greeter::new(hello)),
        Err(error) => {
            eprintln!("crowd-service: {error}");
            ExitCode::FAILURE
        }
    }
}
