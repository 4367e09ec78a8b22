//! Completions and manual pages, made from the command line itself.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::{exit, out};

const NAME: &str = "speedysvc-engine";

pub(crate) fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut script);
    out::all(&[&script]).err().unwrap_or(ExitCode::SUCCESS)
}

/// The program's page, or those of all verbs as files in a folder.
pub(crate) fn man(folder: Option<&Path>) -> ExitCode {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(Arguments::command()).render(&mut page);
        rendered.expect("memory takes everything");
        return out::all(&[&page]).err().unwrap_or(ExitCode::SUCCESS);
    };
    match write_all(folder) {
        Ok(count) => {
            println!("{}: {count} pages written", folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => exit::say(&format_args!("{}: {error}", folder.display()), exit::FAILED),
    }
}

fn write_all(folder: &Path) -> io::Result<usize> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Arguments::command(), folder)?;
    let pages = fs::read_dir(folder)?.flatten();
    Ok(pages.filter(|page| page.file_name().to_string_lossy().starts_with(NAME)).count())
}
