//! results.md: the table with everything that is needed to doubt it.

use super::numbers::{digits, time};
use super::{Report, ratios, summary, wins};
use crate::stats::absent::known;
use crate::stats::analysis::{Compared, Line};
use crate::stats::ratio::{Apart, Ratio};
use crate::stats::voiding::Limits;

const LEGEND: &str = "
Latencies are medians over rounds of each row's percentile. Ratios are of p50, taken inside a round between rows at the
same distance; then their median with a 95 % bootstrap interval over rounds. `~`: the reference differs as much from
itself, so that no difference is claimed; `?`: too few rounds. CPU is per call. \"stalled\" is the part of all time in
calls of over 20 times the median: a closed loop sends nothing meanwhile, so that percentiles hide it. Void rounds had
more steal or involuntary switches than 95 % of the A/A run's rows; in open loops, more steal than that and than can
show, other programs beside them, or a generator that did not keep up.
";

/// The file's text.
pub(super) fn text(report: &Report) -> String {
    let mut text = format!("# speedysvc and others, {}\n\n    {}\n\n", report.begun, report.command);
    for warning in &report.warnings {
        text.push_str(&format!("**{warning}**\n\n"));
    }
    text.push_str(&format!(
        "{} of {} rows were run: {} rounds; {} ms of warm-up and {} ms measured in each row; server on processor {}, \
         client on processor {}. {}\n",
        report.rows_run,
        report.rows_wanted,
        report.rounds,
        report.warm_up_ms,
        report.span_ms,
        report.cpus.server,
        report.cpus.client,
        distances(report),
    ));
    text.extend(summary::tables(report).iter().map(|table| table.markdown()));
    text.push_str(LEGEND);
    text.push_str(&baseline(report));
    text.push_str(&format!("\n## Where others win\n\n{}\n", wins::LEGEND));
    for compared in &report.compared {
        text.push_str(&others(report, compared));
    }
    for compared in &report.compared {
        text.push_str(&details(report, compared));
    }
    text.push_str(&people(report));
    text
}

fn others(report: &Report, compared: &Compared) -> String {
    let said = wins::said(report, compared);
    if said.is_empty() {
        return format!("\n{}: ours took no part.\n", compared.scenario);
    }
    let said = said.iter().map(|said| format!("* {}: {}\n", said.figure, said.text));
    format!("\n{}:\n\n{}", compared.scenario, said.collect::<String>())
}

fn baseline(report: &Report) -> String {
    let Some(against) = &report.baseline else { return String::new() };
    let skipped =
        against.not_compared.iter().map(|skipped| format!("* not compared: {}: {}\n", skipped.what, skipped.why));
    let doubts = against.doubts.iter().map(|doubt| format!("* {doubt}\n"));
    format!("{}\n{}\n\n{}", against.table().markdown(), against.words(), skipped.chain(doubts).collect::<String>())
}

/// Which distances of the processors there were, as a sentence.
pub(super) fn distances(report: &Report) -> String {
    let kinds: Vec<String> =
        report.distances.iter().map(|(low, high)| format!("{} to {}", time(*low), time(*high))).collect();
    match kinds.len() {
        0 => "The distance between them could not be probed.".into(),
        1 => format!("A flag's round trip between them took {}, always.", kinds[0]),
        _ => format!("A flag's round trip between them took, by turns, {}.", kinds.join("; ")),
    }
}

fn details(report: &Report, compared: &Compared) -> String {
    let mut text = format!("\n## {}\n\n", compared.scenario);
    if let Some(scenario) = report.scenarios.iter().find(|scenario| scenario.name == compared.scenario) {
        text.push_str(&format!("{} {}\n\n", scenario.what, scenario.why));
        text.push_str(&format!("Expected: {}\n\n", scenario.expected));
        text.push_str(&format!("It cannot show: {}\n\n", scenario.cannot_show));
    }
    if let Some(limits) = compared.limits {
        text.push_str(&format!("{}\n\n", self::limits(&limits)));
    }
    if let Some(said) = sharing(compared) {
        text.push_str(&format!("{said}\n\n"));
    }
    for line in &compared.lines {
        text.push_str(&format!("* {}: {}\n", line.contender, remarks(report, compared, line).join("; ")));
    }
    let experiment = report.scenario(&compared.scenario);
    if let Some(table) = experiment.and_then(|experiment| ratios::table(report, experiment, compared)) {
        text.push_str(&format!("{}\n{}\n", table.markdown(), ratios::LEGEND));
    }
    text
}

