//! The program of the service that does what it is told.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use speedysvc_tests::harness::wait_for;
use speedysvc_tests::test_service::Obedient;

/// Names a file: until it is there the program is not ready, and asks for time.
const GATE: &str = "TEST_SERVICE_GATE";

fn main() -> ExitCode {
    if let Some(gate) = std::env::var_os(GATE) {
        wait_for("the gate to open", || {
            speedysvc::starting(Duration::from_secs(60), "waiting for the gate");
            Path::new(&gate).exists()
        });
    }
    speedysvc::serve(Obedient)
}
