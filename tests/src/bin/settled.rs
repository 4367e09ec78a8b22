//! Tells, whenever it has changed, which address of the test service a client has settled on, and who answers.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use speedysvc_tests::harness::let_pass;
use speedysvc_tests::test_service::TestServiceClient;

/// Whoever started it is through by then, or has failed.
const LONGEST: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let addresses: Vec<String> = std::env::args().skip(1).collect();
    let (begin, mut told) = (Instant::now(), String::new());
    let client = loop {
        match TestServiceClient::connect(&addresses) {
            Ok(client) => break client,
            Err(error) if begin.elapsed() < LONGEST => tell(&mut told, format!("nobody: {error}")),
            Err(_) => return ExitCode::FAILURE,
        }
    };
    while begin.elapsed() < LONGEST {
        match client.pid() {
            Ok(pid) => tell(&mut told, format!("{pid} at {}", client.connected_to())),
            Err(error) => tell(&mut told, format!("nobody: {error}")),
        }
        let_pass(Duration::from_millis(5));
    }
    ExitCode::SUCCESS
}

fn tell(told: &mut String, now: String) {
    if *told != now {
        println!("{now}");
        *told = now;
    }
}
