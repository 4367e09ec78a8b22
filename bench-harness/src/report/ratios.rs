//! Ratios of every figure that rows have, where the main table has those of p50: of the rounds that count, of all
//! rounds where some are void, and of the references to themselves.

use super::Report;
use super::summary;
use super::table::Table;
use crate::experiment::Experiment;
use crate::stats::analysis::{Compared, Figures, Line, Rows, points};
use crate::stats::plan::Part;
use crate::stats::ratio::Ratio;

/// How to read the table.
pub(super) const LEGEND: &str = "Ratios of the other figures, made as those of p50 are. CPU is that of both sides. \
    \"itself\" is the A/A run: a reference's second rows to its first. \"all\" has void rounds in it, too. Rounds \
    are those in which both were at the same distance; to the floor first.";

#[derive(Clone, Copy)]
struct Figure {
    name: &'static str,
    read: fn(&Figures) -> f64,
}

const FIGURES: [Figure; 4] = [
    Figure { name: "p50", read: |row| row.latency.p50 },
    Figure { name: "p99", read: |row| row.latency.p99 },
    Figure { name: "calls/s", read: |row| row.rate },
    Figure { name: "CPU", read: |row| row.client_cpu + row.server_cpu },
];

/// Which rounds a line of the table is of.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Counted,
    All,
    Itself,
}

/// The table of a scenario; none where there is nothing to compare with.
pub(super) fn table(report: &Report, experiment: &Experiment, compared: &Compared) -> Option<Table> {
    let references = references(experiment);
    let columns = references.iter().flat_map(|(column, _)| FIGURES.map(|figure| format!("{} {column}", figure.name)));
    let head: Vec<String> = ["contender".to_owned()].into_iter().chain(columns).chain(["rounds".to_owned()]).collect();
    let mut table = Table::new(&format!("{}: ratios", experiment.name), &head);
    for line in &compared.lines {
        let is_reference = references.iter().any(|(_, to)| *to == line.contender);
        for of in [Some(Of::Counted), (line.void > 0).then_some(Of::All), is_reference.then_some(Of::Itself)] {
            table.rows.extend(of.and_then(|of| row(report, compared, &references, line, of)));
        }
    }
    (!table.rows.is_empty()).then(|| table.without_absent())
}

/// The columns that there are, and whom they are to.
fn references(experiment: &Experiment) -> Vec<(&'static str, &str)> {
    let all = [("x floor", experiment.floor.as_str()), ("x plain", experiment.plain.as_str())];
    all.into_iter().filter(|(_, to)| !to.is_empty()).collect()
}

/// None without a single ratio.
fn row(report: &Report, compared: &Compared, to: &[(&str, &str)], line: &Line, of: Of) -> Option<Vec<String>> {
    let (mut cells, mut rounds) = (vec![line.contender.clone()], vec![]);
    for (_, to) in to {
        if (line.contender == *to) != (of == Of::Itself) {
            cells.extend(FIGURES.map(|_| "-".to_owned()));
            continue;
        }
        let ratio = |name, of, figure| ratio(report, compared, figure, (name, to), of);
        let mine = FIGURES.map(|figure| ratio(&line.contender, of, figure));
        rounds.extend(mine.iter().map(|ratio| ratio.pairs).max());
        cells.extend(mine.iter().zip(FIGURES).map(|(mine, figure)| {
            let verdict = (of != Of::Itself).then(|| mine.verdict(ratio(to, Of::Itself, figure).interval.as_ref()));
            summary::judged(mine, verdict)
        }));
    }
    let rounds: Vec<String> = rounds.into_iter().filter(|pairs| *pairs > 0).map(|pairs| pairs.to_string()).collect();
    let which = match of {
        Of::Counted => "",
        Of::All => ", all",
        Of::Itself => ", itself",
    };
    cells.push(rounds.join("; ") + which);
    (!rounds.is_empty()).then_some(cells)
}

fn ratio(report: &Report, compared: &Compared, figure: Figure, (name, to): (&str, &str), of: Of) -> Ratio {
    let parts = if of == Of::Itself { [Part::Again, Part::Same] } else { [Part::Main; 2] };
    let points =
        |contender, part| points(&compared.rows, Rows { contender, part, are_void_too: of == Of::All }, &figure.read);
    Ratio::new(to, &points(name, parts[0]), &points(to, parts[1]), !report.distances.is_empty())
}
