//! A browser that stops answering fails no test, and hides none that fails.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rustix::process::Signal;
use speedysvc_tests::harness::proc::signal;

use super::chromium::Browser;
use super::turn::browse;

/// What a browser that is stopped will not need.
const SHORT: Duration = Duration::from_secs(1);

fn stop(browser: &Browser) {
    signal(browser.pid(), Signal::STOP);
}

#[test]
fn a_browser_that_stops_answering_is_replaced_and_the_test_begins_again() {
    let pids = Cell::new(Vec::new());
    browse(|browser| {
        let mut seen = pids.take();
        seen.push(browser.pid());
        pids.set(seen.clone());
        if seen.len() == 1 {
            stop(browser);
            browser.within(SHORT, || browser.value("1 + 1"));
        }
        assert_eq!(browser.value("1 + 1"), 2);
    });
    let pids = pids.take();
    assert!(pids.is_empty() || (pids.len() == 2 && pids[0] != pids[1]), "{pids:?}");
}

#[test]
fn a_browser_is_replaced_once() {
    let turns = Cell::new(0);
    let test = || {
        browse(|browser| {
            turns.set(turns.get() + 1);
            stop(browser);
            browser.within(SHORT, || browser.value("1 + 1"));
        });
    };
    let failed = catch_unwind(AssertUnwindSafe(test)).is_err();
    assert!(turns.get() == 0 || (turns.get() == 2 && failed), "{}", turns.get());
}

#[test]
fn what_a_page_gets_wrong_fails_at_once_and_leaves_the_browser_to_others() {
    let turns = Cell::new(0);
    let test = || {
        browse(|browser| {
            turns.set(turns.get() + 1);
            assert_eq!(browser.value("1 + 1"), 3, "on purpose");
        });
    };
    let failed = catch_unwind(AssertUnwindSafe(test)).is_err();
    assert!(turns.get() == 0 || (turns.get() == 1 && failed), "{}", turns.get());
    browse(|browser| assert_eq!(browser.value("1 + 1"), 2));
}

#[test]
fn a_picture_that_cannot_be_kept_fails_nothing() {
    let turns = Cell::new(0);
    browse(|browser| {
        turns.set(turns.get() + 1);
        browser.picture("no/such/folder/picture");
        assert_eq!(browser.value("1 + 1"), 2, "the browser goes on");
    });
    assert!(turns.get() <= 1);
}

#[test]
fn a_picture_that_is_not_answered_is_left_out_the_next_time() {
    let turns = Cell::new(0);
    browse(|browser| {
        turns.set(turns.get() + 1);
        if turns.get() == 1 {
            stop(browser);
        }
        browser.within(SHORT, || browser.picture("never-taken"));
        assert_eq!(turns.get(), 2);
    });
    assert!(turns.get() == 0 || turns.get() == 2);
}
