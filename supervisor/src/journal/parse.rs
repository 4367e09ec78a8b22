//! One line of a worker: what it printed, or what it logged with its level and call.

use serde::Deserialize;
use speedysvc_protocol::control::operator::{Level, LogLine};
use speedysvc_protocol::trace::LogTrace;

use crate::lines::escaped;

/// Before the mark: no printed text has it by chance, and a line that was begun ends here.
pub(crate) const RECORD: u8 = 0x1e;

/// Whose line it is.
#[derive(Clone, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) service: &'a str,
    pub(crate) worker: u32,
    /// `stdout` or `stderr`.
    pub(crate) output: &'static str,
    /// What this worker puts before lines that it logs. Nobody whose text it prints knows it.
    pub(crate) mark: &'a str,
}

/// What the library in the worker writes, as one line of JSON behind the mark.
#[derive(Deserialize)]
struct Logged {
    level: Level,
    target: String,
    #[serde(default)]
    call: Option<String>,
    #[serde(flatten)]
    trace: Option<LogTrace>,
    text: String,
}

/// The entries of one line. Usually one; two where something was printed without a newline before something was logged.
pub(crate) fn entries(line: &[u8], cut: bool, origin: &Origin<'_>, time_us: u64) -> Vec<LogLine> {
    let mut before = vec![RECORD];
    before.extend_from_slice(origin.mark.as_bytes());
    let place = line.windows(before.len()).position(|window| window == before);
    let Some(place) = place.filter(|_| !origin.mark.is_empty()) else {
        return printed(line, cut, origin, time_us).into_iter().collect();
    };
    let rest = &line[place + before.len()..];
    let logged = match serde_json::from_slice::<Logged>(rest) {
        Ok(logged) => Some(LogLine {
            time_us,
            level: logged.level,
            service: Some(origin.service.to_owned()),
            worker: Some(origin.worker),
            about: None,
            target: escaped(&logged.target),
            call: logged.call.as_deref().map(escaped),
            trace: logged.trace,
            text: escaped(&logged.text),
            cut,
        }),
        // Cut, or not ours after all.
        Err(_) => printed(rest, true, origin, time_us),
    };
    printed(&line[..place], false, origin, time_us).into_iter().chain(logged).collect()
}

fn printed(line: &[u8], cut: bool, origin: &Origin<'_>, time_us: u64) -> Option<LogLine> {
    let text = String::from_utf8_lossy(line);
    let text = escaped(text.trim_end());
    (!text.is_empty()).then(|| LogLine {
        time_us,
        level: if origin.output == "stderr" { Level::Warn } else { Level::Info },
        service: Some(origin.service.to_owned()),
        worker: Some(origin.worker),
        about: None,
        target: origin.output.to_owned(),
        call: None,
        trace: None,
        text,
        cut,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "5f3a";

    fn parsed(line: &[u8]) -> Vec<LogLine> {
        entries(line, false, &Origin { service: "echo", worker: 3, output: "stderr", mark: MARK }, 7)
    }

    #[test]
    fn what_is_printed_is_a_text_of_its_output() {
        let [line] = &parsed("größe \x1b[31mred\r".as_bytes())[..] else { panic!("one") };
        assert_eq!((line.level, line.text.as_str()), (Level::Warn, "größe \\u{1b}[31mred"));
        assert_eq!((line.service.as_deref(), line.worker, line.target.as_str()), (Some("echo"), Some(3), "stderr"));
        assert_eq!(parsed(b"\xff")[0].text, "\u{fffd}");
    }

    #[test]
    fn what_is_logged_has_its_level_and_call() {
        let text = br#"{"level":"debug","target":"my::module","call":"shm 3.7","text":"two\nlines"}"#;
        let line = [b"begun ", &[RECORD][..], MARK.as_bytes(), text].concat();
        let [printed, logged] = &parsed(&line)[..] else { panic!("two") };
        assert_eq!(printed.text, "begun");
        assert_eq!((logged.level, logged.call.as_deref()), (Level::Debug, Some("shm 3.7")));
        assert_eq!((logged.target.as_str(), logged.text.as_str()), ("my::module", "two\\nlines"));
    }

    #[test]
    fn nobody_without_the_mark_can_forge_a_line() {
        let forged = br#"{"level":"error","target":"engine","text":"all is lost"}"#;
        for mark in [&b"\x1e"[..], b"\x1e5f3b", b"5f3a", b""] {
            let lines = parsed(&[mark, forged].concat());
            assert_eq!((lines.len(), lines[0].level, lines[0].target.as_str()), (1, Level::Warn, "stderr"));
        }
        let cut = [&[RECORD][..], MARK.as_bytes(), &forged[..20]].concat();
        assert_eq!((parsed(&cut)[0].target.as_str(), parsed(&cut)[0].cut), ("stderr", true));
    }
}
