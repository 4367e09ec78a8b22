//! Where others win: everybody who does better than ours at something, with both numbers.

use super::Report;
use super::numbers::{count, digits, time, unit};
use crate::contender::Group;
use crate::stats::absent::known;
use crate::stats::analysis::{self, Compared, Figures, Line, Rows};
use crate::stats::extra::Better;
use crate::stats::ratio::Ratio;

/// What is said of one figure of one scenario.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Said {
    /// The figure.
    pub(super) figure: String,
    /// Who is before ours in it.
    pub(super) text: String,
}

type Read<'a> = Box<dyn Fn(&Line) -> Option<f64> + 'a>;

/// A figure in which one can win.
struct Race<'a> {
    figure: &'a str,
    better: Better,
    show: Box<dyn Fn(f64) -> String + 'a>,
    read: Read<'a>,
    /// The same of one row, for figures that rows have.
    of_row: Option<fn(&Figures) -> f64>,
}

/// What others do better in a scenario; empty when ours takes no part in it.
pub(super) fn said(report: &Report, compared: &Compared) -> Vec<Said> {
    let has_ours = compared.lines.iter().any(|line| report.group(&line.contender) == Group::Ours);
    if !has_ours {
        return vec![];
    }
    let races = races(compared);
    races.iter().filter_map(|race| race.said(report, compared)).collect()
}

fn races(compared: &Compared) -> Vec<Race<'_>> {
    let of_rows = |figure, better, show: fn(f64) -> String, read: fn(&Figures) -> f64| Race {
        figure,
        better,
        show: Box::new(show),
        read: Box::new(move |line: &Line| line.medians.as_ref().map(read).and_then(known)),
        of_row: Some(read),
    };
    let mut races = vec![
        of_rows("p50", Better::Less, time, |row| row.latency.p50),
        of_rows("p99", Better::Less, time, |row| row.latency.p99),
        of_rows("calls/s", Better::More, count, |row| row.rate),
        of_rows("CPU per call, both sides", Better::Less, time, |row| row.client_cpu + row.server_cpu),
    ];
    let mut names: Vec<&str> = vec![];
    for extra in compared.lines.iter().flat_map(|line| &line.extras) {
        if extra.better != Better::Neither && !names.contains(&extra.name.as_str()) {
            names.push(&extra.name);
            races.push(Race {
                figure: &extra.name,
                better: extra.better,
                show: Box::new(move |value| unit(value, extra.unit)),
                read: Box::new(|line| {
                    line.extras.iter().find(|own| own.name == extra.name).and_then(|own| known(own.value))
                }),
                of_row: None,
            });
        }
    }
    races
}

impl Race<'_> {
    fn said(&self, report: &Report, compared: &Compared) -> Option<Said> {
        let mut ranked: Vec<(&str, f64)> =
            compared.lines.iter().filter_map(|line| Some((line.contender.as_str(), (self.read)(line)?))).collect();
        ranked.sort_by(|first, second| match self.better {
            Better::More => second.1.total_cmp(&first.1),
            Better::Less | Better::Neither => first.1.total_cmp(&second.1),
        });
        let (mut parts, mut ahead) = (vec![], vec![]);
        for (name, value) in ranked {
            if report.group(name) != Group::Ours {
                ahead.push((name, value));
                continue;
            }
            // Who is level with this one may still be before the next; two zeros are level, too.
            let (before, level) = ahead.into_iter().partition::<Vec<_>, _>(|(_, other)| times(*other, value) >= LEVEL);
            ahead = level;
            if !before.is_empty() {
                let who: Vec<String> =
                    before.into_iter().map(|other| self.one(report, compared, other, (name, value))).collect();
                parts.push(format!("before {name} ({}): {}", (self.show)(value), who.join(", ")));
            } else if parts.is_empty() {
                parts.push(format!("nobody is before {name} ({})", (self.show)(value)));
            }
        }
        (!parts.is_empty()).then(|| Said { figure: self.figure.into(), text: parts.join("; ") + "." })
    }

    /// `floor-spin (102 ns, 31 times)`.
    fn one(&self, report: &Report, compared: &Compared, (other, value): (&str, f64), ours: (&str, f64)) -> String {
        let times = times(value, ours.1);
        let doubt = if self.is_sure(report, compared, other, ours.0) { "" } else { "~" };
        let times = if times.is_finite() { format!(", {} times", digits(times)) } else { String::new() };
        format!("{doubt}{other} ({}{times})", (self.show)(value))
    }

    /// Whether it is so in the whole interval of the rounds' ratios.
    fn is_sure(&self, report: &Report, compared: &Compared, other: &str, ours: &str) -> bool {
        let Some(read) = self.of_row else { return self.are_apart(compared, other, ours) };
        let points = |name| analysis::points(&compared.rows, Rows::counted(name), &read);
        let ratio = Ratio::new(ours, &points(other), &points(ours), !report.distances.is_empty());
        ratio.interval.is_some_and(|interval| match self.better {
            Better::More => interval.low > 1.0,
            Better::Less | Better::Neither => interval.high < 1.0,
        })
    }

    /// Whether the two intervals of a figure that rows do not have are apart.
    fn are_apart(&self, compared: &Compared, other: &str, ours: &str) -> bool {
        let interval = |name: &str| {
            let line = compared.lines.iter().find(|line| line.contender == name)?;
            line.extras.iter().find(|extra| extra.name == self.figure)?.interval
        };
        interval(other).zip(interval(ours)).is_some_and(|(other, ours)| !other.overlaps(&ours))
    }
}

/// Who is before another by less than this many times is level with it.
const LEVEL: f64 = 1.005;

fn times(first: f64, second: f64) -> f64 {
    (first / second).max(second / first)
}

/// How to read it.
pub(super) const LEGEND: &str = "Everybody who does better than one of ours, the best first, and by how many times; \
    each stands with the best of ours that it beats. `~`: not so in the whole interval over rounds.";
