//! The default verb: a supervisor with its services.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use speedysvc_config::{Builtin, Config, Launch, Service};

use crate::{check, dashboard, exit};

/// Runs the services of a file: all of them, or `only` these and what they come `after`.
pub(crate) fn run(path: Option<&Path>, only: &[String]) -> ExitCode {
    let mut config = match check::load(path) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match select(&mut config, only) {
        Ok(None) => {}
        Ok(Some(line)) => println!("{line}"),
        Err(why) => return exit::say(&format_args!("--only: {why}"), exit::USAGE),
    }
    let own = match std::env::current_exe() {
        Ok(own) => own,
        Err(error) => return exit::say(&format_args!("cannot find this program itself: {error}"), exit::FAILED),
    };
    let launch = |service: &Service| command(&own, service);
    let source = config.source.clone();
    let reread = || {
        let mut config = check::read(&source).map_err(|report| report.to_string())?;
        // What was left out at the start stays out.
        select(&mut config, only).map_err(|why| format!("this engine was started with --only: {why}"))?;
        Ok(config)
    };
    let seen = Arc::default();
    let window = match dashboard::open(&config, &seen) {
        Ok(window) => window,
        Err(code) => return code,
    };
    let parts = speedysvc_supervisor::Parts { launch: &launch, reread: &reread, out: &mut std::io::stdout(), seen };
    let code = match speedysvc_supervisor::run(config, parts) {
        Ok(code) => ExitCode::from(code),
        Err(error) => exit::say(&error, exit::UNAVAILABLE),
    };
    window.into_iter().for_each(speedysvc_web::Open::close);
    code
}

/// Leaves out what `--only` does not name, and says so.
fn select(config: &mut Config, only: &[String]) -> Result<Option<String>, String> {
    if only.is_empty() {
        return Ok(None);
    }
    let left_out = config.only(only).map_err(|error| error.to_string())?;
    let texts = |names: Vec<String>| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let is_named = |name: &String| only.contains(name);
    let started: Vec<String> = config.services.iter().map(|service| service.name.to_string()).collect();
    let (named, along): (Vec<_>, Vec<_>) = started.into_iter().partition(is_named);
    let along = if along.is_empty() { String::new() } else { format!(", and before them {}", texts(along)) };
    let out = texts(left_out.iter().map(ToString::to_string).collect());
    Ok(Some(format!("only: {}{along}; not started: {out}", texts(named))))
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
