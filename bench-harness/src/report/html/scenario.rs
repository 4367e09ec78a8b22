//! One scenario: what was done, its figures, its table, who is better than ours, and what it cannot show.

use super::percentiles::{self, Drawn};
use super::series::Series;
use super::strips::{self, Shown};
use super::tables;
use super::words::{escape, prose};
use crate::experiment::Experiment;
use crate::report::write::Curves;
use crate::report::{Report, markdown, summary, wins};
use crate::stats::analysis::Compared;

/// What a section needs.
pub(super) struct Context<'a> {
    pub(super) report: &'a Report,
    pub(super) curves: &'a Curves,
    pub(super) series: &'a [Series],
}

impl Context<'_> {
    fn series(&self, name: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.name == name)
    }

    /// The whole section.
    pub(super) fn section(&self, number: usize, compared: &Compared) -> String {
        let name = escape(&compared.scenario);
        let id = format!("s{number}");
        let Some(experiment) = self.report.scenario(&compared.scenario) else {
            return format!(
                "<section id=\"{id}\"><h2>{name}</h2><p>Its definition is not in the results.</p></section>\n"
            );
        };
        let Experiment { what, why, expected, cannot_show, .. } = experiment;
        let shown: Vec<Shown<'_>> =
            compared.lines.iter().filter_map(|line| Some((self.series(&line.contender)?, line))).collect();
        let [what, why, expected, cannot_show] = [what, why, expected, cannot_show].map(|text| prose(text.trim()));
        format!(
            "<section id=\"{id}\" class=\"scenario\">\n<h2>{name}</h2>\n<p class=\"load\">{}</p>\n\
             <p class=\"lead\">{what} {why}</p>\n{}{}{}{}{}\
             <div class=\"aside\"><div><h3>What was expected</h3><p>{expected}</p></div>\n\
             <div><h3>What it cannot show</h3><p>{cannot_show}</p></div></div>\n{}</section>\n",
            escape(&summary::load(experiment)),
            self.percentiles(&id, compared, &shown),
            strips::figures(compared, &shown),
            tables::scenario(self, experiment, compared),
            tables::ratios(self, experiment, compared),
            self.wins(compared),
            self.notes(compared),
        )
    }

    pub(super) fn attributes(&self, name: &str) -> String {
        self.series(name).map_or(String::new(), Series::attributes)
    }

    pub(super) fn swatch(&self, name: &str) -> String {
        self.series(name).map_or(String::new(), Series::swatch)
    }

    fn percentiles(&self, id: &str, compared: &Compared, shown: &[Shown<'_>]) -> String {
        let key = |name: &str| (compared.scenario.clone(), name.to_owned());
        let drawn: Vec<Drawn<'_>> =
            shown.iter().filter_map(|(series, _)| Some((*series, self.curves.get(&key(&series.name))?))).collect();
        let figure = percentiles::figure(id, &compared.scenario, &drawn);
        if figure.is_empty() {
            return "<p class=\"none\">There are no latency curves: no round counts, the scenario has no calls, or the \
                    .hgrm files are not beside results.json.</p>\n"
                .into();
        }
        let without = shown.iter().filter(|(series, _)| drawn.iter().all(|(other, _)| other.name != series.name));
        let without: Vec<String> = without.map(|(series, _)| escape(&series.name)).collect();
        let without =
            if without.is_empty() { String::new() } else { format!(" Without a curve: {}.", without.join(", ")) };
        format!(
            "<figure class=\"plot\"><figcaption><h3>Latency by percentile</h3><p>Each step to the right is a call ten \
             times as rare, and each line ends at its slowest call, all rounds that count together; lower is better. \
             Both \
             axes are logarithmic, and a line that rises late waits rarely, but long.{without}</p></figcaption>\n\
             {figure}</figure>\n"
        )
    }

    fn wins(&self, compared: &Compared) -> String {
        let said = wins::said(self.report, compared);
        if said.is_empty() {
            return "<h3>Where others win</h3>\n<p>Ours took no part in this.</p>\n".into();
        }
        let said = said.iter().map(|said| format!("<dt>{}</dt><dd>{}</dd>\n", escape(&said.figure), prose(&said.text)));
        let (said, legend) = (said.collect::<String>(), prose(wins::LEGEND));
        format!("<h3>Where others win</h3>\n<p class=\"how\">{legend}</p>\n<dl class=\"wins\">{said}</dl>\n")
    }

    fn notes(&self, compared: &Compared) -> String {
        let notes = compared.lines.iter().filter_map(|line| {
            let remarks = markdown::remarks(self.report, compared, line);
            let name = &line.contender;
            (!remarks.is_empty()).then(|| {
                let (series, swatch) = (self.attributes(name), self.swatch(name));
                format!("<li {series}>{swatch}<b>{}</b>: {}</li>\n", escape(name), prose(&remarks.join("; ")))
            })
        });
        let notes: String = notes.collect();
        let said =
            compared.limits.map(|limits| markdown::limits(&limits)).into_iter().chain(markdown::sharing(compared));
        let limits: String = said.map(|said| format!("<p class=\"how\">{}</p>\n", prose(&said))).collect();
        if notes.is_empty() {
            return limits;
        }
        format!("<h3>Notes</h3>\n{limits}<ul class=\"notes\">{notes}</ul>\n")
    }
}
