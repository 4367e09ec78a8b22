//! Distributions: how long calls of a method took, what of that was waiting, and what was different before.

use speedysvc_protocol::stats::{Histogram, Timing};

use super::figures::{errors_cell, rate_cell};
use crate::app::App;
use crate::history::{HOUR, Series, Sum};
use crate::page::{Cell, Chart, Choice, Column, Fact, Page, Row, Table, Tone};
use crate::words::{as_float, count, digits, encoded};

/// Windows that can be chosen, in seconds.
pub(crate) const WINDOWS: [(u64, &str); 5] = [
    (60, "last minute"),
    (600, "last 10 minutes"),
    (HOUR, "last hour"),
    (6 * HOUR, "last 6 hours"),
    (24 * HOUR, "last day"),
];
/// What it can be compared with: how many seconds earlier; 0 for the window just before.
const AGAINST: [(u64, &str); 3] = [(0, "the window before"), (600, "10 minutes earlier"), (HOUR, "an hour earlier")];
/// Shares of the percentile table.
const SHARES: [(f64, &str); 7] =
    [(0.5, "p50"), (0.75, "p75"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99"), (1.0, "max")];

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Query {
    /// Empty for the first that there is.
    pub(crate) service: String,
    /// Empty for all methods of the service.
    pub(crate) method: String,
    pub(crate) seconds: u64,
    pub(crate) earlier: u64,
}

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        let mut parsed = Self { service: String::new(), method: String::new(), seconds: 600, earlier: 0 };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let one_of = |known: &[(u64, &str)]| {
                let number = value.parse::<u64>().ok();
                number.filter(|number| known.iter().any(|(one, _)| one == number))
            };
            match name.as_ref() {
                "service" => parsed.service = value.chars().take(256).collect(),
                "method" => parsed.method = value.chars().take(256).collect(),
                "seconds" => parsed.seconds = one_of(&WINDOWS).unwrap_or(parsed.seconds),
                "earlier" => parsed.earlier = one_of(&AGAINST).unwrap_or(parsed.earlier),
                _ => {}
            }
        }
        // The service and its method in one choice.
        if let Some((service, method)) = parsed.service.clone().split_once('/') {
            parsed.service = service.to_owned();
            parsed.method = method.to_owned();
        }
        parsed
    }

    pub(crate) fn series(&self) -> Series {
        let method = Some(self.method.clone()).filter(|method| !method.is_empty());
        Series { service: self.service.clone(), method }
    }

    /// The window and the one that it is compared with: first and last second of each.
    pub(crate) fn windows(&self, now: u64) -> [(u64, u64); 2] {
        let end = now + 1;
        let back = if self.earlier == 0 { self.seconds } else { self.earlier };
        [end, end.saturating_sub(back)].map(|end| (end.saturating_sub(self.seconds), end))
    }

    fn text(&self) -> String {
        format!(
            "service={}&method={}&seconds={}&earlier={}",
            encoded(&self.service),
            encoded(&self.method),
            self.seconds,
            self.earlier
        )
    }
}

pub(super) fn page(app: &App, query: &Query) -> Page {
    let moment = app.moment();
    let mut query = query.clone();
    if query.service.is_empty() {
        query.service = moment.numbers.keys().next().cloned().unwrap_or_default();
    }
    let [now, before] = query.windows(moment.at).map(|(from, to)| app.history().sum(&query.series(), from, to));
    let text = query.text();
    let seconds = query.seconds;
    let of = format!("service={}&method={}", encoded(&query.service), encoded(&query.method));
    let name =
        if query.method.is_empty() { query.service.clone() } else { format!("{}.{}", query.service, query.method) };
    Page {
        title: format!("Latency of {name}"),
        place: "latency",
        lead:
            "Queue wait is from when a loop could first see a call to its handler\u{2019}s start. What a sleeping loop \
               takes to wake only its client can see."
                .to_owned(),
        choices: choices(app, &query),
        facts: facts(&now, &before, seconds),
        charts: vec![
            Chart { kind: "heat", title: "Heat map", source: format!("/api/v1/history?{of}&seconds={seconds}") },
            Chart {
                kind: "nines",
                title: "Percentiles, on an axis of nines",
                source: format!("/api/v1/latency?{text}"),
            },
            Chart {
                kind: "parts",
                title: "Queue wait beside handler time",
                source: format!("/api/v1/history?{of}&seconds={seconds}"),
            },
        ],
        downloads: [".hgrm", ".hlog"].map(|end| (end.to_owned(), format!("/latency/download{end}?{text}"))).to_vec(),
        tables: vec![table(&now, &before)],
        ..Page::default()
    }
}

