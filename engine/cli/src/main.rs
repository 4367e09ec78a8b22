//! The speedysvc-engine program: runs the services of a file, checks files, steers a running engine, and calls services
//! by hand.
#![forbid(unsafe_code)]

mod arguments;
mod call;
mod check;
mod ctl;
mod dashboard;
mod describe;
mod driver;
mod echo;
mod exit;
mod files;
mod launch;
mod manual;
mod out;
mod ping;
mod run;
mod times;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Builtin, Verb};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.verb {
        None => run::run(arguments.config.as_deref(), &arguments.only),
        Some(Verb::Init { file }) => files::init(&file),
        Some(Verb::Import { ini, output }) => files::import(&ini, output.as_deref()),
        Some(Verb::Check { file, config, print }) => check::check(file.or(config).as_deref(), print),
        Some(Verb::Call(what)) => call::call(&what),
        Some(Verb::Describe { address, json, timeout }) => describe::describe(&address, json, timeout),
        Some(Verb::Ping(what)) => ping::ping(&what),
        Some(Verb::Driver) => driver::driver(),
        Some(Verb::Ctl(what)) => ctl::ctl(&what),
        Some(Verb::Completions { shell }) => manual::completions(shell),
        Some(Verb::Man { folder }) => manual::man(folder.as_deref()),
        Some(Verb::Launch(what)) => launch::launch(&what),
        Some(Verb::Builtin { service: Builtin::Echo }) => speedysvc::serve(echo::BuiltinEcho),
    }
}
