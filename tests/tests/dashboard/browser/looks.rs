//! Every page, wide and narrow, light and dark.

use std::fs;

use serde_json::Value;

use super::chromium::Browser;
use super::turn::browse;
use crate::fixture::Dashboard;

pub const PAGES: [(&str, &str); 8] = [
    ("overview", "/"),
    ("service", "/services/test"),
    ("latency", "/latency?service=test&seconds=60"),
    ("loops", "/loops"),
    ("clients", "/clients"),
    ("log", "/logs"),
    ("configuration", "/config"),
    ("bench", "/bench"),
];

/// A report as the bench harness writes it.
const REPORT: &str = "# A report\n\nHow fast it was.\n\n**round-trip**\n\n| contender | p50 | p99 |\n|---|--:|--:|\n\
                      | speedysvc-shm | 300 ns | 410 ns |\n| a-plain-socket | 8.10 µs | 12.0 µs |\n";

/// With two workers, a bench report, and calls of several kinds.
pub fn dashboard_in_use() -> Dashboard {
    let dashboard = Dashboard::start("report = \"report\"", "workers = 2");
    let folder = dashboard.engine.home().path().join("report");
    fs::create_dir(&folder).expect("it is new");
    fs::write(folder.join("results.md"), REPORT).expect("it is new");
    let client = dashboard.client();
    for round in 0..200_u64 {
        client.echo("x").expect("it answers");
        if round % 20 == 0 {
            client.sleep_ms(round / 20).expect("it answers");
            client.fail("on purpose").expect_err("it fails");
        }
    }
    client
        .print("a line from a worker, as long as some of them are: with a path/to/a/file and a reason", false)
        .expect("it answers");
    dashboard.service_when("220 calls", |service| service["calls"].as_u64() >= Some(220));
    dashboard
}

/// Waits until a page is whole: its figures are drawn, and its first update has come where there are any.
pub fn settle(browser: &Browser) {
    browser.wait_for("document.readyState === 'complete'");
    browser.wait_for("[...document.querySelectorAll('[data-chart]')].every((one) => one.dataset.drawn)");
    let main = "document.querySelector('main').dataset";
    browser.wait_for(&format!("!{main}.live || Number({main}.updates) > 0"));
}

/// Names of what sticks out of its figure.
const CUT_OFF: &str = "[...document.querySelectorAll('figure')].flatMap((figure) => {
    const frame = figure.getBoundingClientRect();
    return [...figure.querySelectorAll('figcaption, canvas, .u-legend, .u-series, .u-label, .u-value')]
        .filter((one) => one.checkVisibility())
        .filter((one) => { const box = one.getBoundingClientRect();
            return box.right > frame.right + 1 || box.left < frame.left - 1 || box.bottom > frame.bottom + 1; })
        .map((one) => `${figure.dataset.chart}: ${one.className} ${one.textContent}`);
})";

/// Texts whose contrast with what is behind them is below 4.5, which WCAG 2.2 asks for (1.4.3).
const FAINT: &str = "(() => {
    const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (colour) => { const [r, g, b] = parts(colour).map((v) => v / 255)
        .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const behind = (one) => { for (; one; one = one.parentElement) {
        const colour = getComputedStyle(one).backgroundColor; if ((parts(colour)[3] ?? 1) === 1) return colour; }
        return 'rgb(255, 255, 255)'; };
    const own = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    return [...document.querySelectorAll('body *')].filter((one) => own(one) && one.checkVisibility())
        .filter((one) => { const [a, b] = [light(getComputedStyle(one).color), light(behind(one))];
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5; })
        .map((one) => `${one.tagName}.${one.className} ${one.textContent.slice(0, 40)}`);
})()";

#[test]
fn no_page_has_an_error_wide_or_narrow_light_or_dark() {
    browse(|browser| {
        let dashboard = dashboard_in_use();
        for (width, dark) in [(1440, false), (1440, true), (390, false), (390, true)] {
            browser.set(width, 900, dark);
            for (name, path) in PAGES {
                let name = format!("{name}-{width}-{}", if dark { "dark" } else { "light" });
                browser.open(&format!("http://{}{path}", dashboard.address));
                settle(browser);
                assert_eq!(browser.overhang(), 0, "{name} is wider than its window");
                browser.picture(&name);
                for (what, script) in [("is cut off", CUT_OFF), ("is too faint", FAINT)] {
                    assert_eq!(browser.value(script), Value::Array(Vec::new()), "{name}: {what}");
                }
                assert_eq!(browser.complaints(), Vec::<String>::new(), "{name}");
            }
        }
        let hosts = "performance.getEntriesByType('resource').map((one) => new URL(one.name).host)";
        let foreign = format!("{hosts}.filter((host) => host !== location.host)");
        assert_eq!(browser.value(&foreign), Value::Array(Vec::new()), "nothing comes from elsewhere");
    });
}
