//! Reading the file, and saying what is wrong with it.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use speedysvc_config::{Config, Report, Surroundings};

use crate::exit;

const DEFAULT: &str = "service.toml";

/// Reads the file; what is wrong with it has been said when this fails.
pub(crate) fn load(path: Option<&Path>) -> Result<Config, ExitCode> {
    let path = match path {
        Some(path) => path,
        None if Path::new(DEFAULT).exists() => Path::new(DEFAULT),
        None => {
            let what = "no --config FILE was given, and there is no ./service.toml; \
                        begin with a copy of config/service.toml, or see --help";
            return Err(exit::say(&what, exit::CONFIG));
        }
    };
    read(path).map_err(|report| {
        if std::io::stderr().is_terminal() {
            eprintln!("{}", report.styled());
        } else {
            eprintln!("{report}");
        }
        ExitCode::from(exit::CONFIG)
    })
}

/// Reads the file, and says nothing.
pub(crate) fn read(path: &Path) -> Result<Config, Report> {
    let surroundings = Surroundings::from_process(rustix::process::geteuid().is_root());
    speedysvc_config::load(path, &surroundings)
}

/// `check`: starts nothing.
pub(crate) fn check(path: Option<&Path>) -> ExitCode {
    match load(path) {
        Err(code) => code,
        Ok(config) => {
            let names: Vec<String> = config.services.iter().map(|service| service.name.to_string()).collect();
            println!("{}: well; services: {}", config.source.display(), names.join(", "));
            ExitCode::SUCCESS
        }
    }
}
