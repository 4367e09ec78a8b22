//! The program of the service that does what it is told.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use speedysvc_tests::test_service::Obedient;

fn main() -> ExitCode {
    speedysvc::serve(Obedient)
}
