//! report.html: one file that needs nothing else. It loads nothing, and is complete without its script.

mod percentiles;
mod scale;
mod scenario;
mod series;
mod strips;
mod tables;
mod words;

use super::write::Curves;
use super::{Report, markdown};
use scenario::Context;
use words::{escape, prose};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// Keeps a browser from loading anything, whatever a name in the results may contain.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; \
    base-uri 'none'; form-action 'none'";

/// The file's text.
pub(super) fn page(report: &Report, curves: &Curves) -> String {
    let series = series::all(report);
    let context = Context { report, curves, series: &series };
    let sections = report.compared.iter().enumerate().map(|(number, compared)| context.section(number, compared));
    let sections: String = sections.collect();
    let baseline = report.baseline.as_ref().map_or(String::new(), tables::baseline);
    let title = format!("speedysvc and others, {}", day(&report.begun));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<link rel=\"icon\" href=\"data:,\"/>\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n{}{}{}<main>\n{}{}{baseline}{sections}{}{}</main>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        escape(&title),
        series::marks(),
        header(report),
        contents(report),
        warnings(report),
        in_short(&context),
        people(&context),
        machine(report),
    )
}

fn day(date: &str) -> &str {
    date.split('T').next().unwrap_or(date)
}

fn header(report: &Report) -> String {
    let Report { command, begun, ended, harness, rows_run, rows_wanted, rounds, warm_up_ms, span_ms, cpus, .. } =
        report;
    let lines = || report.compared.iter().flat_map(|compared| &compared.lines);
    let (void, failed) = (lines().map(|line| line.void).sum::<usize>(), lines().map(|line| line.failed).sum::<usize>());
    let (people, scenarios) = (report.present.len(), report.compared.len());
    let plural = if scenarios == 1 { "" } else { "s" };
    format!(
        "<header>\n<p class=\"kicker\">{}, {}</p>\n<h1>speedysvc and others</h1>\n\
         <p class=\"lead\">{people} contenders in {scenarios} scenario{plural}, {rounds} rounds, one machine. We \
         wrote the \
         harness, and some of the contenders are ours: <cite>METHOD.md</cite> says how it measures, and \
         <cite>BIAS.md</cite> why to doubt it; both are in <code>bench-harness/</code> of \
         <a href=\"{}\">the repository</a>.</p>\n\
         <pre class=\"command\"><code>{}</code></pre>\n\
         <p class=\"how\">{rows_run} of {rows_wanted} rows were run from {} to {}; of those that are compared, {void} \
         are void \
         and {failed} failed. A row is one contender in fresh processes: {warm_up_ms}&#160;ms of warm-up, \
         {span_ms}&#160;ms \
         measured, the server on processor {}, the client on processor {}. {}</p>\n</header>\n",
        escape(day(begun)),
        escape(harness),
        env!("CARGO_PKG_REPOSITORY"),
        escape(command),
        escape(begun),
        escape(ended),
        cpus.server,
        cpus.client,
        prose(&markdown::distances(report)),
    )
}

fn contents(report: &Report) -> String {
    let scenarios = report.compared.iter().enumerate();
    let mut items: Vec<String> = vec!["<a href=\"#short\">In short</a>".into()];
    if report.baseline.is_some() {
        items.push("<a href=\"#baseline\">Against the baseline</a>".into());
    }
    items.extend(
        scenarios.map(|(number, compared)| format!("<a href=\"#s{number}\">{}</a>", escape(&compared.scenario))),
    );
    items.push("<a href=\"#people\">Who took part</a>".into());
    items.push("<a href=\"#machine\">The machine</a>".into());
    let items: String = items.iter().map(|item| format!("<li>{item}</li>")).collect();
    format!("<nav aria-label=\"Contents\"><ul>{items}</ul></nav>\n")
}

fn warnings(report: &Report) -> String {
    if report.warnings.is_empty() {
        return String::new();
    }
    let warnings: String = report.warnings.iter().map(|warning| format!("<li>{}</li>", prose(warning))).collect();
    format!(
        "<section class=\"warning\" aria-label=\"Warnings\"><h2>Before anything is \
         believed</h2><ul>{warnings}</ul></section>\n"
    )
}

fn in_short(context: &Context<'_>) -> String {
    format!(
        "<section id=\"short\"><h2>In short</h2>\n<p class=\"how\">One line for each scenario: the best of ours by \
         half-way \
         latency, how many times the floor and the plain socket it takes, and everybody who was faster. Floors do \
         nothing \
         but move bytes: nobody is expected before them, and the distance to them is what remains to be gained. What a \
         scenario cannot show stands in its section.</p>\n{}</section>\n",
        tables::short(context)
    )
}

fn people(context: &Context<'_>) -> String {
    let present: String = context.report.present.iter().map(|present| {
        let (name, group) = (&present.contender, present.group);
        format!(
            "<tr><th scope=\"row\"><span {}>{}{}</span></th><td class=\"words\">{group}</td><td class=\"words\">{}</td>\
             <td class=\"words\">{}</td></tr>\n",
            context.attributes(name),
            context.swatch(name),
            escape(name),
            escape(&present.version),
            escape(&present.what)
        )
    }).collect();
    let absent = context.report.absent.iter();
    let absent: String = absent
        .map(|absent| format!("<dt>{}</dt><dd>{}</dd>\n", escape(&absent.contender), prose(&absent.why)))
        .collect();
    let absent =
        if absent.is_empty() { "<p>Nobody.</p>\n".into() } else { format!("<dl class=\"facts\">{absent}</dl>\n") };
    let head = "<thead><tr><th scope=\"col\">contender</th><th scope=\"col\">kind</th><th scope=\"col\">version</th>\
                <th scope=\"col\">what it is, and the settings it gets</th></tr></thead>\n";
    let table = tables::boxed("Contenders", "people", &format!("{head}<tbody>\n{present}</tbody>\n"));
    format!(
        "<section id=\"people\"><h2>Who took part</h2>\n<p class=\"how\">Colours are kinds: floors are grey, plain \
         sockets \
         blue, peers green and violet, ours orange; marks and dashes tell one from another without colour.</p>\n{table}\
         <h3>Who did not, and why</h3>\n{absent}</section>\n"
    )
}

fn machine(report: &Report) -> String {
    let facts = report.machine.facts.iter();
    let facts: String =
        facts.map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value))).collect();
    format!(
        "<section id=\"machine\"><h2>The machine</h2>\n<p class=\"how\">Whether idle processors halt or poll, and \
         whether a \
         hypervisor moves them, changes figures more than most contenders differ. Figures of two machines cannot be \
         compared; their ratios to the floor can, with care.</p>\n<dl class=\"facts\">{facts}</dl></section>\n\
         <footer><p>Every row is in <code>results.json</code>, every latency in the <code>.hlog</code> and \
         <code>.hgrm</code> files beside this page, which HdrHistogram\u{2019}s own tools read; <code>bench-harness \
         report \
         DIR</code> writes this page from them again.</p></footer>\n"
    )
}
