//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use speedysvc::TraceContext;
use speedysvc_config::units::parse_duration;

use crate::ctl::arguments::Ctl;

const EXAMPLES: &str = "\
Examples:
  speedysvc-engine init                                   write a commented service.toml to start from
  speedysvc-engine --config service.toml                  run the services of a file
  speedysvc-engine check --print                          say what is wrong with ./service.toml, or what is in force
  speedysvc-engine ctl status                             is it well?
  speedysvc-engine describe shm://echo                    what can be called there?
  speedysvc-engine call shm://echo echo '\"Hello World!\"'  call a method, JSON in, JSON out
  speedysvc-engine ping shm://echo --latency              how fast is it, live

Exit codes: 0 well; 1 failed, or the method's own error; 2 usage; 69 unavailable; 75 timed out; 78 bad configuration";

const CALL_EXITS: &str = "\
Exit codes: 0 answered; 1 the method's own error, or any other failure; 2 usage, or the argument is not JSON;
69 nobody answers there; 75 timed out";

const FILE_EXITS: &str = "Exit codes: 0 done; 1 a file could not be written; 2 usage; 78 the file is wrong";

/// Runs services and lets clients call them at memory speed, or over TCP.
#[derive(Parser, Debug)]
#[command(name = "speedysvc-engine", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// The file that says which services to run; without it, ./service.toml
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Run these services of the file, and those that they come `after`; the others are not started
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Write a commented service.toml to start from
    #[command(after_help = FILE_EXITS)]
    Init {
        /// Where to; `-` is standard output. A file that is there is left alone
        #[arg(default_value = "service.toml", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Turn a service.ini of the Python project into a service.toml, with remarks
    #[command(after_help = FILE_EXITS)]
    Import {
        /// The service.ini; `-` is standard input
        #[arg(value_hint = ValueHint::FilePath)]
        ini: PathBuf,
        /// Where to, in place of standard output. A file that is there is left alone
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },
    /// Say everything that is wrong with a file, and start nothing
    #[command(after_help = FILE_EXITS)]
    Check {
        /// The file; without it, ./service.toml
        #[arg(value_name = "FILE", conflicts_with = "config", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        /// The same, as the engine itself takes it
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        config: Option<PathBuf>,
        /// Show every value in force and where it came from, as a file that says the same
        #[arg(long)]
        print: bool,
    },
    /// Call one method: JSON in, JSON out
    #[command(after_help = CALL_EXITS)]
    Call(Call),
    /// Say what a service offers: its methods, their words and their types
    #[command(after_help = CALL_EXITS)]
    Describe {
        /// Where the service is: service://NAME, shm://NAME, tcp://HOST:PORT or unix:///PATH
        address: String,
        /// All of it, with the JSON schemas of all types
        #[arg(long)]
        json: bool,
        /// Give up after this time, such as 500ms or 2s
        #[arg(long, value_name = "TIME", value_parser = time)]
        timeout: Option<Duration>,
    },
    /// Call `health` of a service again and again, and say how long that takes
    #[command(after_help = CALL_EXITS)]
    Ping(Ping),
    /// Say by what workers would wait for sockets here, io_uring or epoll, and why
    Driver,
    /// See, and steer, a running engine
    Ctl(Ctl),
    /// Print completions for a shell, such as `source <(speedysvc-engine completions bash)`
    Completions {
        /// Whose
        shell: Shell,
    },
    /// Print the manual page of this program, or write those of all verbs into a folder
    Man {
        /// A folder, such as /usr/local/share/man/man1
        #[arg(value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
    },
    /// Become a worker's program, as the engine's file wants it: what the supervisor starts
    #[command(hide = true)]
    Launch(Launch),
    /// Serve a built-in service: what the supervisor starts for `builtin = ...`
    #[command(hide = true)]
    Builtin { service: Builtin },
}

#[derive(Args, Debug)]
pub(crate) struct Launch {
    /// What is to be set, as JSON
    pub(crate) terms: String,
    /// What the program is told that it is called
    #[arg(long)]
    pub(crate) arg0: Option<String>,
    /// The program
    pub(crate) program: PathBuf,
    /// Its arguments
    pub(crate) args: Vec<OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct Call {
    /// Where the service is: service://NAME, shm://NAME, tcp://HOST:PORT or unix:///PATH
    pub(crate) address: String,
    /// The method's name; `describe` tells which there are
    pub(crate) method: String,
    /// The argument, or several as an object or array; `-` reads standard input
    #[arg(default_value = "null", hide_default_value = true)]
    pub(crate) json_argument: String,
    /// Give up after this time, such as 500ms or 2s
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
    /// Make the call so many times, one after the other, until one fails; prints the last result, and on standard error
    /// how long they took
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) repeat: u64,
    /// Make the call a part of this trace, as W3C Trace Context writes it; the service's log names it
    #[arg(long, value_name = "00-TRACE-SPAN-FLAGS")]
    pub(crate) traceparent: Option<TraceContext>,
    /// One JSON object for each call, also for one that fails: how it ended, the result or the error, and how long it
    /// took
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Ping {
    /// Where the service is: service://NAME, shm://NAME, tcp://HOST:PORT or unix:///PATH
    pub(crate) address: String,
    /// Call without a pause, and show percentiles of all calls, live
    #[arg(long)]
    pub(crate) latency: bool,
    /// End after so many calls; without it, at Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Between two calls, or with --latency between two lines
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "1s")]
    pub(crate) every: Duration,
    /// Give up a call after this time, such as 500ms or 2s
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
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
