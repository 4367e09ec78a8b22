//! The service: run it alone, or let a supervisor start it.
#![forbid(unsafe_code)]

use counter::InMemory;

fn main() -> std::process::ExitCode {
    speedysvc::serve(InMemory::default())
}
