//! The log: filtered, searched, followed.

use speedysvc_tests::harness::{Home, wait_for};

use super::chromium::ENTER;
use super::turn::browse;
use crate::fixture::{Dashboard, LONG};
use speedysvc_tests::test_service::TestServiceClient;

const LINES: &str = "[...document.querySelectorAll('#log p')]";

#[test]
fn lines_are_filtered_and_searched() {
    browse(|browser| {
        let service = |name: &str| format!("[service.{name}]\nprogram = \"test-service\"\n");
        let home = Home::new(&format!("[web]\nlisten = \"127.0.0.1:0\"\n{}{}", service("one"), service("two")));
        let dashboard = Dashboard::of(&home);
        for name in ["one", "two"] {
            let client = TestServiceClient::connect(&dashboard.engine.address(name)).expect("it is ready");
            let client = client.with_timeout(LONG);
            client.print(&format!("a needle of {name}"), false).expect("it answers");
            client.log(&format!("logged by {name}")).expect("it answers");
        }
        let all = |what: &str| browser.wait_for(&format!("{LINES}.length > 0 && {LINES}.every((one) => {what})"));
        wait_for("both services", || {
            dashboard.get("/api/v1/services").json().as_array().is_some_and(|all| all.len() == 2)
        });
        browser.open(&format!("http://{}/logs", dashboard.address));
        for name in ["one", "two"] {
            browser.wait_for(&format!("{LINES}.some((one) => one.textContent.includes('a needle of {name}'))"));
        }
        // Whoever chooses sees it at once.
        browser.click("select[name=service] option[value=two]");
        browser.wait_for("location.search.includes('service=two')");
        all("one.querySelector('i').textContent.startsWith('two/')");
        browser.click("select[name=level] option[value=warn]");
        browser.wait_for("location.search.includes('level=warn')");
        all("['warn', 'error'].includes(one.className)");
        browser.click("select[name=level] option[value='']");
        browser.wait_for("location.search.includes('level=&')");
        browser.click("select[name=service] option[value='']");
        browser.wait_for("location.search.includes('service=&')");
        browser.fill("input[name=text]", "a needle of one");
        browser.press(ENTER);
        browser.wait_for("location.search.includes('needle')");
        all("one.textContent.includes('a needle of one')");
        assert_eq!(browser.complaints(), Vec::<String>::new());
    });
}

#[test]
fn a_log_that_is_followed_stays_at_its_end_and_one_that_is_read_does_not() {
    browse(|browser| {
        let dashboard = Dashboard::start("", "");
        let client = dashboard.client();
        browser.open(&format!("http://{}/logs", dashboard.address));
        browser.wait_for("document.querySelector('[data-log]').dataset.following === 'yes'");
        let print = |name: &str, lines: u32| {
            (0..lines).for_each(|line| client.print(&format!("{name} {line}"), false).expect("it answers"));
            browser.wait_for(&format!(
                "{LINES}.some((one) => one.querySelector('span').textContent.endsWith('{name} {}'))",
                lines - 1
            ));
        };
        let is_at_end = "(() => { const log = document.getElementById('log');
            return log.scrollHeight > log.clientHeight
                && log.scrollTop + log.clientHeight >= log.scrollHeight - 2; })()";
        print("first", 150);
        browser.wait_for(is_at_end);
        browser.click("#follow");
        browser.value("document.getElementById('log').scrollTo(0, 0)");
        print("second", 20);
        assert_eq!(browser.value("document.getElementById('log').scrollTop"), 0);
        browser.click("#follow");
        print("third", 1);
        browser.wait_for(is_at_end);
        assert_eq!(browser.complaints(), Vec::<String>::new());
    });
}
