//! The speedysvc-engine program: runs the services of a file, checks files, steers a running engine, and calls services
//! by hand.
#![forbid(unsafe_code)]

mod arguments;
mod call;
mod check;
mod ctl;
mod driver;
mod echo;
mod exit;
mod run;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Builtin, Verb};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.verb {
        None => run::run(arguments.config.as_deref()),
        Some(Verb::Check { config }) => check::check(config.or(arguments.config).as_deref()),
        Some(Verb::Call(what)) => call::call(&what),
        Some(Verb::Driver) => driver::driver(),
        Some(Verb::Ctl(what)) => ctl::ctl(&what),
        Some(Verb::Builtin { service: Builtin::Echo }) => speedysvc::serve(echo::BuiltinEcho),
    }
}
