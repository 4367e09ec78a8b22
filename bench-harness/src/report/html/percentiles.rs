//! Latency by percentile, with an axis of nines: each step to the right is a call ten times as rare.

use super::scale::Scale;
use super::series::Series;
use super::words::{escape, number};
use crate::report::hgrm::{Curve, Point};
use crate::report::numbers::{count, time};

/// Pixels.
const HEIGHT: f64 = 400.0;
/// Between names at the right edge.
const NAME_HEIGHT: f64 = 15.0;
/// More names than this have no room there.
const NAMES_MAX: usize = 24;
/// Nines of the half-way call.
const HALF: f64 = std::f64::consts::LOG10_2;
/// Percents that have a line, by their nines. A narrow page has no room for all; those that are `roomy` are left out.
const LINES: [(f64, &str, &str); 11] = [
    (0.0, "0", " roomy"),
    (HALF, "50", ""),
    (1.0, "90", ""),
    (2.0, "99", ""),
    (3.0, "99.9", ""),
    (4.0, "99.99", " roomy"),
    (5.0, "99.999", ""),
    (6.0, "99.9999", " roomy"),
    (7.0, "99.99999", ""),
    (8.0, "99.999999", " roomy"),
    (9.0, "99.9999999", ""),
];

/// One contender's curve.
pub(super) type Drawn<'a> = (&'a Series, &'a Curve);

struct Plot {
    /// Nines at the right edge.
    nines: f64,
    y: Scale,
}