/// Who else used the processors' cores, as sentences.
pub(super) fn sharing(compared: &Compared) -> Option<String> {
    let sharing = compared.sharing?;
    let (least, most) = (digits(sharing.least), digits(sharing.most));
    let parts = format!("Six additions that wait for nothing took {least} to {most} of the time of six in turn");
    if !sharing.is_shared() {
        return Some(format!("{parts}: nobody else was seen on the cores of the two processors."));
    }
    let figures = compared.rows.iter().filter_map(|row| row.figures.as_ref());
    let (rows, alone) = (figures.clone().count(), figures.filter(|figures| figures.is_alone).count());
    let own = digits(sharing.own());
    Some(format!(
        "{parts}: others used the same cores. Up to {own} it is called alone, as {alone} of {rows} rows were."
    ))
}

/// A ratio at each distance of the processors, alone on their cores and beside others; where there is more than one.
fn apart(report: &Report, compared: &Compared, ratio: &Ratio) -> Option<String> {
    let is_shared = compared.sharing.is_some_and(|sharing| sharing.is_shared());
    let one = |apart: &Apart| {
        let range = apart.distance.and_then(|kind| report.distances.get(kind));
        let range = range.map_or(String::new(), |(low, _)| format!(" at distances from {}", time(*low)));
        let interval =
            apart.interval.map_or(String::new(), |all| format!(" ({}..{})", digits(all.low), digits(all.high)));
        let cores = match (is_shared, apart.is_alone) {
            (false, _) => "",
            (true, true) => " alone",
            (true, false) => " beside others",
        };
        format!("{}{interval}{range}{cores} ({})", digits(apart.median), some_rounds(apart.pairs))
    };
    let all: Vec<String> = ratio.apart.iter().map(one).collect();
    (all.len() > 1).then(|| format!("x {}: {}", ratio.to, all.join(", ")))
}

/// What makes a row void, as a sentence.
pub(super) fn limits(limits: &Limits) -> String {
    let steal = digits(limits.steal);
    if let Some(others) = known(limits.others) {
        let others = digits(others);
        return format!("Limits: {steal} ticks of steal and {others} ms of other programs per second.");
    }
    let switches = digits(limits.switches);
    format!("Limits from the A/A run: {steal} ticks of steal and {switches} involuntary switches per second.")
}

/// What the table has no room for.
pub(super) fn remarks(report: &Report, compared: &Compared, line: &Line) -> Vec<String> {
    let mut notes = vec![];
    if let Some(row) = &line.medians {
        notes.extend(known(row.waits).map(|waits| format!("{} waits per call", digits(waits))));
    }
    if report.distances.len() > 1 {
        let kinds = line.by_distance.iter().map(|(kind, p50, rounds)| {
            let range = report.distances.get(*kind).map_or(String::new(), |(low, _)| time(*low));
            format!("p50 {} at distances from {range} ({})", time(*p50), some_rounds(*rounds))
        });
        notes.extend(kinds);
    }
    for (ratio, _) in line.ratios.iter().filter(|(ratio, _)| ratio.unlike > 0) {
        notes.push(format!("{} not compared to {}: not at the same distance", some_rounds(ratio.unlike), ratio.to));
    }
    let same = compared.resolutions.iter().filter(|same| same.of == line.contender).map(|same| &same.ratio);
    let ratios = same.chain(line.ratios.iter().map(|(ratio, _)| ratio));
    notes.extend(ratios.filter_map(|ratio| apart(report, compared, ratio)));
    if let Some(why) = &line.failure {
        notes.push(format!("{} failed, the first: {why}", some_rounds(line.failed)));
    }
    notes
}

fn some_rounds(count: usize) -> String {
    if count == 1 { "1 round".into() } else { format!("{count} rounds") }
}

fn people(report: &Report) -> String {
    let mut text = "\n## Who took part\n\n".to_owned();
    for present in &report.present {
        text.push_str(&format!("* {} ({}): {}\n", present.contender, present.version, present.what));
    }
    for absent in &report.absent {
        text.push_str(&format!("* {} did not: {}\n", absent.contender, absent.why));
    }
    text
}
