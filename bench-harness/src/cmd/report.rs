//! `report`: the pages of a folder again. Also what `compare` does with a baseline, and how both end.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

use crate::arguments::{BaselineArguments, ReportArguments};
use crate::report::{self, Report, baseline};

/// A contender is worse than it may be.
const REGRESSED: u8 = 4;

pub(crate) fn run(what: &ReportArguments) -> Result<ExitCode> {
    let mut report = report::read(&results(&what.folder))?;
    // A file is taken for its folder.
    let folder =
        if what.folder.is_dir() { what.folder.as_path() } else { what.folder.parent().unwrap_or(Path::new("")) };
    let before = Before::read(&what.baseline)?;
    if let Some(before) = &before {
        before.judge(&mut report);
    }
    report::pages(folder, &report, &report::curves(folder, &report))?;
    let mut out = io::stdout().lock();
    write!(out, "{}", report::text(&report))?;
    writeln!(out, "\nwritten to {}", folder.join("report.html").display())?;
    Ok(before.and_then(|before| before.code(&report)).unwrap_or(ExitCode::SUCCESS))
}

fn results(named: &Path) -> PathBuf {
    if named.is_dir() { named.join("results.json") } else { named.into() }
}

/// The earlier campaign.
pub(crate) struct Before {
    file: String,
    report: Report,
    allowed: Option<f64>,
}

impl Before {
    /// Reads it, when one was named: before anything is run, so that a wrong name costs no time.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(what: &BaselineArguments) -> Result<Option<Self>> {
        let Some(named) = &what.baseline else { return Ok(None) };
        let path = results(named);
        let (file, report) = (path.display().to_string(), report::read(&path)?);
        Ok(Some(Self { file, report, allowed: what.fail_on_regression }))
    }

    /// Writes into a report what has changed since.
    pub(crate) fn judge(&self, report: &mut Report) {
        let allowed = self.allowed.unwrap_or(baseline::ALLOWED);
        report.baseline = Some(baseline::against(report, &self.report, &self.file, allowed));
    }

    /// How to end, when somebody is worse and that was to be told.
    pub(crate) fn code(&self, report: &Report) -> Option<ExitCode> {
        let has_regressed = report.baseline.as_ref().is_some_and(baseline::Against::has_regressed);
        (self.allowed.is_some() && has_regressed).then(|| ExitCode::from(REGRESSED))
    }
}
