//! The page and the other files.

use super::markup::elements;
use super::{NEAR, campaign, fake, usual};
use crate::contender::Group;
use crate::report::{self, Report, html, markdown, terminal, wins, write::Curves};
use crate::stats::bootstrap::Interval;
use crate::stats::extra::{Better, Extra, Unit};
use crate::stats::plan::Part;

const EVIL: &str = "<script>alert(1)</script>\"'&<";

fn page_of(report: &Report) -> String {
    let page = html::page(report, &Curves::new());
    elements(&page).unwrap_or_else(|error| panic!("{error}"));
    page
}

/// Written to a folder and read again.
fn written(fakes: &[super::Fake]) -> (tempfile::TempDir, Report, String) {
    let (report, done) = campaign(fakes, 5, NEAR);
    let folder = tempfile::tempdir().unwrap();
    report::write(folder.path(), &report, &done).unwrap();
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    (folder, report, page)
}

#[test]
fn a_page_is_sound_and_has_everybody_in_every_figure() {
    let (_folder, _, page) = written(&usual());
    let elements = elements(&page).unwrap();
    let count = |name: &str| elements.iter().filter(|element| *element == name).count();
    assert_eq!((count("h1"), count("figure"), count("path") - 8), (1, 4, usual().len()));
    for fake in usual() {
        // In the legend, at its curve and its end, in three figures, in three tables and the notes.
        assert!(page.matches(&format!("data-name=\"{}\"", fake.name)).count() >= 8, "{}", fake.name);
    }
    for said in ["METHOD.md", "BIAS.md", "What it cannot show", "tonic", "A &amp; B", "1 &lt; 2"] {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn a_page_loads_nothing_and_every_place_in_it_is_a_number() {
    let (_folder, _, page) = written(&usual());
    for wrong in ["src=", "url(", "@import", "NaN", "inf%", "http://", "<iframe", "<img", "onload"] {
        assert!(!page.contains(wrong), "{wrong}");
    }
    assert_eq!(page.matches("https://").count(), 1, "the repository, to be followed by hand");
    assert!(page.contains("content=\"default-src 'none';"));
}

#[test]
fn names_and_texts_are_never_markup() {
    let mut fakes = usual();
    fakes.push(fake(EVIL, Group::Peer, 5_000));
    let (mut report, _) = campaign(&fakes, 3, NEAR);
    report.warnings.push(EVIL.into());
    report.command = EVIL.into();
    report.compared[0].lines[0].failed = 1;
    report.compared[0].lines[0].failure = Some(EVIL.into());
    report.machine.facts.push((EVIL.into(), EVIL.into()));
    let page = page_of(&report);
    assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn what_was_written_is_read_and_gives_the_same_pages() {
    let (folder, report, page) = written(&usual());
    let again = report::read(&folder.path().join("results.json")).unwrap();
    assert_eq!(html::page(&again, &report::curves(folder.path(), &again)), page);
    assert_eq!(markdown::text(&again), markdown::text(&report));
}

#[test]
fn who_makes_no_calls_has_no_figures_and_is_read_again() {
    let fakes = usual().into_iter().map(|fake| super::Fake { p50: 0, ..fake }).collect::<Vec<_>>();
    let (folder, _, page) = written(&fakes);
    let again = report::read(&folder.path().join("results.json")).unwrap();
    assert_eq!(html::page(&again, &report::curves(folder.path(), &again)), page);
    assert!(page.contains("There are no latency curves") && !page.contains("NaN"));
}

#[test]
fn every_round_that_counts_is_an_interval_of_its_log() {
    let (folder, report, _) = written(&usual());
    let log = std::fs::read_to_string(folder.path().join("round-trip-32b.std-tcp.hlog")).unwrap();
    let of_rows =
        report.compared[0].rows.iter().filter(|row| row.row.contender == "std-tcp" && row.row.part == Part::Main);
    assert_eq!(log.lines().filter(|line| line.contains(",HISTFAAA")).count(), of_rows.count());
}

#[test]
fn a_campaign_without_a_figure_still_has_a_page() {
    let (mut report, _) = campaign(&usual(), 3, NEAR);
    for line in &mut report.compared[0].lines {
        (line.medians, line.p50, line.rounds, line.void) = (None, None, 0, 3);
    }
    report.compared[0].rows.clear();
    report.compared[0].limits = None;
    assert!(page_of(&report).contains("There are no latency curves"));
    report.scenarios.clear();
    assert!(page_of(&report).contains("Its definition is not in the results"));
    report.compared.clear();
    page_of(&report);
}

#[test]
fn rows_beside_others_on_the_cores_are_told_apart() {
    let (mut report, _) = campaign(&usual(), 6, NEAR);
    let text = markdown::text(&report);
    assert!(text.contains("took 0.29 to 0.43 of the time of six in turn: others used the same cores"), "{text}");
    assert!(text.contains("Up to 0.319 it is called alone, as 24 of 48 rows were."), "{text}");
    let apart = "x floor-spin: 6 (6..6) at distances from 95 ns alone (3 rounds), \
                 6 (6..6) at distances from 95 ns beside others (3 rounds)";
    assert!(text.contains(apart) && text.contains("x std-tcp: 1 (1..1) at distances"), "{text}");
    assert!(page_of(&report).contains("beside others (3 rounds)"));
    report.compared[0].sharing = None;
    assert!(!markdown::text(&report).contains("Six additions"));
}

#[test]
fn figures_that_only_one_scenario_has_are_a_column_and_a_race() {
    let (mut report, _) = campaign(&usual(), 3, NEAR);
    let memory = |value| Extra {
        name: "memory".into(),
        unit: Unit::Bytes,
        better: Better::Less,
        value,
        interval: Some(Interval { low: value, median: value, high: value * 4.0 }),
    };
    report.compared[0].lines[1].extras.push(memory(1_024.0));
    report.compared[0].lines[2].extras.push(memory(4_096.0));
    report.compared[0].lines[3].extras.push(Extra { interval: None, ..memory(f64::NAN) });
    // A scenario without calls has no latencies, and its columns are left out.
    for line in &mut report.compared[0].lines {
        line.medians.as_mut().unwrap().latency.p99 = f64::NAN;
    }
    let text = markdown::text(&report);
    assert!(text.contains("| memory | rounds |") && text.contains("| 1 KiB (1 KiB..4 KiB) |"), "{text}");
    assert!(
        !text.contains("| p99 |") && text.contains("* memory: before speedysvc-shm (4 KiB): ~std-tcp (1 KiB, 4 times)")
    );
    assert!(page_of(&report).contains(">memory</th>"));
    let json = serde_json::to_string(&report).unwrap();
    let again: Report = serde_json::from_str(&json).unwrap();
    assert!(again.compared[0].lines[0].medians.unwrap().latency.p99.is_nan());
    assert!(again.compared[0].lines[3].extras[0].value.is_nan());
}

#[test]
fn others_that_win_are_named_with_both_numbers() {
    let (report, _) = campaign(&usual(), 5, NEAR);
    let said = wins::said(&report, &report.compared[0]);
    let expected = "before speedysvc-shm (606 ns): floor-spin (101 ns, 6 times); \
                    before speedysvc-tcp (40.4 us): std-tcp (30.3 us, 1.33 times).";
    assert_eq!((said[0].figure.as_str(), said[0].text.as_str()), ("p50", expected));
    assert_eq!(said.len(), 4);
    assert!(terminal::text(&report).contains("round-trip-32b, p50: before speedysvc-shm"));
    let mut level = usual();
    level[1].p50 = 39_950;
    let (level, _) = campaign(&level, 5, NEAR);
    assert!(!wins::said(&level, &level.compared[0])[0].text.contains("std-tcp"), "a little is nothing");
    let (alone, _) = campaign(&usual()[2..3], 5, NEAR);
    assert_eq!(wins::said(&alone, &alone.compared[0])[0].text, "nobody is before speedysvc-shm (606 ns).");
    let (without, _) = campaign(&usual()[..2], 5, NEAR);
    assert!(wins::said(&without, &without.compared[0]).is_empty());
}

#[test]
fn a_win_on_too_few_rounds_is_marked() {
    let (few, _) = campaign(&usual(), 2, NEAR);
    assert!(wins::said(&few, &few.compared[0])[0].text.contains("~floor-spin"));
}
