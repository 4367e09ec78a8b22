//! Baselines with known answers.

use super::{FAR, Fake, NEAR, campaign, usual};
use crate::report::baseline::{Against, against};
use crate::report::{html, markdown, terminal};
use crate::stats::regression::{Judgement, Measured};

fn compared(before: &[Fake], now: &[Fake], (rounds, distance): (usize, f64), allowed: f64) -> Against {
    let (before, _) = campaign(before, 5, NEAR);
    let (now, _) = campaign(now, rounds, distance);
    against(&now, &before, "before/results.json", allowed)
}

/// Everybody takes this many percent of what they took.
fn slower(who: &str, percent: u64) -> Vec<Fake> {
    let mut fakes = usual();
    fakes
        .iter_mut()
        .filter(|fake| who.is_empty() || fake.name == who)
        .for_each(|fake| fake.p50 = fake.p50 * percent / 100);
    fakes
}

fn judgement(against: &Against, contender: &str, measured: Measured) -> Judgement {
    let found = against.changes.iter().find(|change| change.contender == contender && change.measured == measured);
    found.expect("it was compared").judgement
}

fn reasons(against: &Against) -> Vec<String> {
    against.not_compared.iter().map(|skipped| format!("{}: {}", skipped.what, skipped.why)).collect()
}

#[test]
fn the_same_again_is_no_change() {
    let found = compared(&usual(), &usual(), (5, NEAR), 0.0);
    assert_eq!((found.changes.len(), found.not_compared.len(), found.doubts.len()), (6, 0, 0));
    assert!(found.changes.iter().all(|change| change.judgement == Judgement::Same && change.part().abs() < 0.01));
    assert!(!found.has_regressed());
}

#[test]
fn a_machine_that_is_slower_for_all_is_no_regression() {
    assert!(!compared(&usual(), &slower("", 300), (5, NEAR), 0.1).has_regressed());
}

#[test]
fn a_contender_that_is_slower_than_the_floor_explains_is_one() {
    let found = compared(&usual(), &slower("speedysvc-shm", 130), (5, NEAR), 0.1);
    assert!(found.has_regressed());
    for measured in Measured::ALL {
        assert_eq!(judgement(&found, "speedysvc-shm", measured), Judgement::Worse, "{measured}");
        assert_eq!(judgement(&found, "std-tcp", measured), Judgement::Same, "{measured}");
    }
    assert!(found.doubts.is_empty(), "{:?}", found.doubts);
    let p50 = &found.changes.iter().find(|change| change.contender == "speedysvc-shm").unwrap();
    assert!((p50.part() - 0.3).abs() < 0.01, "{}", p50.part());
}

#[test]
fn what_is_allowed_is_allowed() {
    let worse = slower("speedysvc-shm", 130);
    assert!(compared(&usual(), &worse, (5, NEAR), 0.25).has_regressed());
    assert!(!compared(&usual(), &worse, (5, NEAR), 0.4).has_regressed());
    let better = compared(&worse, &usual(), (5, NEAR), 0.1);
    assert_eq!(judgement(&better, "speedysvc-shm", Measured::P50), Judgement::Better);
    assert_eq!(judgement(&better, "speedysvc-shm", Measured::Throughput), Judgement::Better);
}

#[test]
fn others_that_are_worse_as_well_make_it_doubtful() {
    let found = compared(&usual(), &slower("std-tcp", 150), (5, NEAR), 0.1);
    assert!(found.has_regressed() && found.doubts[0].contains("look at the machine"));
}

#[test]
fn what_cannot_be_compared_says_why() {
    let few = compared(&usual(), &usual(), (2, NEAR), 0.1);
    assert!(few.changes.is_empty() && few.not_compared.len() == 6);
    assert!(
        reasons(&few)[0]
            .contains("std-tcp in round-trip-32b: too few rounds at one distance: 5 in the baseline, 2 now")
    );
    let far = compared(&usual(), &usual(), (5, FAR), 0.1);
    assert!(reasons(&far)[0].ends_with("the processors were never as far from each other"), "{:?}", reasons(&far));
    let gone = compared(&usual(), &usual()[..3], (5, NEAR), 0.1);
    assert_eq!(reasons(&gone), ["speedysvc-tcp in round-trip-32b: it did not take part now"]);
    let new = compared(&usual()[..3], &usual(), (5, NEAR), 0.1);
    assert_eq!(reasons(&new), ["speedysvc-tcp in round-trip-32b: it is not in the baseline"]);
}

#[test]
fn another_definition_or_another_machine_is_said() {
    let (before, _) = campaign(&usual(), 5, NEAR);
    let (mut now, _) = campaign(&usual(), 5, NEAR);
    now.scenarios[0].what = "other words".into();
    now.machine.facts[0].1 = "C".into();
    now.span_ms = 50;
    let found = against(&now, &before, "b", 0.1);
    assert_eq!((found.changes.len(), found.doubts.len()), (6, 2));
    assert!(found.doubts[0].contains("processor was `A & B`, and is `C`"));
    now.scenarios[0].depth = 2;
    assert_eq!(reasons(&against(&now, &before, "b", 0.1)), ["round-trip-32b: its definition has changed"]);
    now.compared[0].scenario = "other".into();
    let both = ["other: it is not in the baseline", "round-trip-32b: it was not run now"];
    assert_eq!(reasons(&against(&now, &before, "b", 0.1)), both);
}

#[test]
fn everybody_is_told() {
    let (before, _) = campaign(&usual(), 5, NEAR);
    let (mut now, _) = campaign(&slower("speedysvc-shm", 200), 5, NEAR);
    now.baseline = Some(against(&now, &before, "b<", 0.1));
    for text in [terminal::text(&now), markdown::text(&now)] {
        assert!(text.contains("WORSE") && text.contains("+100.0 %") && text.contains("The baseline is b<"), "{text}");
    }
    let page = html::page(&now, &Default::default());
    super::markup::elements(&page).unwrap_or_else(|error| panic!("{error}"));
    assert!(page.contains("<tr class=\"worse\">") && page.contains("The baseline is b&lt;"));
}
