//! The program of the service whose handlers run in every way.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use speedysvc_tests::handlers_service::AllWays;

fn main() -> ExitCode {
    speedysvc::serve(AllWays::default())
}
