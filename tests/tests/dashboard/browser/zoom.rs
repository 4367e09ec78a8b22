//! A part of a chart, and the whole again.

use super::chromium::Turn;
use super::looks::{dashboard_in_use, settle};

const FIGURE: &str = "document.querySelector('[data-chart]').dataset";

#[test]
fn a_drag_across_a_chart_shows_that_part_until_a_double_click() {
    let dashboard = dashboard_in_use();
    let Some(browser) = Turn::take() else { return };
    browser.open(&format!("http://{}/", dashboard.address));
    settle(&browser);
    let span = || browser.text(&format!("{FIGURE}.span"));
    let drawn = || browser.value(&format!("Number({FIGURE}.drawn)")).as_u64().expect("a count");
    let place = |part: &str, of: &str| {
        let frame = "document.querySelector('.u-over').getBoundingClientRect()";
        let place = browser.value(&format!("Math.round({frame}.{part} + {frame}.{of} / 10)"));
        place.as_i64().expect("a place")
    };
    let (left, top) = (place("left", "width"), place("top", "height"));
    let wide =
        browser.value("Math.round(document.querySelector('.u-over').clientWidth / 2)").as_i64().expect("a width");
    let whole = span();
    browser.mouse(&[(left, top, &["pointerDown"]), (left + wide / 2, top, &[]), (left + wide, top, &["pointerUp"])]);
    let earlier = format!("JSON.parse({FIGURE}.span)[1] < JSON.parse('{whole}')[1]");
    browser.wait_for(&earlier);
    // What comes meanwhile does not take it away.
    let (part, before) = (span(), drawn());
    browser.wait_for(&format!("Number({FIGURE}.drawn) > {}", before + 1));
    assert_eq!(span(), part);
    let twice = ["pointerDown", "pointerUp", "pointerDown", "pointerUp"];
    browser.mouse(&[(left, top, &twice)]);
    browser.wait_for(&format!("!({earlier})"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
