//! Reading the file, and saying what is wrong with it.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use speedysvc_config::{Config, Report, Surroundings};

use crate::{exit, out};

const DEFAULT: &str = "service.toml";

/// Reads the file; what is wrong with it has been said when this fails.
pub(crate) fn load(path: Option<&Path>) -> Result<Config, ExitCode> {
    read(find(path)?).map_err(|report| say(&report))
}

/// The file that was named, or the one in this folder.
fn find(path: Option<&Path>) -> Result<&Path, ExitCode> {
    match path {
        Some(path) => Ok(path),
        None if Path::new(DEFAULT).exists() => Ok(Path::new(DEFAULT)),
        None => {
            let what = "no --config FILE was given, and there is no ./service.toml; \
                        `speedysvc-engine init` writes one to begin with, or see --help";
            Err(exit::say(&what, exit::CONFIG))
        }
    }
}

fn say(report: &Report) -> ExitCode {
    if std::io::stderr().is_terminal() {
        eprintln!("{}", report.styled());
    } else {
        eprintln!("{report}");
    }
    ExitCode::from(exit::CONFIG)
}

/// Reads the file, and says nothing.
pub(crate) fn read(path: &Path) -> Result<Config, Report> {
    speedysvc_config::load(path, &surroundings())
}

fn surroundings() -> Surroundings {
    Surroundings::from_process(rustix::process::geteuid().is_root())
}

/// `check`: starts nothing.
pub(crate) fn check(path: Option<&Path>, print: bool) -> ExitCode {
    if print {
        let printed = find(path)
            .and_then(|path| speedysvc_config::print(path, &surroundings()).map_err(|report| say(&report)))
            .and_then(|text| out::all(&[text.as_bytes()]));
        return printed.err().unwrap_or(ExitCode::SUCCESS);
    }
    match load(path) {
        Err(code) => code,
        Ok(config) => {
            let names: Vec<String> = config.services.iter().map(|service| service.name.to_string()).collect();
            println!("{}: well; services: {}", config.source.display(), names.join(", "));
            ExitCode::SUCCESS
        }
    }
}
