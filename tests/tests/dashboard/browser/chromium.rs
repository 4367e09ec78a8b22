//! A browser: started, and told what to do.

use std::cell::Cell;
use std::env;
use std::error::Error;
use std::fs;
use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use speedysvc_tests::harness::{PATIENCE, Process, look_for, wait_until};

use super::webdriver::Session;

/// Where Debian has them, and what names others.
const PROGRAMS: [(&str, &str); 2] = [("CHROMIUM", "/usr/bin/chromium"), ("CHROMEDRIVER", "/usr/bin/chromedriver")];

/// Keys of a keyboard, as WebDriver writes them.
pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";

/// Pixels of a picture, at most.
const TALLEST: f64 = 4000.0;
/// What a picture may take. Without it a test goes on from its beginning, so it may be less than a slow machine needs.
const PICTURE: Duration = Duration::from_secs(30);

/// Where they are, or why there is none, and nobody insists on it.
fn programs() -> Option<[PathBuf; 2]> {
    let found = PROGRAMS.map(|(name, usual)| env::var_os(name).map_or_else(|| PathBuf::from(usual), PathBuf::from));
    if found.iter().all(|program| program.exists()) {
        return Some(found);
    }
    assert!(env::var_os("CI").is_none(), "there is no {} or no {}", found[0].display(), found[1].display());
    say("SKIPPED: no chromium; apt-get install chromium chromium-driver");
    None
}

/// Also where a test passes, whose output is kept back otherwise.
pub fn say(line: &str) {
    writeln!(stderr(), "{line}").ok();
}

pub struct Browser {
    session: Session,
    /// Whether a test's pictures are taken.
    has_eyes: Cell<bool>,
    /// Ended behind the session.
    _driver: Process,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one; `None` where there is none.
    pub fn start() -> Option<Self> {
        let [chromium, chromedriver] = programs()?;
        // A profile of its own, so that nothing of another run is in it.
        let profile = tempfile::Builder::new().prefix("spb").tempdir().expect("a folder can be made");
        let mut command = Command::new(&chromedriver);
        command.arg("--port=0");
        let mut driver = Process::start(command);
        let line = driver.wait_for_line("was started successfully on port ");
        let port = line.rsplit(' ').next().expect("a port").trim_end_matches('.').to_owned();
        let session = Session::begin(format!("127.0.0.1:{port}"), capabilities(&chromium, profile.path()));
        Some(Self { session, has_eyes: Cell::new(true), _driver: driver, _profile: profile })
    }

    /// Forgets what the test before has set.
    pub fn renew(&self) {
        self.has_eyes.set(true);
        self.set_scripts(true);
        self.set(1440, 900, false);
        self.open("about:blank");
        self.complaints();
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.session.pid()
    }

    /// From now on until the end of this test no picture is taken.
    pub fn close_eyes(&self) {
        self.has_eyes.set(false);
    }

    /// Does something in this time, or throws [`super::webdriver::Silent`].
    pub fn within<T>(&self, patience: Duration, act: impl FnOnce() -> T) -> T {
        let usual = self.session.set_patience(patience);
        let done = act();
        self.session.set_patience(usual);
        done
    }

    pub fn open(&self, url: &str) {
        self.session.post("url", &json!({ "url": url }));
    }

    /// The value of an expression in the page.
    pub fn value(&self, expression: &str) -> Value {
        self.session.post("execute/sync", &json!({ "script": format!("return {expression};"), "args": [] }))
    }

