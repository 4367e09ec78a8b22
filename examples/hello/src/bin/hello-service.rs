//! The service: run it alone, or let a supervisor start it.
#![forbid(unsafe_code)]

use hello::Hello;

struct Friendly;

#[speedysvc::service]
impl Hello for Friendly {
    fn hello(&self, name: &str) -> String {
        format!("Hello {name}!")
    }
}

fn main() -> std::process::ExitCode {
    speedysvc::serve(Friendly)
}
