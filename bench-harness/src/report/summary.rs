//! The table: every contender that took part, winners and losers alike.

use super::Report;
use super::numbers::{count, digits, part, time};
use super::table::Table;
use crate::experiment::Experiment;
use crate::stats::analysis::{Compared, Figures, Line};
use crate::stats::bootstrap::Interval;
use crate::stats::ratio::{Ratio, Verdict};

const HEAD: [&str; 13] = [
    "contender",
    "p50",
    "95 % of p50",
    "p99",
    "p99.9",
    "max",
    "stalled",
    "calls/s",
    "CPU client",
    "CPU server",
    "x floor",
    "x plain",
    "rounds",
];

/// The table of a campaign.
pub(crate) fn table(report: &Report) -> Table {
    let mut table = Table::new(&HEAD);
    for (experiment, compared) in report.scenarios.iter().zip(&report.compared) {
        table.heading(heading(experiment, compared));
        for line in &compared.lines {
            table.row(cells(experiment, line));
        }
    }
    table
}

fn heading(experiment: &Experiment, compared: &Compared) -> String {
    let resolution = |name: &str| {
        let found = compared.resolutions.iter().find(|resolution| resolution.of == name);
        match found.and_then(|resolution| resolution.ratio.interval) {
            Some(interval) => format!("{name}, itself {}", range(&interval, digits)),
            None => format!("{name}, resolution unknown"),
        }
    };
    let Experiment { name, size, depth, floor, plain, .. } = experiment;
    let (floor, plain) = (resolution(floor), resolution(plain));
    format!("{name}: {size} bytes, {depth} in flight; x floor: {floor}; x plain: {plain}")
}

fn range(interval: &Interval, show: fn(f64) -> String) -> String {
    format!("{}..{}", show(interval.low), show(interval.high))
}

fn cells(experiment: &Experiment, line: &Line) -> Vec<String> {
    let mut cells = vec![line.contender.clone()];
    match &line.medians {
        Some(row) => cells.extend(figures(row, line.p50.as_ref())),
        None => cells.extend(std::iter::repeat_n("-".to_owned(), 9)),
    }
    cells.push(ratio(line, &experiment.floor));
    cells.push(ratio(line, &experiment.plain));
    cells.push(rounds(line));
    cells
}

fn figures(row: &Figures, p50: Option<&Interval>) -> [String; 9] {
    [
        time(row.latency.p50),
        p50.map_or("-".into(), |interval| range(interval, time)),
        time(row.latency.p99),
        time(row.latency.p999),
        time(row.latency.max),
        part(row.latency.stalled),
        count(row.rate),
        time(row.client_cpu),
        time(row.server_cpu),
    ]
}

/// `3.02 (2.9..3.1)`; with `~` when the reference differs as much from itself, with `?` for too few rounds.
fn ratio(line: &Line, to: &str) -> String {
    if line.contender == to {
        return "1".into();
    }
    let found = line.ratios.iter().find(|(ratio, _)| ratio.to == to);
    let Some((Ratio { median: Some(median), interval, .. }, verdict)) = found else { return "-".into() };
    let mark = match verdict {
        Verdict::Less | Verdict::More => "",
        Verdict::NotResolved => "~",
        Verdict::TooFewRounds => "?",
    };
    let interval = interval.as_ref().map_or(String::new(), |interval| format!(" ({})", range(interval, digits)));
    format!("{mark}{}{interval}", digits(*median))
}

fn rounds(line: &Line) -> String {
    let mut text = line.rounds.to_string();
    for (number, what) in [(line.void, "void"), (line.failed, "failed")] {
        if number > 0 {
            text.push_str(&format!(", {number} {what}"));
        }
    }
    text
}