    /// The same, as text.
    pub fn text(&self, expression: &str) -> String {
        self.value(expression).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true.
    pub fn wait_for(&self, expression: &str) {
        let holds = format!("Boolean({expression})");
        wait_until(expression, || (self.value(&holds) == Value::Bool(true)).then_some(()));
    }

    /// Does something with what a selector finds first, as soon as that is possible: it may not be there yet, lie under
    /// something else, or be replaced between finding and doing.
    fn with(&self, css: &str, command: &str, parameters: &Value) {
        let mut why = String::new();
        let done = look_for(PATIENCE, || {
            let found = self.session.ask("element", &json!({ "using": "css selector", "value": css }));
            let done = found.and_then(|found| {
                let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
                self.session.ask(&format!("element/{}/{command}", id.unwrap_or_default()), parameters)
            });
            done.map_err(|error| why = error).ok()
        });
        assert!(done.is_some(), "{command} {css}: {why}");
    }

    /// Clicks what a selector finds first, as a hand does: visible, and nothing over it.
    pub fn click(&self, css: &str) {
        self.with(css, "click", &json!({}));
    }

    /// Types into what a selector finds first, after emptying it.
    pub fn fill(&self, css: &str, text: &str) {
        self.with(css, "clear", &json!({}));
        self.with(css, "value", &json!({ "text": text }));
    }

    /// Presses a key wherever the focus is.
    pub fn press(&self, key: &str) {
        let keys = ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key }));
        self.session.post("actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": keys }] }));
    }

    /// Moves the mouse to these places of the window and does what stands beside each: `pointerDown`, `pointerUp`.
    pub fn mouse(&self, steps: &[(i64, i64, &[&str])]) {
        let mut actions = Vec::new();
        for (x, y, then) in steps {
            actions.push(json!({ "type": "pointerMove", "duration": 50, "x": x, "y": y }));
            actions.extend(then.iter().map(|kind| json!({ "type": kind, "button": 0 })));
        }
        self.session.post("actions", &json!({ "actions": [{ "type": "pointer", "id": "mouse", "actions": actions }] }));
    }

    /// What is on the console and is worse than a note, since the last look.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.session.post("se/log", &json!({ "type": "browser" }));
        log.as_array().into_iter().flatten().map(Value::to_string).collect()
    }

    /// A window of this size, light or dark.
    pub fn set(&self, width: u32, height: u32, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.tool("Emulation.setEmulatedMedia", &media);
        self.tool("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Without scripts, or with them again.
    pub fn set_scripts(&self, on: bool) {
        self.tool("Emulation.setScriptExecutionDisabled", &json!({ "value": !on }));
    }

    /// A command of the developer tools.
    fn tool(&self, name: &str, parameters: &Value) -> Value {
        self.session.post("goog/cdp/execute", &json!({ "cmd": name, "params": parameters }))
    }

    /// The page's HTML as the browser has it.
    pub fn source(&self) -> String {
        self.session.get("source").as_str().unwrap_or_default().to_owned()
    }

    /// By how many pixels the page is wider than its window.
    pub fn overhang(&self) -> i64 {
        let over = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.value(over).as_i64().expect("a number of pixels")
    }

    /// Keeps a picture of the whole page, to be looked at: that there is none is said, and fails nothing.
    pub fn picture(&self, name: &str) {
        if !self.has_eyes.get() {
            return say(&format!("no picture `{name}`: the browser before this one did not answer"));
        }
        // In the middle of a navigation there is no page: its width is 0, and its next frame never comes.
        self.wait_for("document.readyState === 'complete' && document.documentElement.clientWidth > 0");
        if let Err(why) = self.within(PICTURE, || self.take_picture(name)) {
            say(&format!("no picture `{name}`: {why}"));
        }
    }

    fn take_picture(&self, name: &str) -> Result<(), Box<dyn Error>> {
        let ask = |name: &str, parameters: &Value| {
            self.session.ask("goog/cdp/execute", &json!({ "cmd": name, "params": parameters }))
        };
        let size = &ask("Page.getLayoutMetrics", &json!({}))?["cssContentSize"];
        let height = size["height"].as_f64().map(|height| height.min(TALLEST));
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1 });
        let picture = ask("Page.captureScreenshot", &json!({ "captureBeyondViewport": true, "clip": clip }))?;
        let picture = picture["data"].as_str().ok_or("it is no text")?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{name}.png")), base64::engine::general_purpose::STANDARD.decode(picture)?)?;
        Ok(())
    }
}

fn capabilities(chromium: &Path, profile: &Path) -> Value {
    let profile = format!("--user-data-dir={}", profile.display());
    // By a pipe it ends with its driver, whatever that dies of. Containers have little room in /dev/shm.
    let mut args = vec![&*profile, "--headless=new", "--remote-debugging-pipe", "--disable-dev-shm-usage"];
    args.extend(["--disable-gpu", "--no-first-run", "--hide-scrollbars"]);
    if rustix::process::geteuid().is_root() {
        // It refuses to be root otherwise.
        args.push("--no-sandbox");
    }
    json!({
        "browserName": "chrome",
        "goog:chromeOptions": { "binary": chromium, "args": args },
        "goog:loggingPrefs": { "browser": "WARNING" },
    })
}
