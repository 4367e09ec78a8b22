//! The tables: every contender that took part, winners and losers alike.

use super::Report;
use super::numbers::{count, digits, part, range, time, unit};
use super::table::Table;
use crate::experiment::Experiment;
use crate::stats::analysis::{Compared, Figures, Line};
use crate::stats::bootstrap::Interval;
use crate::stats::ratio::{Ratio, Verdict};

/// The column behind p50.
pub(super) const INTERVAL: &str = "95 % of p50";

const HEAD: [&str; 13] = [
    "contender",
    "p50",
    INTERVAL,
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

/// A table for each scenario.
pub(super) fn tables(report: &Report) -> Vec<Table> {
    report.compared.iter().filter_map(|compared| Some(table(report.scenario(&compared.scenario)?, compared))).collect()
}

/// The table of a scenario: the usual figures, then its own.
pub(super) fn table(experiment: &Experiment, compared: &Compared) -> Table {
    let extras = extras(compared);
    let (rounds, usual) = HEAD.split_last().expect("it has columns");
    let head: Vec<&str> = usual.iter().copied().chain(extras.iter().copied()).chain([*rounds]).collect();
    let mut table = Table::new(&heading(experiment, compared), &head);
    for line in &compared.lines {
        table.row(cells(experiment, line, &extras));
    }
    table.without_absent()
}

/// The names of the figures that only this scenario has.
fn extras(compared: &Compared) -> Vec<&str> {
    let mut names = vec![];
    for extra in compared.lines.iter().flat_map(|line| &line.extras) {
        if !names.contains(&extra.name.as_str()) {
            names.push(extra.name.as_str());
        }
    }
    names
}

fn heading(experiment: &Experiment, compared: &Compared) -> String {
    let resolution = |name: &str| {
        let found = compared.resolutions.iter().find(|resolution| resolution.of == name);
        match found.and_then(|resolution| resolution.ratio.interval) {
            Some(interval) => format!("{name}, itself {}", range(&interval, digits)),
            None => format!("{name}, resolution unknown"),
        }
    };
    let Experiment { name, floor, plain, .. } = experiment;
    let mut heading = format!("{name}: {}", load(experiment));
    for (column, to) in [("x floor", floor), ("x plain", plain)].into_iter().filter(|(_, to)| !to.is_empty()) {
        heading.push_str(&format!("; {column}: {}", resolution(to)));
    }
    heading
}

/// What was sent, in a few words.
pub(super) fn load(experiment: &Experiment) -> String {
    let Experiment { size, depth, connections, load, .. } = experiment;
    if let Some(said) = load.said() {
        return format!("{said}; {connections} connections");
    }
    match connections {
        1 => format!("{size} bytes, {depth} in flight"),
        _ => format!("{size} bytes, {depth} in flight on each of {connections} connections"),
    }
}

fn cells(experiment: &Experiment, line: &Line, extras: &[&str]) -> Vec<String> {
    let mut cells = vec![line.contender.clone()];
    match &line.medians {
        Some(row) => cells.extend(figures(row, line.p50.as_ref())),
        None => cells.extend(std::iter::repeat_n("-".to_owned(), 9)),
    }
    cells.push(ratio(line, &experiment.floor));
    cells.push(ratio(line, &experiment.plain));
    cells.extend(extras.iter().map(|name| extra(line, name)));
    cells.push(rounds(line));
    cells
}

fn extra(line: &Line, name: &str) -> String {
    let Some(found) = line.extras.iter().find(|extra| extra.name == name) else { return "-".into() };
    let show = |value| unit(value, found.unit);
    let interval = found.interval.as_ref().map_or(String::new(), |interval| format!(" ({})", range(interval, show)));
    show(found.value) + &interval
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
pub(super) fn ratio(line: &Line, to: &str) -> String {
    if line.contender == to {
        return "1".into();
    }
    let found = line.ratios.iter().find(|(ratio, _)| ratio.to == to);
    found.map_or("-".into(), |(ratio, verdict)| judged(ratio, Some(*verdict)))
}

/// As above; without a mark where there is nothing to judge.
pub(super) fn judged(Ratio { median, interval, .. }: &Ratio, verdict: Option<Verdict>) -> String {
    let Some(median) = median else { return "-".into() };
    let mark = match verdict {
        None | Some(Verdict::Less | Verdict::More) => "",
        Some(Verdict::NotResolved) => "~",
        Some(Verdict::TooFewRounds) => "?",
    };
    let interval = interval.as_ref().map_or(String::new(), |interval| format!(" ({})", range(interval, digits)));
    format!("{mark}{}{interval}", digits(*median))
}

fn rounds(line: &Line) -> String {
    if let (0, Some(why)) = (line.rounds, &line.skipped) {
        return why.clone();
    }
    let mut text = line.rounds.to_string();
    for (number, what) in [(line.void, "void"), (line.failed, "failed")] {
        if number > 0 {
            text.push_str(&format!(", {number} {what}"));
        }
    }
    text
}
