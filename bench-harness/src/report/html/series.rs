//! How each contender looks, the same in every figure: a colour by kind, a mark, and a dash. Nobody needs the colour.

use super::words::escape;
use crate::contender::Group;
use crate::report::Report;

/// Marks there are, as drawn in `marks`.
const MARKS: usize = 8;
/// Colours of each kind, as in the style.
const COLOURS: usize = 4;
/// Of lines: solid, and some that are told apart in black and white.
const DASHES: [&str; 5] = ["none", "7 3", "2 3", "9 3 2 3", "14 4"];

/// One contender's looks.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) group: Group,
    /// Among all.
    number: usize,
    /// Among those of its kind.
    among: usize,
}

/// Everybody's, in the order of the report; those that are only in tables, too.
pub(super) fn all(report: &Report) -> Vec<Series> {
    let mut all: Vec<Series> = vec![];
    let names = report.present.iter().map(|present| &present.contender);
    let lines = report.compared.iter().flat_map(|compared| compared.lines.iter().map(|line| &line.contender));
    for name in names.chain(lines) {
        if all.iter().all(|series| series.name != *name) {
            let group = report.group(name);
            let among = all.iter().filter(|series| series.group == group).count();
            all.push(Series { name: name.clone(), group, number: all.len(), among });
        }
    }
    all
}

impl Series {
    pub(super) fn is_ours(&self) -> bool {
        self.group == Group::Ours
    }

    /// Its classes and its colour, as attributes.
    pub(super) fn attributes(&self) -> String {
        let Self { group, among, .. } = self;
        let ours = if self.is_ours() { " ours" } else { "" };
        let colour = among % COLOURS;
        format!("class=\"series{ours}\" data-name=\"{}\" style=\"--c:var(--{group}-{colour})\"", escape(&self.name))
    }

    pub(super) fn dash(&self) -> &'static str {
        DASHES[self.among % DASHES.len()]
    }

    /// Its mark at a place, such as `12%` and `8`.
    pub(super) fn mark(&self, x: &str, y: &str) -> String {
        // Those of the second turn are hollow.
        let class = if (self.number / MARKS).is_multiple_of(2) { "mark" } else { "mark hollow" };
        format!("<use class=\"{class}\" href=\"#m{}\" x=\"{x}\" y=\"{y}\"/>", self.number % MARKS)
    }

    /// Its line and its mark, as in a legend.
    pub(super) fn sample(&self) -> String {
        let line =
            format!("<line class=\"line\" x1=\"0\" y1=\"7\" x2=\"34\" y2=\"7\" stroke-dasharray=\"{}\"/>", self.dash());
        let svg = "<svg class=\"sample\" width=\"34\" height=\"14\" aria-hidden=\"true\">";
        format!("{svg}{line}{}</svg>", self.mark("17", "7"))
    }

    /// Its mark alone, before its name.
    pub(super) fn swatch(&self) -> String {
        let svg = "<svg class=\"swatch\" width=\"12\" height=\"12\" aria-hidden=\"true\">";
        format!("{svg}{}</svg>", self.mark("6", "6"))
    }
}

/// The marks' shapes, which everything else refers to.
pub(super) fn marks() -> String {
    let shapes = [
        "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z",
        "M-3.6 -3.6H3.6V3.6H-3.6Z",
        "M0 -5L5 0L0 5L-5 0Z",
        "M0 -4.8L4.6 3.6H-4.6Z",
        "M0 4.8L4.6 -3.6H-4.6Z",
        "M-1.4 -5H1.4V-1.4H5V1.4H1.4V5H-1.4V1.4H-5V-1.4H-1.4Z",
        "M-5 -3L-3 -5L0 -2L3 -5L5 -3L2 0L5 3L3 5L0 2L-3 5L-5 3L-2 0Z",
        "M-2.6 -4.6H2.6L5.2 0L2.6 4.6H-2.6L-5.2 0Z",
    ];
    let paths = shapes.iter().enumerate().map(|(number, shape)| format!("<path id=\"m{number}\" d=\"{shape}\"/>"));
    let svg = "<svg class=\"marks\" width=\"0\" height=\"0\" aria-hidden=\"true\" focusable=\"false\">";
    format!("{svg}<defs>{}</defs></svg>\n", paths.collect::<String>())
}
