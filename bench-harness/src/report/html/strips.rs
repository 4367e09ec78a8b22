//! Figures with a line for each contender: rounds of p50, calls per second, processor time per call.

use super::scale::Scale;
use super::series::Series;
use super::words::{escape, number};
use crate::report::numbers::{count, range, time};
use crate::stats::absent::known;
use crate::stats::analysis::{Compared, Figures, Line};
use crate::stats::plan::Part;

/// One contender's line of one figure.
struct Strip<'a> {
    series: &'a Series,
    drawing: String,
    value: String,
}

/// A figure's words: its title, how to read it, and what its drawing and its numbers are.
struct Words<'a> {
    title: &'a str,
    how: &'a str,
    columns: [&'a str; 2],
}

/// A contender's line, with its looks.
pub(super) type Shown<'a> = (&'a Series, &'a Line);

/// All figures of a scenario that have something to show.
pub(super) fn figures(compared: &Compared, shown: &[Shown<'_>]) -> String {
    let found = [rounds(compared, shown), throughput(compared, shown), cpu(shown)];
    let found: Vec<String> = found.into_iter().flatten().collect();
    if found.is_empty() { String::new() } else { format!("<div class=\"figures\">{}</div>\n", found.concat()) }
}

/// One number of each round of a contender, and whether the round counts.
fn of_rounds(compared: &Compared, name: &str, read: fn(&Figures) -> f64) -> Vec<(usize, f64, bool)> {
    let rows = compared.rows.iter().filter(|row| row.row.part == Part::Main && row.row.contender == name);
    let values = rows.filter_map(|row| {
        let figures = row.figures.as_ref()?;
        Some((row.row.round, known(read(figures))?, figures.void.is_none()))
    });
    values.collect()
}

fn dots(scale: &Scale, rounds: &[(usize, f64, bool)]) -> String {
    let dot = |(round, value, counts): &(usize, f64, bool)| {
        // Neighbours in time stand a little above each other, so that equal ones are still counted.
        let (x, y) = (scale.at(*value), [11.0, 8.0, 14.0][round % 3]);
        let class = if *counts { "dot" } else { "dot void" };
        format!("<circle class=\"{class}\" cx=\"{x:.2}%\" cy=\"{y}\" r=\"2.4\"/>")
    };
    rounds.iter().map(dot).collect()
}

fn rounds(compared: &Compared, shown: &[Shown<'_>]) -> Option<String> {
    let read: fn(&Figures) -> f64 = |row| row.latency.p50;
    let all: Vec<_> = shown.iter().map(|(_, line)| of_rounds(compared, &line.contender, read)).collect();
    let scale = Scale::of(all.iter().flatten().map(|(_, value, _)| *value), true)?;
    let strips = shown.iter().zip(&all).map(|((series, line), rounds)| {
        let mut drawing = String::new();
        let mut value = line.medians.as_ref().map_or("-".into(), |row| number(&time(row.latency.p50)));
        if let Some(interval) = &line.p50 {
            let (low, high) = (scale.at(interval.low), scale.at(interval.high));
            drawing.push_str(&format!(
                "<line class=\"interval\" x1=\"{low:.2}%\" x2=\"{high:.2}%\" y1=\"11\" y2=\"11\"/>"
            ));
            value.push_str(&format!("<small>{}</small>", number(&range(interval, time))));
        }
        drawing.push_str(&dots(&scale, rounds));
        if let Some(row) = &line.medians {
            let x = scale.at(row.latency.p50);
            drawing.push_str(&format!("<line class=\"median\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"2\" y2=\"20\"/>"));
        }
        Strip { series, drawing, value }
    });
    let words = Words {
        title: "Half-way latency, round by round",
        how: "A dot is a round's p50, a hollow dot a void round; the upright stroke is the median of those that \
              count, and \
              the bar its 95 % interval. Dots in two clumps mean two states of the machine, which a median hides.",
        columns: ["p50 of each round", "median"],
    };
    Some(figure(&words, &scale, &strips.collect::<Vec<_>>(), time))
}

fn throughput(compared: &Compared, shown: &[Shown<'_>]) -> Option<String> {
    let read: fn(&Figures) -> f64 = |row| row.rate;
    let all: Vec<_> = shown.iter().map(|(_, line)| of_rounds(compared, &line.contender, read)).collect();
    let scale = Scale::of(all.iter().flatten().map(|(_, value, _)| *value), false)?;
    let strips = shown.iter().zip(&all).map(|((series, line), rounds)| {
        let rate = line.medians.as_ref().map(|row| row.rate).and_then(known);
        let bar = rate.map_or(String::new(), |rate| bar(series, &scale, rate, (5, 12), "bar"));
        let value = rate.map_or("-".into(), |rate| number(&count(rate)));
        Strip { series, drawing: bar + &dots(&scale, rounds), value }
    });
    let words = Words {
        title: "Calls per second",
        how: &format!("A bar is the median over rounds, a dot a round; longer is better. {}", axis_words(&scale)),
        columns: ["calls per second", "median"],
    };
    Some(figure(&words, &scale, &strips.collect::<Vec<_>>(), count))
}

fn cpu(shown: &[Shown<'_>]) -> Option<String> {
    let both = |line: &Line| line.medians.as_ref().map(|row| [row.client_cpu, row.server_cpu]);
    let scale = Scale::of(shown.iter().filter_map(|(_, line)| both(line)).flatten(), false)?;
    let strips = shown.iter().map(|(series, line)| {
        let [client, server] = both(line).unwrap_or([f64::NAN; 2]);
        let side =
            |value, place, class| known(value).map_or(String::new(), |value| bar(series, &scale, value, place, class));
        let drawing = side(client, (3, 7), "bar") + &side(server, (12, 7), "bar server");
        let value = format!("{}<small>{}</small>", number(&time(client)), number(&time(server)));
        Strip { series, drawing, value }
    });
    let words = Words {
        title: "Processor time per call",
        how: &format!(
            "The upper, full bar is the client\u{2019}s, the lower, outlined one the server\u{2019}s; shorter is \
             better. \
             Whoever spins pays here for what it gains in latency. {}",
            axis_words(&scale)
        ),
        columns: ["processor time per call", "client, server"],
    };
    Some(figure(&words, &scale, &strips.collect::<Vec<_>>(), time))
}

fn axis_words(scale: &Scale) -> &'static str {
    if scale.is_log() {
        "The axis is logarithmic: read positions off the grid, do not compare lengths."
    } else {
        "The axis begins at zero."
    }
}

/// A bar with the contender's mark at its end; its place is its top and its height.
fn bar(series: &Series, scale: &Scale, value: f64, (top, height): (u32, u32), class: &str) -> String {
    let width = scale.at(value);
    let middle = f64::from(top) + f64::from(height) / 2.0;
    let mark = if class == "bar" && height > 10 {
        series.mark(&format!("{width:.2}%"), &middle.to_string())
    } else {
        String::new()
    };
    format!("<rect class=\"{class}\" x=\"0\" y=\"{top}\" width=\"{width:.2}%\" height=\"{height}\"/>{mark}")
}

fn figure(words: &Words<'_>, scale: &Scale, strips: &[Strip<'_>], show: fn(f64) -> String) -> String {
    let grid: String = scale
        .ticks()
        .iter()
        .map(|tick| {
            let (x, class) = (scale.at(tick.value), if tick.is_main { "grid" } else { "grid fine" });
            // Beyond its own drawing, so that lines of neighbours meet.
            format!("<line class=\"{class}\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"-8\" y2=\"30\"/>")
        })
        .collect();
    let rows: String = strips
        .iter()
        .map(|strip| {
            let Strip { series, drawing, value } = strip;
            let name = escape(&series.name);
            format!(
                "<tr {}><th scope=\"row\">{}{name}</th><td class=\"drawing\"><svg class=\"strip\" width=\"100%\" \
             height=\"22\" \
             role=\"img\"><title>{name}: {}</title>{grid}{drawing}</svg></td><td>{value}</td></tr>\n",
                series.attributes(),
                series.swatch(),
                value.replace("<small>", ", ").replace("</small>", ""),
            )
        })
        .collect();
    let Words { title, how, columns: [drawing, value] } = words;
    format!(
        "<figure class=\"strips\"><figcaption><h4>{title}</h4><p>{how}</p></figcaption>\n<table><thead><tr>\
         <th scope=\"col\">contender</th><th scope=\"col\" class=\"drawing\">{drawing}</th><th \
         scope=\"col\">{value}</th></tr>\
         </thead>\n<tbody>\n{rows}</tbody>\n<tfoot><tr><td></td><td class=\"drawing\">{}</td><td></td></tr></tfoot>\
         </table></figure>\n",
        axis(scale, show)
    )
}

fn axis(scale: &Scale, show: fn(f64) -> String) -> String {
    let labels = scale.ticks().into_iter().filter(|tick| tick.is_main).map(|tick| {
        let x = scale.at(tick.value);
        let anchor = if x < 3.0 {
            "start"
        } else if x > 95.0 {
            "end"
        } else {
            "middle"
        };
        let label = if tick.value == 0.0 { "0".into() } else { number(&show(tick.value)) };
        format!("<text class=\"tick\" x=\"{x:.2}%\" y=\"13\" text-anchor=\"{anchor}\">{label}</text>")
    });
    let svg = "<svg class=\"axis\" width=\"100%\" height=\"18\" aria-hidden=\"true\">";
    format!("{svg}{}</svg>", labels.collect::<String>())
}
