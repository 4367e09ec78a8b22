//! Numbers that follow what is sent, tables that are sorted; and the same page without scripts.

use speedysvc_tests::harness::wait_for;

use super::chromium::{Browser, ENTER};
use super::turn::browse;
use crate::fixture::Dashboard;
use crate::watchers::{WATCHERS, status, watcher};

fn cell(browser: &Browser, key: &str) -> String {
    browser.text(&format!("document.querySelector('[data-k=\"{key}\"]')?.textContent"))
}

#[test]
fn numbers_follow_what_is_sent_while_the_page_is_open() {
    browse(|browser| {
        let dashboard = Dashboard::start("", "");
        browser.open(&format!("http://{}/services/test", dashboard.address));
        let client = dashboard.client();
        for _ in 0..1234 {
            client.echo("x").expect("it answers");
        }
        // The row is new, and comes without a reload.
        wait_for("1,234 calls", || cell(browser, "methods/test.echo/9") == "1,234");
        client.echo("x").expect("it answers");
        wait_for("one more", || cell(browser, "methods/test.echo/9") == "1,235");
        client.fail("on purpose").expect_err("it fails");
        wait_for("an error", || cell(browser, "methods/test.fail/2") == "100 %");
        assert_eq!(browser.text("document.getElementById('pulse').textContent"), "live");
        // Tables are sorted by a click on a head, and by the keyboard.
        let first = "document.querySelector('#methods tbody tr').dataset.row";
        browser.click("#methods th:nth-child(1) button");
        browser.wait_for(&format!("{first} === 'test.echo'"));
        browser.press(ENTER);
        browser.wait_for(&format!("{first} === 'test.fail'"));
        assert_eq!(browser.complaints(), Vec::<String>::new());
    });
}

#[test]
fn a_page_says_when_its_numbers_are_old_and_goes_on_by_itself() {
    browse(|browser| {
        let mut dashboard = Dashboard::start("", "");
        let home = dashboard.engine.home();
        home.rewrite(&format!(
            "[web]\nlisten = \"{}\"\n[service.test]\nprogram = \"test-service\"\n",
            dashboard.address
        ));
        browser.open(&format!("http://{}/", dashboard.address));
        let pulse = |text| browser.wait_for(&format!("document.getElementById('pulse').textContent === '{text}'"));
        pulse("live");
        assert_eq!(dashboard.engine.stop(), 0);
        pulse("waiting");
        let _again = Dashboard::of(&home);
        pulse("live");
    });
}

#[test]
fn a_page_that_found_no_room_comes_again_by_itself() {
    browse(|browser| {
        let dashboard = Dashboard::start("", "");
        let others: Vec<_> = (0..WATCHERS).map(|_| watcher(&dashboard, "/events?page=/")).collect();
        assert!(others.iter().all(|socket| status(socket) == "200"));
        browser.open(&format!("http://{}/services/test", dashboard.address));
        let pulse = |text| browser.wait_for(&format!("document.getElementById('pulse').textContent === '{text}'"));
        pulse("waiting");
        browser.wait_for("document.getElementById('log') && !document.querySelector('[data-following]')");
        drop(others);
        pulse("live");
        browser.wait_for("document.querySelector('[data-following]')");
    });
}

#[test]
fn without_scripts_tables_and_buttons_work() {
    browse(|browser| {
        let dashboard = Dashboard::start("", "");
        let client = dashboard.client();
        (0..200).for_each(|_| drop(client.echo("x").expect("it answers")));
        dashboard.service_when("calls", |service| service["calls"].as_u64() == Some(200));
        browser.set_scripts(false);
        browser.open(&format!("http://{}/services/test", dashboard.address));
        assert!(
            browser.source().contains("data-k=\"methods/test.echo/9\" data-sort=\"200\">200</td>"),
            "{}",
            browser.source()
        );
        browser.picture("without-scripts");
        browser.click("main .actions .danger");
        wait_for("the question", || browser.source().contains("Stop test?"));
        browser.picture("question-without-scripts");
        browser.click("main .danger");
        wait_for("the answer", || browser.source().contains("stop test: done"));
        dashboard.service_when("a stop", |service| service["state"] == "stopped");
        // What is chosen above a page is sent by its button.
        browser.open(&format!("http://{}/logs", dashboard.address));
        browser.fill("input[name=text]", "asked to");
        browser.click(".choices button");
        wait_for("what was looked for", || browser.source().contains("asked to stop test"));
    });
}
