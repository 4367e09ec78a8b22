//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use speedysvc_config::units::parse_duration;

use crate::ctl::arguments::Ctl;

const EXAMPLES: &str = "\
Examples:
  speedysvc-engine --config config/service.toml          run the services of a file
  speedysvc-engine check --config config/service.toml    say what is wrong with it, and start nothing
  speedysvc-engine ctl status                            is it well?
  speedysvc-engine call shm://echo echo '\"Hello World!\"' call a method, JSON in, JSON out

Exit codes: 0 well; 1 failed, or the method's own error; 2 usage; 69 unavailable; 75 timed out; 78 bad configuration";

/// Runs services and lets clients call them at memory speed, or over TCP.
#[derive(Parser, Debug)]
#[command(name = "speedysvc-engine", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// The file that says which services to run; without it, ./service.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Say everything that is wrong with a file, and start nothing
    Check {
        /// The file; without it, ./service.toml
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Call one method: JSON in, JSON out
    Call(Call),
    /// Say by what workers would wait for sockets here, io_uring or epoll, and why
    Driver,
    /// See, and steer, a running engine
    Ctl(Ctl),
    /// Serve a built-in service: what the supervisor starts for `builtin = ...`
    #[command(hide = true)]
    Builtin { service: Builtin },
}

#[derive(Args, Debug)]
pub(crate) struct Call {
    /// Where the service is: shm://NAME or tcp://HOST:PORT
    pub(crate) address: String,
    /// The method's name
    pub(crate) method: String,
    /// The argument, or several as an object or array; `-` reads standard input
    #[arg(default_value = "null", hide_default_value = true)]
    pub(crate) json: String,
    /// Give up after this time, such as 500ms or 2s
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
}

pub(crate) fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

#[derive(Clone, Copy, ValueEnum, Debug)]
pub(crate) enum Builtin {
    Echo,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
