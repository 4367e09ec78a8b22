//! The folder of results.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::{Report, hgrm, markdown};
use crate::stats::analysis::Done;
use crate::stats::latency;
use crate::stats::plan::Part;

/// Writes everything into a folder, which is made.
///
/// # Errors
/// What the file system says.
pub(crate) fn write(folder: &Path, report: &Report, done: &[Done]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    put("results.json", serde_json::to_string_pretty(report)? + "\n")?;
    put("results.md", markdown::text(report))?;
    put("machine.txt", machine(report))?;
    for (name, histogram) in pooled(report, done) {
        put(&format!("{name}.hgrm"), hgrm::text(&histogram))?;
    }
    Ok(())
}

fn machine(report: &Report) -> String {
    let mut text = format!("command: {}\nbegun: {}\nended: {}\n", report.command, report.begun, report.ended);
    text.push_str(&format!("harness: {}\n", report.harness));
    report.warnings.iter().for_each(|warning| text.push_str(&format!("WARNING: {warning}\n")));
    text + &report.machine.text()
}

/// The latencies of all rounds that count, for each scenario and contender.
fn pooled(report: &Report, done: &[Done]) -> BTreeMap<String, Histogram<u64>> {
    let written = report.compared.iter().flat_map(|compared| &compared.rows);
    let counted = written.filter(|written| {
        written.row.part == Part::Main && written.figures.is_some_and(|figures| figures.void.is_none())
    });
    let mut all = BTreeMap::new();
    for written in counted {
        let outcome = done.iter().find(|done| done.row == written.row).and_then(|done| done.outcome.as_ref().ok());
        let name = format!("{}.{}", written.row.scenario, written.row.contender);
        let histogram: &mut Histogram<u64> = all.entry(name).or_insert_with(latency::empty);
        for (value, count) in outcome.into_iter().flat_map(|outcome| &outcome.latencies) {
            histogram.saturating_record_n(*value, *count);
        }
    }
    all
}
