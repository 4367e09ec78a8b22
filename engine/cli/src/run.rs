//! The default verb: a supervisor with its services.

use std::path::Path;
use std::process::{Command, ExitCode};

use speedysvc_config::{Builtin, Launch, Service};

use crate::{check, exit};

pub(crate) fn run(path: Option<&Path>) -> ExitCode {
    let config = match check::load(path) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let own = match std::env::current_exe() {
        Ok(own) => own,
        Err(error) => return exit::say(&format_args!("cannot find this program itself: {error}"), exit::FAILED),
    };
    let launch = |service: &Service| command(&own, service);
    let source = config.source.clone();
    let reread = || check::read(&source).map_err(|report| report.to_string());
    let parts = speedysvc_supervisor::Parts { launch: &launch, reread: &reread, out: &mut std::io::stdout() };
    match speedysvc_supervisor::run(config, parts) {
        Ok(code) => ExitCode::from(code),
        Err(error) => exit::say(&error, exit::UNAVAILABLE),
    }
}

/// What runs a service's worker: the user's program, or this one for a built-in service.
fn command(own: &Path, service: &Service) -> Command {
    match &service.launch {
        Launch::Program { path, args } => {
            let mut command = Command::new(path);
            command.args(args);
            command
        }
        Launch::Builtin(Builtin::Echo) => {
            let mut command = Command::new(own);
            command.args(["builtin", "echo"]);
            command
        }
    }
}
