//! The service: it needs the service `hello`, so that must run before.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use crowd::Greeter;
use hello::HelloClient;
use speedysvc::Code;

fn main() -> ExitCode {
    match HelloClient::connect("service://hello") {
        Ok(hello) => speedysvc::serve(Greeter::new(hello)),
        Err(error) => {
            eprintln!("crowd-service: {error}");
            // As `speedysvc::serve` and the command line say it: 69 (EX_UNAVAILABLE), try again later.
            if error.code() == Code::Unavailable { ExitCode::from(69) } else { ExitCode::FAILURE }
        }
    }
}
