//! `list`: who is compared, in what.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;

use crate::{contender, experiment};

pub(crate) fn run() -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    writeln!(out, "Contenders")?;
    for contender in contender::ALL {
        let state = contender.missing().unwrap_or_else(|| contender.version());
        let (name, group, what) = (contender.name(), contender.group(), contender.what());
        writeln!(out, "  {name:<16} {group:<6} {state:<23} {what}")?;
    }
    writeln!(out, "\nNot yet")?;
    for (name, what) in contender::NOT_YET {
        writeln!(out, "  {name:<23} {what}")?;
    }
    writeln!(out, "\nScenarios")?;
    for scenario in experiment::all()? {
        let quick = if scenario.quick { " (--quick)" } else { "" };
        writeln!(out, "  {:<23} {}{quick}", scenario.name, scenario.what)?;
        if !scenario.not_yet.is_empty() {
            writeln!(out, "  {:<23} not yet: {}", "", scenario.not_yet.join(", "))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
