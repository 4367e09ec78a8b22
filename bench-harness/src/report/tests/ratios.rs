//! The table of ratios, of contenders whose ratios are known.

use super::{Fake, NEAR, campaign, experiment, fake, report, scenario, usual};
use crate::contender::Group;
use crate::report::table::Table;
use crate::report::{Report, html, markdown, ratios, write::Curves};
use crate::stats::plan::Part;

fn table(report: &Report) -> Option<Table> {
    ratios::table(report, &report.scenarios[0], &report.compared[0])
}

/// The cells of a contender's line of these rounds, by their columns.
fn line<'a>(table: &'a Table, contender: &str, rounds: &str) -> Vec<(&'a str, &'a str)> {
    let row = table.rows.iter().find(|row| row[0] == contender && row.last().unwrap() == rounds);
    let row = row.unwrap_or_else(|| panic!("no {contender}, {rounds}: {:?}", table.rows));
    table.head.iter().zip(row).map(|(column, cell)| (column.as_str(), cell.as_str())).collect()
}

#[test]
fn every_figure_has_its_ratio_to_the_floor_and_to_a_plain_socket() {
    let table = table(&campaign(&usual(), 5, NEAR).0).unwrap();
    let six = ["p50 x floor", "p99 x floor", "CPU x floor"];
    let ours = line(&table, "speedysvc-shm", "5; 5");
    for (column, cell) in &ours[1..9] {
        let expected = match *column {
            "calls/s x floor" => "0.167",
            "calls/s x plain" => "50",
            column if six.contains(&column) => "6",
            _ => "0.02",
        };
        assert_eq!(*cell, format!("{expected} ({expected}..{expected})"), "{column}");
    }
    // Nobody is compared with itself, but by the A/A run.
    let cells = |contender, rounds| line(&table, contender, rounds).into_iter().map(|(_, cell)| cell);
    assert!(cells("std-tcp", "5").skip(5).take(4).all(|cell| cell == "-"));
    assert!(cells("std-tcp", "5, itself").skip(1).take(4).all(|cell| cell == "-"));
    assert!(cells("std-tcp", "5, itself").skip(5).take(4).all(|cell| cell == "1 (1..1)"));
    assert_eq!(table.rows.len(), usual().len() + 2);
}

/// Void rounds are in a line of their own, and only there.
#[test]
fn void_rounds_are_told_apart() {
    let fakes = usual();
    let (_, mut done) = campaign(&fakes, 6, NEAR);
    // In half of the rounds others took the processor, and calls took ten times as long.
    for done in done.iter_mut().filter(|done| done.row.part == Part::Main && done.row.contender == "speedysvc-shm") {
        let outcome = done.outcome.as_mut().unwrap();
        if done.row.round < 3 {
            outcome.steal_ticks = 100;
            outcome.seconds *= 10.0;
        }
    }
    let report = report(&fakes, experiment(), &scenario(&fakes), &done, 6);
    let table = table(&report).unwrap();
    let rate =
        |rounds| line(&table, "speedysvc-shm", rounds).into_iter().find(|(column, _)| *column == "calls/s x floor");
    assert_eq!(rate("3; 3").unwrap().1, "0.167 (0.167..0.167)");
    assert_eq!(rate("6; 6, all").unwrap().1, "0.092 (0.017..0.167)");
}

/// What a reference differs from itself by, in this very figure, is no difference.
#[test]
fn a_ratio_inside_of_the_resolution_is_marked() {
    let fakes = [fake("floor-spin", Group::Floor, 100), fake("speedysvc-shm", Group::Ours, 110)];
    let (_, mut done) = campaign(&fakes, 6, NEAR);
    for done in done.iter_mut().filter(|done| done.row.part == Part::Again && done.row.round < 3) {
        done.outcome.as_mut().unwrap().seconds *= 1.25;
    }
    // A server that works three times as much as its client: twice as much for both.
    for done in done.iter_mut().filter(|done| done.row.contender == "speedysvc-shm") {
        done.outcome.as_mut().unwrap().server.cpu_ns *= 3;
    }
    let table = table(&report(&fakes, experiment(), &scenario(&fakes), &done, 6)).unwrap();
    let itself = line(&table, "floor-spin", "6, itself");
    assert_eq!(
        itself[1..4],
        [("p50 x floor", "1 (1..1)"), ("p99 x floor", "1 (1..1)"), ("calls/s x floor", "0.9 (0.8..1)")]
    );
    let ours = line(&table, "speedysvc-shm", "6");
    assert_eq!((ours[1].1, ours[3].1), ("1.1 (1.1..1.1)", "~0.91 (0.909..0.911)"));
    assert_eq!(ours[4], ("CPU x floor", "2.2 (2.2..2.2)"));
}

#[test]
fn pages_have_the_table_where_there_is_somebody_to_compare_with() {
    let (report, _) = campaign(&usual(), 5, NEAR);
    let page = html::page(&report, &Curves::new());
    for text in [markdown::text(&report), page] {
        assert!(text.contains("calls/s x plain") && text.contains("0.167"), "{text}");
    }
    let alone: &[Fake] = &usual()[2..3];
    assert!(table(&campaign(alone, 5, NEAR).0).is_none());
}
