//! Every button and link without a mouse.

use serde_json::json;

use super::chromium::{ENTER, TAB};
use super::looks::{PAGES, dashboard_in_use, settle};
use super::turn::browse;

/// All that can be reached, in the order of the page.
const ALL: &str = "[...document.querySelectorAll('a[href], button, input, select, [tabindex=\"0\"]')]
    .filter((one) => one.checkVisibility() && one.type !== 'hidden')";

/// Which of them has the focus, whether that is seen, and whether it is in the window.
const FOCUSED: &str = "(() => {
    const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
    const marked = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
    const seen = box.right > 0 && box.left < innerWidth && box.bottom > 0 && box.top < innerHeight;
    return [window.all.indexOf(one), marked, seen];
})()";

#[test]
fn everything_is_reached_by_tab_and_the_focus_is_seen() {
    browse(|browser| {
        let dashboard = dashboard_in_use();
        for (name, path) in PAGES {
            browser.open(&format!("http://{}{path}", dashboard.address));
            settle(browser);
            let count = browser.value(&format!("(window.all = {ALL}).length")).as_u64().expect("a count");
            assert!(count > 8, "{name}: the navigation alone has as many");
            for place in 0..count {
                browser.press(TAB);
                let what = format!("window.all[{place}].outerHTML.slice(0, 120)");
                assert_eq!(browser.value(FOCUSED), json!([place, true, true]), "{name}: {}", browser.text(&what));
            }
        }
    });
}

#[test]
fn the_first_tab_leads_past_the_navigation() {
    browse(|browser| {
        let dashboard = dashboard_in_use();
        browser.open(&format!("http://{}/", dashboard.address));
        settle(browser);
        browser.press(TAB);
        browser.press(ENTER);
        browser.press(TAB);
        browser.wait_for("document.activeElement.closest('main')");
    });
}
