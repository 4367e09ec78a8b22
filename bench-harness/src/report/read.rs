//! A folder of results, read again.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::hgrm::{self, Curve};
use super::write::{Curves, file_name};
use super::{FORMAT, Report};

/// Reads a `results.json`.
///
/// # Errors
/// When it is not there, not one of ours, or of another format; each says what to do.
pub(crate) fn read(path: &Path) -> Result<Report> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| {
        format!("cannot read {shown}; name what `bench-harness compare` has written: its folder, or results.json in it")
    })?;
    parse(&text).with_context(|| format!("{shown} cannot be used"))
}

fn parse(text: &str) -> Result<Report> {
    let value: Value = serde_json::from_str(text).context("it is not JSON; was it cut off?")?;
    match value.get("format").and_then(Value::as_u64) {
        Some(FORMAT) => {}
        Some(other) => bail!(
            "it is of format {other}, and this program reads format {FORMAT}: use {}, or run `compare` again",
            value.get("harness").and_then(Value::as_str).unwrap_or("the program that wrote it")
        ),
        None => bail!("it does not say its format: it is older than format 1, or not of ours; run `compare` again"),
    }
    serde_json::from_value(value).context("it is not as this program writes it; run `compare` again")
}

/// The latency curves from the `.hgrm` files of a folder. One that is not there is not drawn.
pub(crate) fn curves(folder: &Path, report: &Report) -> Curves {
    let lines = report
        .compared
        .iter()
        .flat_map(|compared| compared.lines.iter().map(|line| (compared.scenario.clone(), line.contender.clone())));
    let found = lines.filter_map(|(scenario, contender)| {
        let text = fs::read_to_string(folder.join(file_name(&scenario, &contender, "hgrm")?)).ok()?;
        let curve = Some(hgrm::curve(&text)).filter(|curve: &Curve| !curve.points.is_empty())?;
        Some(((scenario, contender), curve))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_formats_are_told_apart() {
        let said = |text| format!("{:#}", parse(text).unwrap_err());
        assert!(said("{\"format\": 1").contains("cut off"));
        assert!(said("{}").contains("does not say its format"));
        assert!(said("{\"format\": 7, \"harness\": \"bench-harness 9\"}").contains("format 7, and this program reads"));
        assert!(said("{\"format\": 7, \"harness\": \"bench-harness 9\"}").contains("use bench-harness 9"));
        assert!(said("{\"format\": 1}").contains("missing field"));
    }
}
