//! One browser for all tests of this program: whoever has its turn has it as new, and the last one ends it. One that
//! stops answering is replaced, so that it fails no test, and none after it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::chromium::{Browser, say};
use super::webdriver::Silent;

/// Held by all that wait for their turn, so that the browser stays as long as there is one.
type Shared = Mutex<Option<Browser>>;

fn shared() -> Arc<Shared> {
    static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let new = Arc::new(Mutex::new(None));
        *shared = Arc::downgrade(&new);
        new
    })
}

/// Runs a test in the browser as soon as it is its turn, and again from its beginning if the browser stops answering in
/// the middle: in a new one, and once. Whatever else goes wrong fails it at once. Where there is no browser, and nobody
/// insists on one, that is said.
pub fn browse(test: impl Fn(&Browser)) {
    let shared = shared();
    let mut place = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(browser) = place.take().filter(can_go_on).or_else(new) else { return };
    let Some(silent) = run(&mut place, browser, &test) else { return };
    say(&format!("{silent}: the test begins again, in a new browser and without pictures"));
    let Some(browser) = new() else { return };
    browser.close_eyes();
    if let Some(silent) = run(&mut place, browser, &test) {
        panic!("{silent}, and neither did another one before it");
    }
}

/// Gives the browser back unless it has become silent: what it did not answer.
fn run(place: &mut Option<Browser>, browser: Browser, test: &impl Fn(&Browser)) -> Option<String> {
    let thrown = catch_unwind(AssertUnwindSafe(|| test(&browser))).err().map(|thrown| thrown.downcast::<Silent>());
    if let Some(Ok(silent)) = thrown {
        return Some(silent.0);
    }
    // A test that failed leaves nothing behind that the next one does not set anew.
    *place = Some(browser);
    thrown.map(|failure| resume_unwind(failure.err().expect("it is not silent")))
}

fn new() -> Option<Browser> {
    let browser = Browser::start()?;
    browser.renew();
    Some(browser)
}

/// Whether a browser survived the test before.
fn can_go_on(browser: &Browser) -> bool {
    let goes_on = catch_unwind(AssertUnwindSafe(|| browser.renew())).is_ok();
    if !goes_on {
        say("the browser does not survive the test before this one: there will be a new one");
    }
    goes_on
}
