//! A part of a chart, and the whole again.

use speedysvc_tests::harness::wait_for;

use super::looks::{dashboard_in_use, settle};
use super::turn::browse;

const FIGURE: &str = "document.querySelector('[data-chart]').dataset";

#[test]
fn a_drag_across_a_chart_shows_that_part_until_a_double_click() {
    browse(|browser| {
        let dashboard = dashboard_in_use();
        browser.open(&format!("http://{}/", dashboard.address));
        settle(browser);
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
        // A page that is opened at once knows one moment.
        let whole = span();
        let [from, to]: [f64; 2] = serde_json::from_str(&whole).expect("two moments");
        assert!(to - from < 3600.0, "{whole}: nothing is so old");
        browser.mouse(&[
            (left, top, &["pointerDown"]),
            (left + wide / 2, top, &[]),
            (left + wide, top, &["pointerUp"]),
        ]);
        let earlier = format!("JSON.parse({FIGURE}.span)[1] < JSON.parse('{whole}')[1]");
        browser.wait_for(&earlier);
        // What comes meanwhile does not take it away.
        let (part, before) = (span(), drawn());
        browser.wait_for(&format!("Number({FIGURE}.drawn) > {}", before + 1));
        assert_eq!(span(), part);
        let twice = ["pointerDown", "pointerUp", "pointerDown", "pointerUp"];
        // Two clicks are a double click when less than half a second is between them, which a slow machine may need.
        wait_for("the whole again", || {
            browser.mouse(&[(left, top, &twice)]);
            browser.value(&format!("!({earlier})")) == true
        });
        assert_eq!(browser.complaints(), Vec::<String>::new());
    });
}
