//! The service under fire; the engine starts it.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    speedysvc_tests::chaos::service::serve()
}
