//! Buttons that ask, and then do.

use super::chromium::ENTER;
use super::turn::browse;
use crate::fixture::Dashboard;

#[test]
fn buttons_ask_and_then_do() {
    browse(|browser| {
        let dashboard = Dashboard::start("", "");
        let shows = |key: &str, text: &str| {
            browser.wait_for(&format!("document.querySelector('[data-k=\"{key}\"]')?.textContent === '{text}'"));
        };
        let is_open = "document.getElementById('ask').open";
        browser.open(&format!("http://{}/", dashboard.address));
        shows("services/test/1", "ready");
        // Asked, and not wanted after all: by the keyboard, whose Enter is on the harmless button.
        browser.click("[data-row='test'] button.danger");
        browser.wait_for(is_open);
        browser.picture("question");
        browser.press(ENTER);
        browser.wait_for(&format!("!{is_open}"));
        // What is asked for is said before it goes out.
        assert_eq!(browser.value("document.getElementById('said').textContent"), "");
        assert_eq!(dashboard.get("/api/v1/services/test").json()["state"], "ready");

        browser.click("[data-row='test'] button.danger");
        browser.click("#yes");
        shows("services/test/1", "stopped");
        // What loses nothing asks nothing.
        browser.click("[data-row='test'] form:has(input[value='start']) button");
        shows("services/test/1", "ready");
        browser.fill("[data-row='test'] .workers", "3");
        browser.click("[data-row='test'] form:has(.workers) button");
        browser.click("#yes");
        shows("services/test/2", "3 / 3");
        dashboard
            .service_when("three workers", |service| service["workers"].as_array().is_some_and(|all| all.len() == 3));
        let workers = || dashboard.service_when("workers", |service| service["state"] == "ready")["workers"].clone();
        let before = workers();
        browser.click("[data-row='test'] form:has(input[value='restart']) button");
        browser.click("#yes");
        let pids = |workers: &serde_json::Value| -> Vec<i64> {
            workers.as_array().into_iter().flatten().filter_map(|worker| worker["pid"].as_i64()).collect()
        };
        let old = pids(&before);
        dashboard.service_when("three others", |service| {
            let now = pids(&service["workers"]);
            now.len() == 3 && now.iter().all(|pid| !old.contains(pid))
        });
        // The same buttons are on the page of the service; what cannot be done is said.
        browser.open(&format!("http://{}/services/test", dashboard.address));
        browser.fill(".title .workers", "99");
        browser.click(".title form:has(.workers) button");
        browser.click("#yes");
        browser.wait_for("document.getElementById('said').textContent.includes('scale test: not done')");
        // The file is read again from its page.
        browser.open(&format!("http://{}/config", dashboard.address));
        browser.click(".title form:has(input[value='reload']) button");
        browser.click("#yes");
        browser.wait_for("document.getElementById('said').textContent.includes('reload: done')");
        // Whoever did it is in the log, and nobody did what was not wanted.
        browser.open(&format!("http://{}/logs?text=asked+to", dashboard.address));
        for said in ["asked to stop test", "asked to start test"] {
            browser.wait_for(&format!("document.getElementById('log').textContent.includes('{said}')"));
        }
        let stops = browser.value("document.getElementById('log').textContent.split('asked to stop test').length - 1");
        assert_eq!(stops, 1);
    });
}