/// The figure; nothing when there is no curve.
pub(super) fn figure(id: &str, scenario: &str, drawn: &[Drawn<'_>]) -> String {
    let latencies = drawn.iter().flat_map(|(_, curve)| curve.points.iter().map(|point| point.ns));
    let Some(y) = Scale::of(latencies, true) else { return String::new() };
    let most = drawn.iter().map(|(_, curve)| nines_of(curve.calls)).fold(2.0, f64::max);
    let plot = Plot { nines: most, y };
    let lines: String = drawn.iter().map(|one| plot.series(one)).collect();
    let names = if drawn.len() <= NAMES_MAX { plot.names(drawn) } else { String::new() };
    let about: Vec<String> = drawn.iter().map(described).collect();
    let svg = format!(
        "<svg class=\"curves\" width=\"100%\" height=\"{HEIGHT}\" role=\"img\" \
         aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">Latency by percentile in {}</title>\
         <desc id=\"{id}-d\">{}</desc>{}{lines}{names}</svg>",
        escape(scenario),
        about.join(" "),
        plot.grid(),
    );
    let class = if names.is_empty() { "frame" } else { "frame named" };
    let items: String = drawn.iter().map(|(series, _)| item(series)).collect();
    format!("<div class=\"{class}\">{svg}</div>\n<ul class=\"legend\">{items}</ul>\n")
}

fn item(series: &Series) -> String {
    format!("<li {}>{}{}</li>", series.attributes(), series.sample(), escape(&series.name))
}

fn described((series, curve): &Drawn<'_>) -> String {
    let at = |nines: f64| at(curve, nines).map_or("-".into(), |ns| number(&time(ns)));
    let name = escape(&series.name);
    let calls = number(&count(curve.calls as f64));
    let slowest = curve.points.last().map_or("-".into(), |point| number(&time(point.ns)));
    format!("{name}, {calls} calls: half {}, 99 % {}, slowest {slowest}.", at(HALF), at(2.0))
}

/// Nines of the slowest of so many calls.
fn nines_of(calls: u64) -> f64 {
    (calls.max(1) as f64).log10()
}

fn nines(point: &Point, curve: &Curve) -> f64 {
    let rest = 1.0 - point.quantile;
    if rest > 0.0 { (-rest.log10()).min(nines_of(curve.calls)) } else { nines_of(curve.calls) }
}

/// The curve's height at some nines, between its points; none beyond its slowest call.
fn at(curve: &Curve, wanted: f64) -> Option<f64> {
    let next = curve.points.iter().position(|point| nines(point, curve) >= wanted)?;
    let (right, left) = (curve.points[next], curve.points[next.saturating_sub(1)]);
    let (from, to) = (nines(&left, curve), nines(&right, curve));
    let part = if to > from { (wanted - from) / (to - from) } else { 1.0 };
    Some(left.ns * (right.ns / left.ns.max(1.0)).max(1.0).powf(part))
}

impl Plot {
    /// In percent of the width.
    fn x(&self, nines: f64) -> f64 {
        (nines / self.nines * 100.0).clamp(0.0, 100.0)
    }

    /// In percent of the height.
    fn y(&self, ns: f64) -> f64 {
        100.0 - self.y.at(ns)
    }

    fn grid(&self) -> String {
        let mut grid = String::new();
        for tick in self.y.ticks() {
            let y = self.y(tick.value);
            let class = if tick.is_main { "grid" } else { "grid fine" };
            grid.push_str(&format!("<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{y:.2}%\" y2=\"{y:.2}%\"/>"));
            if tick.is_main {
                let label = number(&time(tick.value));
                grid.push_str(&format!(
                    "<text class=\"tick y\" x=\"0\" dx=\"-8\" y=\"{y:.2}%\" dy=\".34em\">{label}</text>"
                ));
            }
        }
        for (nines, label, class) in LINES.into_iter().filter(|(nines, ..)| *nines <= self.nines) {
            let x = self.x(nines);
            // The last one must not stand out of a narrow page.
            let last = if x > 96.0 { " last" } else { "" };
            grid.push_str(&format!("<line class=\"grid\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"0\" y2=\"100%\"/>"));
            grid.push_str(&format!(
                "<text class=\"tick x{class}{last}\" x=\"{x:.2}%\" y=\"100%\" dy=\"20\">{label}\u{a0}%</text>"
            ));
        }
        grid
    }

    fn series(&self, one: &Drawn<'_>) -> String {
        let (series, curve) = one;
        let points = curve
            .points
            .iter()
            .map(|point| format!("{:.1} {:.1}", self.x(nines(point, curve)) * 10.0, self.y(point.ns) * 10.0));
        let mut points: Vec<String> = points.collect();
        points.dedup();
        let path = format!(
            "<svg width=\"100%\" height=\"100%\" viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\">\
             <path class=\"line\" d=\"M{}\" stroke-dasharray=\"{}\"/></svg>",
            points.join("L"),
            series.dash(),
        );
        let last = nines_of(curve.calls);
        let marks = LINES.iter().skip(1).map(|(nines, ..)| *nines).take_while(|nines| *nines < last).chain([last]);
        let marks = marks.filter_map(|nines| Some((self.x(nines), self.y(at(curve, nines)?))));
        let marks: String = marks.map(|(x, y)| series.mark(&format!("{x:.2}%"), &format!("{y:.2}%"))).collect();
        format!("<g {}><title>{}</title>{path}{marks}</g>", series.attributes(), described(one))
    }

    /// Names at the right edge, each about as high as its curve ends, and a thin line to it.
    fn names(&self, drawn: &[Drawn<'_>]) -> String {
        let ends = drawn.iter().filter_map(|(series, curve)| {
            let last = curve.points.last()?;
            Some((*series, self.x(nines_of(curve.calls)), self.y(last.ns) / 100.0 * HEIGHT))
        });
        let mut ends: Vec<(&Series, f64, f64)> = ends.collect();
        ends.sort_by(|first, second| first.2.total_cmp(&second.2));
        let places = apart(&ends.iter().map(|end| end.2).collect::<Vec<_>>());
        let names = ends.iter().zip(places).map(|((series, x, y), place)| {
            format!(
                "<g {}><line class=\"leader\" x1=\"{x:.2}%\" y1=\"{y:.1}\" x2=\"100%\" y2=\"{place:.1}\"/>\
                 <text class=\"name\" x=\"100%\" dx=\"8\" y=\"{place:.1}\" dy=\".34em\">{}</text></g>",
                series.attributes(),
                escape(&series.name)
            )
        });
        format!("<g class=\"names\" aria-hidden=\"true\">{}</g>", names.collect::<String>())
    }
}

/// The same places, ascending, but far enough from each other, and inside where there is room.
fn apart(wanted: &[f64]) -> Vec<f64> {
    let mut places: Vec<f64> = wanted.to_vec();
    for number in 1..places.len() {
        places[number] = places[number].max(places[number - 1] + NAME_HEIGHT);
    }
    let mut lowest = HEIGHT;
    for place in places.iter_mut().rev() {
        *place = place.min(lowest);
        lowest = *place - NAME_HEIGHT;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_read_between_its_points() {
        let points = [(0.0, 100.0), (0.9, 100.0), (0.99, 10_000.0), (1.0, 10_000.0)];
        let curve = Curve { points: points.map(|(quantile, ns)| Point { quantile, ns }).into(), calls: 1_000 };
        assert!((at(&curve, 1.5).unwrap() - 1_000.0).abs() < 1.0);
        assert_eq!((at(&curve, 0.3), at(&curve, 3.0), at(&curve, 3.1)), (Some(100.0), Some(10_000.0), None));
    }

    #[test]
    fn names_do_not_overlap() {
        let places = apart(&[10.0, 12.0, 12.0, 399.0, 400.0]);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= NAME_HEIGHT - 1e-9), "{places:?}");
        assert!(places.iter().all(|place| (0.0..=HEIGHT).contains(place)), "{places:?}");
    }
}
