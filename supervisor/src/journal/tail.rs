//! The last lines, in memory.

use std::collections::VecDeque;

use speedysvc_protocol::control::operator::{LogLine, LogQuery};

/// Most bytes of the lines that are kept.
const BYTES_MAX: usize = 4 << 20;
/// Most of them in one answer.
pub(crate) const ANSWER_MAX: usize = 10_000;

/// The last lines, each with a number that counts up.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    lines: VecDeque<LogLine>,
    bytes: usize,
    /// The number of the next line.
    next: u64,
}

fn weight(line: &LogLine) -> usize {
    size_of::<LogLine>() + line.text.len() + line.target.len()
}

impl Tail {
    pub(crate) fn push(&mut self, line: LogLine) {
        self.bytes += weight(&line);
        self.lines.push_back(line);
        self.next += 1;
        while self.bytes > BYTES_MAX {
            self.bytes -= self.lines.pop_front().as_ref().map_or(self.bytes, weight);
        }
    }

    /// The number that the next line will have.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Lines from a number on that fit, and how many of them are not there any more.
    pub(crate) fn since(&self, number: u64, query: &LogQuery) -> (Vec<LogLine>, u64) {
        let first = self.next - self.lines.len() as u64;
        let skip = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
        let fitting = self.lines.iter().skip(skip).filter(|line| fits(line, query));
        (fitting.take(ANSWER_MAX).cloned().collect(), first.saturating_sub(number))
    }

    /// The last lines that fit, oldest first.
    pub(crate) fn last(&self, query: &LogQuery) -> Vec<LogLine> {
        let count = usize::try_from(query.tail).unwrap_or(usize::MAX).min(ANSWER_MAX);
        let mut lines: Vec<_> = self.lines.iter().rev().filter(|line| fits(line, query)).take(count).cloned().collect();
        lines.reverse();
        lines
    }
}

fn fits(line: &LogLine, query: &LogQuery) -> bool {
    query.service.as_ref().is_none_or(|service| line.is_of(service))
        && query.worker.is_none_or(|worker| line.worker == Some(worker))
        && query.level.is_none_or(|level| line.level >= level)
        && query.text.as_ref().is_none_or(|text| has(line, text))
}

/// In its text, or as the id of its trace.
fn has(line: &LogLine, text: &str) -> bool {
    line.text.contains(text) || line.trace.as_ref().is_some_and(|trace| trace.trace_id == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use speedysvc_protocol::control::operator::Level;

    fn line(level: Level, text: &str) -> LogLine {
        let (service, target) = (Some("echo".to_owned()), "stdout".to_owned());
        LogLine {
            time_us: 1,
            level,
            service,
            worker: Some(0),
            about: None,
            target,
            call: None,
            trace: None,
            text: text.to_owned(),
            cut: false,
        }
    }

    #[test]
    fn the_oldest_go_first_and_are_missed() {
        let mut tail = Tail::default();
        let text = "x".repeat(BYTES_MAX / 10);
        (0..20).for_each(|_| tail.push(line(Level::Info, &text)));
        assert!(tail.bytes <= BYTES_MAX);
        let (lines, missed) = tail.since(0, &LogQuery::default());
        assert_eq!((lines.len() as u64 + missed, tail.next()), (20, 20));
        assert!(missed >= 11);
        assert_eq!(tail.since(20, &LogQuery::default()).0, []);
    }

    #[test]
    fn lines_are_found_by_level_text_and_origin() {
        let mut tail = Tail::default();
        for (level, text) in [(Level::Info, "one"), (Level::Error, "two"), (Level::Warn, "three")] {
            tail.push(line(level, text));
        }
        let found = |query: LogQuery| tail.last(&query).into_iter().map(|line| line.text).collect::<Vec<_>>();
        let all = LogQuery { tail: 10, ..LogQuery::default() };
        assert_eq!(found(LogQuery { tail: 2, ..LogQuery::default() }), ["two", "three"]);
        assert_eq!(found(LogQuery { level: Some(Level::Warn), ..all.clone() }), ["two", "three"]);
        assert_eq!(found(LogQuery { text: Some("ne".to_owned()), ..all.clone() }), ["one"]);
        assert_eq!(found(LogQuery { service: Some("other".to_owned()), ..all.clone() }), [""; 0]);
        let about = |service: &str| Some(service.to_owned());
        let own = LogLine { service: None, worker: None, about: about("other"), ..line(Level::Warn, "it died") };
        assert!(fits(&own, &LogQuery { service: about("other"), ..all.clone() }), "what the engine says of a service");
        assert!(!fits(&own, &LogQuery { service: about("echo"), ..all.clone() }));
        assert_eq!(found(LogQuery { worker: Some(1), ..all }), [""; 0]);
    }
}
