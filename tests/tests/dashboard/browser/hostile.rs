//! Text from outside that would like to be more than text: lines of the log, names in addresses, a client's program, a
//! bench report. What a service or a method may be called is checked when the file and the contract are read.

use std::fs;

use serde_json::Value;

use super::chromium::Browser;
use super::looks::settle;
use super::turn::browse;
use crate::fixture::Dashboard;

const HOSTILE: [&str; 6] = [
    "<script>window.hit = 1</script>",
    "<img src=x onerror=\"window.hit = 1\">",
    "\"><svg onload=window.hit=1>",
    "</pre></p></main><script>window.hit=1</script>",
    "javascript:window.hit=1",
    "{{7*7}}${7*7}' onmouseover='window.hit=1",
];

/// As long as a process's name may be.
const NAME: &str = "<img src=x>\"'&b";

/// Nothing of it became an element, and nothing ran.
fn assert_text(browser: &Browser, what: &str) {
    assert_eq!(browser.value("window.hit ?? null"), Value::Null, "{what}");
    let strangers = "main :is(script, svg, img, iframe, [onerror], [onload], [onmouseover])";
    assert_eq!(browser.value(&format!("document.querySelectorAll('{strangers}').length")), 0, "{what}");
    assert_eq!(browser.value("document.querySelectorAll('[href^=\"javascript:\"]').length"), 0, "{what}");
}

#[test]
fn lines_of_the_log_are_text_also_while_they_come() {
    browse(|browser| {
        let dashboard = Dashboard::start("", "");
        let client = dashboard.client();
        HOSTILE.iter().for_each(|line| client.print(line, true).expect("it answers"));
        browser.open(&format!("http://{}/logs", dashboard.address));
        browser.wait_for("document.querySelector('[data-log]').dataset.following === 'yes'");
        let lines = "[...document.querySelectorAll('#log p span')].map((one) => one.textContent)";
        let shown = |line: &str, times: u64| {
            let line = Value::String(line.to_owned());
            browser.wait_for(&format!("{lines}.filter((text) => text.includes({line})).length >= {times}"));
        };
        HOSTILE.iter().for_each(|line| shown(line, 1));
        assert_text(browser, "drawn by the server");
        // Those that come while the page is open are set by the script.
        HOSTILE.iter().for_each(|line| client.print(line, true).expect("it answers"));
        HOSTILE.iter().for_each(|line| shown(line, 2));
        assert_text(browser, "set by the script");
    });
}

#[test]
fn names_in_addresses_of_clients_and_in_reports_are_text() {
    browse(|browser| {
        let dashboard = Dashboard::start("report = \"report\"", "");
        let folder = dashboard.engine.home().path().join("report");
        fs::create_dir(&folder).expect("it is new");
        fs::write(folder.join("results.md"), format!("**{0}**\n| {0} |\n", HOSTILE.join(" "))).expect("it is new");
        let _client = dashboard.client();
        // A program may call itself anything.
        let own = fs::read_to_string("/proc/self/comm").expect("it is ours");
        fs::write("/proc/self/comm", NAME).expect("it is ours");
        browser.open(&format!("http://{}/clients", dashboard.address));
        fs::write("/proc/self/comm", own.trim_end()).expect("it is ours");
        let shown = Value::String(NAME.to_owned());
        browser
            .wait_for(&format!("[...document.querySelectorAll('#shm td')].some((one) => one.textContent === {shown})"));
        assert_text(browser, "the clients");
        for path in [
            "/bench",
            "/services/test",
            "/logs?text=%3Cscript%3Ewindow.hit%3D1%3C/script%3E&service=%22%3E%3Cimg%20src=x%20onerror=window.hit=1%3E",
            "/latency?service=%3Csvg%20onload%3Dwindow.hit%3D1%3E&method=%22%3E%3Cscript%3Ewindow.hit%3D1%3C/script%3E",
            "/services/%3Cscript%3Ewindow.hit=1%3C%2Fscript%3E",
            "/act?verb=%3Cscript%3Ewindow.hit=1%3C/script%3E",
        ] {
            browser.open(&format!("http://{}{path}", dashboard.address));
            if browser.value("Boolean(document.querySelector('main'))") == true {
                settle(browser);
            }
            assert_text(browser, path);
        }
    });
}

/// What a page cannot do even if something got into it.
#[test]
fn the_policy_stops_what_would_get_in() {
    browse(|browser| {
        let dashboard = Dashboard::start("", "");
        browser.open(&format!("http://{}/", dashboard.address));
        let inline = "const one = document.createElement('script'); one.textContent = 'window.hit = 1';
            document.body.append(one);
            const image = document.createElement('div'); image.innerHTML = '<img src=x onerror=\"window.hit = 1\">';
            document.body.append(image)";
        browser.value(&format!("(() => {{ {inline} }})()"));
        browser.wait_for("document.querySelector('img').complete");
        assert_eq!(browser.value("window.hit ?? null"), Value::Null);
        let complaints = browser.complaints().join("\n");
        assert!(complaints.contains("Content Security Policy"), "{complaints}");
    });
}