fn choices(app: &App, query: &Query) -> Vec<Choice> {
    let moment = app.moment();
    let mut names: Vec<(String, String, bool)> = Vec::new();
    for (service, numbers) in &moment.numbers {
        let chosen = *service == query.service;
        names.push((service.clone(), format!("{service} (all methods)"), chosen && query.method.is_empty()));
        names.extend(numbers.methods().map(|(method, _)| {
            (format!("{service}/{method}"), format!("{service}.{method}"), chosen && method == query.method)
        }));
    }
    let numbers = |known: &[(u64, &str)], is: u64| {
        known.iter().map(|(number, name)| (number.to_string(), (*name).to_owned(), *number == is)).collect()
    };
    let choice = |name, label, options| Choice { name, label, options, text: String::new() };
    vec![
        choice("service", "Of", names),
        choice("seconds", "In the", numbers(&WINDOWS, query.seconds)),
        choice("earlier", "Compared with", numbers(&AGAINST, query.earlier)),
    ]
}

fn facts(now: &Sum, before: &Sum, seconds: u64) -> Vec<Fact> {
    let rate = |sum: &Sum| as_float(sum.counts.calls) / as_float(seconds.max(1));
    vec![
        Fact::new("calls/s", "On the average of the window.", rate_cell(rate(now))),
        Fact::new("calls/s before", "On the average of the window that it is compared with.", rate_cell(rate(before))),
        Fact::new(
            "errors",
            "The share of calls that ended with an error.",
            errors_cell(now.counts.errors, now.counts.calls),
        ),
        Fact::new(
            "timed",
            "Calls whose times are known. Short ones are sampled: one pass with calls in 16, or in 61.",
            Cell::number(
                format!("{} of {}", count(now.counts.timed), count(now.counts.calls)),
                as_float(now.counts.timed),
            ),
        ),
    ]
}

fn table(now: &Sum, before: &Sum) -> Table {
    let [queue, handler, total] = [Timing::Queue, Timing::Handler, Timing::Total].map(|timing| now.times(timing));
    let total_before = before.times(Timing::Total);
    let columns = vec![
        Column::text("share", "So many of the calls took no longer than what follows."),
        Column::number("total", Timing::Total.sentence()),
        Column::number("queue wait", Timing::Queue.sentence()),
        Column::number("handler time", Timing::Handler.sentence()),
        Column::number("total before", "In the window that it is compared with."),
        Column::number("change", "From then to now."),
    ];
    let rows = SHARES.iter().map(|(share, name)| {
        let cells = vec![
            Cell::text(*name),
            Cell::time(total.percentile(*share)),
            Cell::time(queue.percentile(*share)),
            Cell::time(handler.percentile(*share)),
            Cell::time(total_before.percentile(*share)),
            change(&total, &total_before, *share),
        ];
        Row { id: (*name).to_owned(), cells, actions: Vec::new() }
    });
    Table { id: "percentiles", caption: "Percentiles".to_owned(), columns, rows: rows.collect(), empty: "" }
}

/// Within the width of two steps it is none.
fn change(now: &Histogram, before: &Histogram, share: f64) -> Cell {
    match (now.percentile(share), before.percentile(share)) {
        (Some(now), Some(before)) if before > 0 => {
            let ratio = as_float(now) / as_float(before);
            let tone = match ratio {
                ratio if ratio > 1.5 => Tone::Bad,
                ratio if ratio > 1.1 => Tone::Warn,
                ratio if ratio < 0.9 => Tone::Good,
                _ => Tone::Quiet,
            };
            Cell::number(format!("× {}", digits(ratio)), ratio).tone(tone)
        }
        _ => Cell::text("–").tone(Tone::Quiet),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_of_what_can_be_chosen() {
        let query = Query::parse("service=echo%2Fecho_json&seconds=3600&earlier=7");
        let expected = Query { service: "echo".into(), method: "echo_json".into(), seconds: 3600, earlier: 0 };
        assert_eq!(query, expected);
        assert_eq!(Query::parse(&query.text()), query);
        assert_eq!(Query::parse("seconds=5&x=%00").seconds, 600);
        assert_eq!(query.windows(10_000), [(6401, 10_001), (2801, 6401)]);
        let earlier = Query { seconds: 60, earlier: 600, ..query };
        assert_eq!(earlier.windows(10_000), [(9941, 10_001), (9341, 9401)]);
    }
}
