//! What a service logs with `tracing`: under a supervisor it arrives in its log with level, module and call; alone it
//! is shown on standard error.
//!
//! Invariant: a handler never waits for whoever reads its log. A line that finds no room is counted, and the next one
//! that does says how many were lost.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use speedysvc_core::log;
use speedysvc_protocol::context;
use speedysvc_protocol::control::LOG_MARK_ENV;
use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::trace::LogTrace;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// A pipe that is writable has room for this much (`PIPE_BUF`), and takes it in one piece.
const LINE_MAX: usize = 4096;
/// Begins a record; the mark that only the supervisor and we know comes behind it.
const RECORD: char = '\u{1e}';

/// From now on events go to the supervisor's log. A service that has installed a subscriber of its own keeps it.
pub(super) fn install() {
    let mark = std::env::var(LOG_MARK_ENV).ok().filter(|mark| !mark.is_empty());
    let ours = tracing_subscriber::registry().with(Writer { mark, lost: AtomicU64::new(0) });
    if tracing::subscriber::set_global_default(ours).is_ok() {
        log::when_level_changes(tracing::callsite::rebuild_interest_cache);
    }
}

struct Writer {
    /// `None` when no supervisor reads.
    mark: Option<String>,
    lost: AtomicU64,
}

impl<S: Subscriber> Layer<S> for Writer {
    fn enabled(&self, about: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        level_of(about) >= log::level()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match log::level() {
            Level::Trace => LevelFilter::TRACE,
            Level::Debug => LevelFilter::DEBUG,
            Level::Info => LevelFilter::INFO,
            Level::Warn => LevelFilter::WARN,
            Level::Error => LevelFilter::ERROR,
        })
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        self.write(event.metadata(), text.0);
    }
}

impl Writer {
    fn write(&self, about: &Metadata<'_>, mut text: String) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            text.insert_str(0, &format!("({lost} lines before this one found no room) "));
        }
        let mut line = self.line(about, &text);
        while line.len() > LINE_MAX {
            text = text.chars().take(text.chars().count() / 2).collect();
            text.push('…');
            line = self.line(about, &text);
        }
        if !(has_room() && io::stderr().write_all(line.as_bytes()).is_ok()) {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }

    fn line(&self, about: &Metadata<'_>, text: &str) -> String {
        let level = level_of(about);
        let Some(mark) = &self.mark else {
            return format!("{} {}: {text}\n", level.as_str().to_uppercase(), about.target());
        };
        let served = context::served();
        let call = served.map(|served| served.call.to_string());
        let mut entry = serde_json::json!({ "level": level, "target": about.target(), "call": call, "text": text });
        if let Some(LogTrace { trace_id, span_id }) = served.and_then(|served| served.trace).map(LogTrace::from) {
            (entry["trace_id"], entry["span_id"]) = (trace_id.into(), span_id.into());
        }
        format!("{RECORD}{mark}{entry}\n")
    }
}

fn level_of(about: &Metadata<'_>) -> Level {
    match *about.level() {
        tracing::Level::TRACE => Level::Trace,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::INFO => Level::Info,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::ERROR => Level::Error,
    }
}

fn has_room() -> bool {
    let stderr = io::stderr();
    let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// The message, and `name=value` for every other field.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match (field.name(), self.0.is_empty()) {
            ("message", true) => write!(self.0, "{value:?}"),
            // The message comes first, wherever it stands.
            ("message", false) => {
                self.0 = format!("{value:?} {}", self.0);
                Ok(())
            }
            (name, true) => write!(self.0, "{name}={value:?}"),
            (name, false) => write!(self.0, " {name}={value:?}"),
        };
        // A value whose own Debug fails is the service's affair.
        written.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that is logged, as `Text` has it.
    #[derive(Clone, Default)]
    struct Seen(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Seen {
        fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
            let mut text = Text::default();
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }
    }

    #[test]
    fn the_message_comes_first_and_fields_follow() {
        let seen = Seen::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(seen.clone()), || {
            tracing::info!(size = 3, name = "x", "made a {}", "thumbnail");
            tracing::warn!(only = true);
        });
        assert_eq!(*seen.0.lock().unwrap(), ["made a thumbnail size=3 name=\"x\"", "only=true"]);
    }

    #[test]
    fn records_are_one_line_of_json_behind_the_mark() {
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Lines), || {
            tracing::error!("two\nlines \u{1e} {}", "ä".repeat(9000));
        });
    }

    /// Looks at each line itself.
    struct Lines;

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
            let mut text = Text::default();
            event.record(&mut text);
            let writer = Writer { mark: Some("5f3a".to_owned()), lost: AtomicU64::new(0) };
            let line = writer.line(event.metadata(), &text.0);
            let entry = line.strip_prefix("\u{1e}5f3a").unwrap().strip_suffix('\n').unwrap();
            assert!(!entry.contains('\n') && !entry.contains('\u{1e}'), "{entry}");
            let entry: serde_json::Value = serde_json::from_str(entry).unwrap();
            assert_eq!((&entry["level"], &entry["text"]), (&"error".into(), &text.0.into()));
        }
    }
}
