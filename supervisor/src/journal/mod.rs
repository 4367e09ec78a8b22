//! The log: lines of the engine and of its workers, kept in memory, shown on standard error or written to files.
//!
//! | module    | idea |
//! |-----------|------|
//! | `capture` | an output of a worker, cut into lines |
//! | `parse`   | a line of a worker becomes an entry: printed, or logged with level and call |
//! | `ration`  | how many lines a worker may have in a while |
//! | `tail`    | the last lines, in memory |
//! | `files`   | JSON lines on disk, put aside by size and age, by a thread of its own |
//! | `detached`| standard error behind a thread of its own |
//!
//! Nothing here ever waits: a full disk or a terminal that stands still costs lines, which are counted, and no call.

mod capture;
mod detached;
mod files;
mod parse;
mod ration;
mod tail;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use speedysvc_config::Log;
use speedysvc_protocol::control::operator::{Level, LogLine};
use speedysvc_protocol::trace::LogTrace;

pub(crate) use capture::Capture;
pub(crate) use detached::Detached;
use files::Files;
pub(crate) use parse::Origin;
use ration::Ration;
pub(crate) use tail::Tail;

use crate::lines::Lines;
use crate::policy::count;

/// See the module's text.
pub(crate) struct Journal<'l> {
    lines: Lines<'l>,
    tail: Tail,
    files: Option<Files>,
    settings: Log,
    rations: BTreeMap<(String, u32), Ration>,
    /// Lines that came too fast, or could not be written.
    lost: Arc<AtomicU64>,
}

impl<'l> Journal<'l> {
    pub(crate) fn new(lines: Lines<'l>, settings: Log, lost: Arc<AtomicU64>) -> Self {
        let mut journal = Self { lines, tail: Tail::default(), files: None, settings, rations: BTreeMap::new(), lost };
        journal.open_files();
        journal
    }

    /// Other files from now on.
    pub(crate) fn configure(&mut self, settings: Log) {
        if settings != self.settings {
            self.settings = settings;
            self.open_files();
        }
    }

    fn open_files(&mut self) {
        // The old ones are finished first.
        self.files = None;
        if self.settings.dir.is_none() {
            return;
        }
        match Files::open(&self.settings, Arc::clone(&self.lost)) {
            Ok(files) => self.files = Some(files),
            Err(error) => {
                let dir = self.settings.dir.clone().unwrap_or_default();
                let why = format!("cannot write log files to {}: {error}; lines go to standard error", dir.display());
                self.say(Level::Error, &why);
            }
        }
    }

    /// To standard output, for whoever waits for the start.
    pub(crate) fn announce(&mut self, text: &str) {
        self.lines.announce(text);
        self.keep(engines(None, Level::Info, text));
    }

    /// A line of the engine itself: always on standard error, too.
    pub(crate) fn say(&mut self, level: Level, text: &str) {
        self.lines.say(text);
        self.keep(engines(None, level, text));
    }

    /// The same, about a service: whoever looks for that service's lines finds it, too.
    pub(crate) fn say_of(&mut self, service: &str, level: Level, text: &str) {
        self.lines.say(text);
        self.keep(engines(Some(service), level, text));
    }

    /// A line that a worker wrote.
    pub(crate) fn worker_wrote(&mut self, line: &[u8], cut: bool, origin: &Origin<'_>, now: Duration) {
        let ration = self.rations.entry((origin.service.to_owned(), origin.worker)).or_default();
        if !ration.admit(now) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let left_out = ration.take_left_out();
        self.say_left_out(origin.service, origin.worker, left_out);
        for entry in parse::entries(line, cut, origin, now_us()) {
            self.show(&entry);
            self.keep(entry);
        }
    }

    /// A worker is gone: so are its rations.
    pub(crate) fn worker_ended(&mut self, service: &str, worker: u32) {
        if let Some(mut ration) = self.rations.remove(&(service.to_owned(), worker)) {
            self.say_left_out(service, worker, ration.take_left_out());
        }
    }

    fn say_left_out(&mut self, service: &str, worker: u32, left_out: u64) {
        if left_out > 0 {
            let lines = count(usize::try_from(left_out).unwrap_or(usize::MAX), "line");
            self.say(Level::Warn, &format!("{service} worker {worker} wrote too fast: {lines} left out"));
        }
    }

    pub(crate) const fn tail(&self) -> &Tail {
        &self.tail
    }

    /// How many lines were left out so far.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn show(&mut self, entry: &LogLine) {
        if self.files.is_none() {
            self.lines.show(&line_of(entry));
        }
    }

    fn keep(&mut self, entry: LogLine) {
        if let Some(files) = &self.files {
            files.write(&entry);
        }
        self.tail.push(entry);
    }
}

/// `echo worker 3: WARN my::module [shm 1.7]: text`; what was printed has neither level nor module.
fn line_of(entry: &LogLine) -> String {
    let service = entry.service.as_deref().unwrap_or("engine");
    let worker = entry.worker.map(|worker| format!(" worker {worker}")).unwrap_or_default();
    let call = entry.call.as_ref().map(|call| format!(" [{call}]")).unwrap_or_default();
    let trace = entry.trace.as_ref().map(LogTrace::to_string).unwrap_or_default();
    let cut = if entry.cut { "…" } else { "" };
    let printed = matches!(entry.target.as_str(), "stdout" | "stderr");
    let about =
        if printed { String::new() } else { format!(" {} {}", entry.level.as_str().to_uppercase(), entry.target) };
    format!("{service}{worker}:{about}{call}{trace}{} {}{cut}", if printed { "" } else { ":" }, entry.text)
}

fn engines(about: Option<&str>, level: Level, text: &str) -> LogLine {
    LogLine {
        time_us: now_us(),
        level,
        service: None,
        worker: None,
        about: about.map(str::to_owned),
        target: "engine".to_owned(),
        call: None,
        trace: None,
        text: crate::lines::escaped(text),
        cut: false,
    }
}

/// For people only: nothing is decided by it.
fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
