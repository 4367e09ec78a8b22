//! The folder of results.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use speedysvc_hdr::{Interval, hgrm, hlog};

use super::hgrm::{self, Curve};
use super::{Report, html, markdown};
use crate::date;
use crate::measure::clock::round;
use crate::stats::analysis::Done;
use crate::stats::latency;
use crate::stats::plan::Part;

/// One round that counts.
struct Round {
    /// When it began, in seconds since 1970.
    begun: f64,
    /// How long was measured, in seconds.
    seconds: f64,
    /// Latencies in nanoseconds.
    histogram: Histogram<u64>,
}

/// Latency curves by scenario and contender.
pub(crate) type Curves = BTreeMap<(String, String), Curve>;

/// Writes everything into a folder, which is made.
///
/// # Errors
/// What the file system says.
pub(crate) fn write(folder: &Path, report: &Report, done: &[Done]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    put(folder, "results.json", &(serde_json::to_string_pretty(report)? + "\n"))?;
    put(folder, "machine.txt", &machine(report))?;
    let mut curves = Curves::new();
    for ((scenario, contender), rounds) in counted(report, done) {
        let text = hgrm(&pooled(&rounds));
        let name = |ending| file_name(&scenario, &contender, ending).context("a name has a `/`");
        put(folder, &name("hgrm")?, &text)?;
        put(folder, &name("hlog")?, &log(&rounds)?)?;
        curves.insert((scenario, contender), hgrm::curve(&text));
    }
    pages(folder, report, &curves)
}

/// Writes what is made of the results for people: results.md and report.html.
///
/// # Errors
/// What the file system says.
pub(crate) fn pages(folder: &Path, report: &Report, curves: &Curves) -> Result<()> {
    put(folder, "results.md", &markdown::text(report))?;
    put(folder, "report.html", &html::page(report, curves))
}

fn put(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// `None` when it would not be a file of the folder.
pub(super) fn file_name(scenario: &str, contender: &str, ending: &str) -> Option<String> {
    Some(format!("{scenario}.{contender}.{ending}")).filter(|name| !name.contains('/'))
}

fn machine(report: &Report) -> String {
    let mut text = format!("command: {}\nbegun: {}\nended: {}\n", report.command, report.begun, report.ended);
    text.push_str(&format!("harness: {}\n", report.harness));
    report.warnings.iter().for_each(|warning| text.push_str(&format!("WARNING: {warning}\n")));
    text + &report.machine.text()
}

/// The rounds that count, for each scenario and contender.
fn counted(report: &Report, done: &[Done]) -> BTreeMap<(String, String), Vec<Round>> {
    let written = report.compared.iter().flat_map(|compared| &compared.rows);
    let counted = written.filter(|written| {
        written.row.part == Part::Main && written.figures.is_some_and(|figures| figures.void.is_none())
    });
    let mut all: BTreeMap<_, Vec<Round>> = BTreeMap::new();
    for written in counted {
        let outcome = done.iter().find(|done| done.row == written.row).and_then(|done| done.outcome.as_ref().ok());
        // A scenario without calls has no latencies.
        let Some(outcome) = outcome.filter(|outcome| !outcome.latencies.is_empty()) else { continue };
        let histogram = latency::from_pairs(&outcome.latencies);
        let key = (written.row.scenario.clone(), written.row.contender.clone());
        all.entry(key).or_default().push(Round { begun: written.begun, seconds: outcome.seconds, histogram });
    }
    all
}

/// The rounds one by one. They begin when their rows did, which is some 100 ms before the first call that is measured.
fn log(rounds: &[Round]) -> Result<String> {
    let rounds = rounds.iter();
    let intervals: Vec<Interval<'_>> = rounds
        .map(|Round { begun, seconds, histogram }| Interval { begun: *begun, seconds: *seconds, histogram })
        .collect();
    let when = date::utc(round(intervals.first().map_or(0.0, |first| first.begun.floor())));
    Ok(hlog(&intervals, &when)?)
}

fn pooled(rounds: &[Round]) -> Histogram<u64> {
    let mut all = latency::empty();
    for round in rounds {
        all.add(&round.histogram).expect("all have the same bounds");
    }
    all
}
