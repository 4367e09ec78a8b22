//! Tables of the page.

use super::scenario::Context;
use super::words::{escape, number, prose};
use crate::contender::Group;
use crate::experiment::Experiment;
use crate::report::baseline::Against;
use crate::report::table::Table;
use crate::report::{ratios, summary};
use crate::stats::absent::known;
use crate::stats::analysis::{Compared, Line};

/// A table in a box of its own, which scrolls where the page is narrow.
pub(super) fn boxed(caption: &str, class: &str, content: &str) -> String {
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\"><table class=\"{class}\">\
         <caption>{caption}</caption>\n{content}</table></div>\n"
    )
}

fn head(columns: &[String]) -> String {
    let cells = columns.iter().map(|name| format!("<th scope=\"col\">{}</th>", escape(name)));
    format!("<thead><tr>{}</tr></thead>\n", cells.collect::<String>())
}

/// All figures of a scenario: what results.md has.
pub(super) fn scenario(context: &Context<'_>, experiment: &Experiment, compared: &Compared) -> String {
    let table = figures(context, &below(summary::table(experiment, compared)));
    format!(
        "<h3>All figures</h3>\n<p class=\"how\">Medians over the rounds that count; ratios are of p50, taken inside a \
         round \
         at the same distance of the processors, with their 95 % interval. <b>~</b>: the reference differs as much \
         from \
         itself, so no difference is claimed; <b>?</b>: too few rounds; CPU is per call; stalled is the part of all \
         time in \
         calls of over 20 times the median.</p>\n{table}"
    )
}

/// Ratios of everything, where there is somebody to compare with.
pub(super) fn ratios(context: &Context<'_>, experiment: &Experiment, compared: &Compared) -> String {
    let Some(table) = ratios::table(context.report, experiment, compared) else { return String::new() };
    format!("<p class=\"how\">{}</p>\n{}", prose(ratios::LEGEND), figures(context, &table))
}

/// A table with a row for each contender.
fn figures(context: &Context<'_>, table: &Table) -> String {
    let rows: String = table.rows.iter().map(|cells| row(context, cells)).collect();
    let content = format!("{}<tbody>\n{rows}</tbody>\n", head(&table.head));
    boxed(&number_words(&table.title), "figures-table", &content)
}

/// The interval of p50 stands below it, which saves a column.
fn below(mut table: Table) -> Table {
    if let Some(column) = table.head.iter().position(|name| name == summary::INTERVAL) {
        table.head.remove(column);
        for cells in &mut table.rows {
            let interval = cells.remove(column);
            if interval != "-" {
                cells[column - 1].push_str(&format!(" ({interval})"));
            }
        }
    }
    table
}

fn number_words(text: &str) -> String {
    number(text).replace('\u{a0}', " ")
}

fn row(context: &Context<'_>, cells: &[String]) -> String {
    let (name, values) = cells.split_first().expect("a row begins with a name");
    let class = if context.report.group(name) == Group::Ours { " class=\"ours\"" } else { "" };
    let values: String = values.iter().map(|value| cell(value)).collect();
    let (swatch, series) = (context.swatch(name), context.attributes(name));
    format!("<tr{class}><th scope=\"row\"><span {series}>{swatch}{}</span></th>{values}</tr>\n", escape(name))
}

/// `3.02 (2.9..3.1)` has its interval below; what claims nothing is pale.
fn cell(value: &str) -> String {
    let (class, title) = match value.chars().next() {
        Some('~') => (" class=\"doubt\"", " title=\"not more than the reference differs from itself\""),
        Some('?') => (" class=\"doubt\"", " title=\"too few rounds\""),
        _ => ("", ""),
    };
    match value.strip_suffix(')').and_then(|value| value.split_once(" (")) {
        Some((median, interval)) => {
            format!("<td{class}{title}>{}<small>{}</small></td>", number(median), number(interval))
        }
        None => format!("<td{class}{title}>{}</td>", number(value)),
    }
}

/// One line a scenario: the best of ours.
pub(super) fn short(context: &Context<'_>) -> String {
    let columns = ["scenario", "best of ours", "p50", "x floor", "x plain", "faster than it"].map(str::to_owned);
    let rows = context.report.compared.iter().enumerate().map(|(index, compared)| short_row(context, index, compared));
    let content = format!("{}<tbody>\n{}</tbody>\n", head(&columns), rows.collect::<String>());
    boxed("The fastest of ours in each scenario, by p50", "short", &content)
}

fn short_row(context: &Context<'_>, index: usize, compared: &Compared) -> String {
    let name = escape(&compared.scenario);
    let link = format!("<th scope=\"row\"><a href=\"#s{index}\">{name}</a></th>");
    let p50 = |line: &Line| line.medians.as_ref().map(|row| row.latency.p50).and_then(known);
    let mut ranked: Vec<(&Line, f64)> = compared.lines.iter().filter_map(|line| Some((line, p50(line)?))).collect();
    ranked.sort_by(|first, second| first.1.total_cmp(&second.1));
    let is_ours = |(line, _): &(&Line, f64)| context.report.group(&line.contender) == Group::Ours;
    let (Some(place), Some(experiment)) =
        (ranked.iter().position(is_ours), context.report.scenario(&compared.scenario))
    else {
        return format!(
            "<tr>{link}<td class=\"words\" colspan=\"5\">ours has no p50 here; see the scenario</td></tr>\n"
        );
    };
    let (line, ns) = ranked[place];
    let before: Vec<&str> = ranked[..place].iter().map(|(line, _)| line.contender.as_str()).collect();
    let before = match before.len() {
        0 => format!("nobody of {}", ranked.len() - 1),
        count => format!("{count} of {}: {}", ranked.len() - 1, before.join(", ")),
    };
    let ratio = |to: &str| cell(&summary::ratio(line, to));
    let best = &line.contender;
    format!(
        "<tr>{link}<td class=\"who\"><span {}>{}{}</span></td>{}{}{}<td class=\"words\">{}</td></tr>\n",
        context.attributes(best),
        context.swatch(best),
        escape(best),
        cell(&crate::report::numbers::time(ns)),
        ratio(&experiment.floor),
        ratio(&experiment.plain),
        escape(&before)
    )
}

/// Against an earlier campaign.
pub(super) fn baseline(against: &Against) -> String {
    let Table { title, head: columns, rows } = against.table();
    let rows = rows.iter().map(|cells| {
        let class = if cells.last().is_some_and(|verdict| verdict == "WORSE") { " class=\"worse\"" } else { "" };
        let (name, values) = cells.split_first().expect("a row begins with a name");
        let values: String = values.iter().map(|value| cell(value)).collect();
        format!("<tr{class}><th scope=\"row\">{}</th>{values}</tr>\n", escape(name))
    });
    let content = format!("{}<tbody>\n{}</tbody>\n", head(&columns), rows.collect::<String>());
    let skipped = against.not_compared.iter().map(|skipped| format!("Not compared: {}: {}", skipped.what, skipped.why));
    let items = skipped.chain(against.doubts.iter().cloned()).map(|text| format!("<li>{}</li>", prose(&text)));
    format!(
        "<section id=\"baseline\"><h2>{title}</h2>\n<p class=\"how\">{}</p>\n{}<ul class=\"notes\">{}</ul></section>\n",
        prose(&against.words()),
        boxed("Before and now, in times of the floor", "figures-table", &content),
        items.collect::<String>()
    )
}
