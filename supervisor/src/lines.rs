//! What people read. Standard output has what a start script waits for; standard error has everything else.

use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

/// The longest text of a worker or a client that is shown.
const LONGEST: usize = 1000;

/// Where lines go.
pub(crate) struct Lines<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { out, err }
    }

    /// To standard output.
    pub(crate) fn announce(&mut self, line: &str) {
        // Nobody listens any more: no reason to stop serving.
        writeln!(self.out, "{line}").and_then(|()| self.out.flush()).ok();
    }

    /// To standard error: the engine's own.
    pub(crate) fn say(&mut self, line: &str) {
        self.show(&format!("speedysvc: {line}"));
    }

    /// To standard error, in one piece.
    pub(crate) fn show(&mut self, line: &str) {
        // As above.
        self.err.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.err.flush()).ok();
    }
}

/// Text from a worker or a client, on one line, without control characters that a terminal would follow and without
/// marks that turn the direction of writing.
pub(crate) fn plain(text: &str) -> String {
    up_to(LONGEST, text.trim())
}

/// As [`plain`], of any length.
pub(crate) fn escaped(text: &str) -> String {
    up_to(usize::MAX, text)
}

fn up_to(longest: usize, text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        if plain.len() >= longest {
            plain.push('…');
            break;
        }
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            write!(plain, "{}", c.escape_default()).expect("a String takes everything");
        } else {
            plain.push(c);
        }
    }
    plain
}

/// Lets so many lines through in a while: a hostile client must not be able to fill a disk with complaints about it.
#[derive(Debug, Default)]
pub(crate) struct Ration {
    since: Duration,
    said: u32,
    left_out: u32,
}

impl Ration {
    const LINES: u32 = 10;
    const WHILE: Duration = Duration::from_secs(10);

    /// May a line be said now, and how many were left out before it?
    pub(crate) fn admit(&mut self, now: Duration) -> Option<u32> {
        if now.saturating_sub(self.since) >= Self::WHILE {
            (self.since, self.said) = (now, 0);
        }
        if self.said == Self::LINES {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.said += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_spoken_to() {
        assert_eq!(plain("no model at /m\n\x1b[31mred"), "no model at /m\\n\\u{1b}[31mred");
        assert_eq!(plain("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(plain("größe"), "größe");
        assert!(plain(&"x".repeat(5000)).len() < 1010);
    }

    #[test]
    fn floods_are_cut_and_counted() {
        let mut ration = Ration::default();
        let now = Duration::from_secs(100);
        assert_eq!((0..50).filter(|_| ration.admit(now) == Some(0)).count(), 10);
        assert_eq!(ration.admit(now + Duration::from_secs(10)), Some(40));
        assert_eq!(ration.admit(now + Duration::from_secs(10)), Some(0));
    }
}
