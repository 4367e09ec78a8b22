//! How far a campaign is, in one line of a terminal.
//!
//! It is drawn before a row, never during one: nothing of ours runs while something is measured.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::stats::plan::{Part, Row};

const BAR: usize = 24;
/// Narrower than this, there is a bar and nothing else.
const WIDTH_MIN: usize = 40;

/// The line, where standard error is a terminal.
pub(crate) struct Progress {
    all: usize,
    begun: Instant,
    is_terminal: bool,
}

impl Progress {
    /// Of so many rows.
    pub(crate) fn new(all: usize) -> Self {
        Self { all, begun: Instant::now(), is_terminal: io::stderr().is_terminal() }
    }

    /// Says that this row comes now, when so many are done.
    pub(crate) fn before(&self, done: usize, row: &Row) {
        if self.is_terminal {
            let line = line(done, self.all, self.begun.elapsed(), &what(row), width());
            // A terminal that has gone must not end the campaign.
            write!(io::stderr(), "\r\x1b[K{line}").ok();
        }
    }

    /// Clears the line.
    pub(crate) fn end(&self) {
        if self.is_terminal {
            write!(io::stderr(), "\r\x1b[K").ok();
        }
    }
}

fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(80)
}

fn what(row: &Row) -> String {
    let Row { scenario, contender, round, .. } = row;
    match row.part {
        Part::Main => format!("round {}: {scenario}, {contender}", round + 1),
        Part::Same | Part::Again => format!("A/A run {}: {scenario}, {contender}", round + 1),
    }
}

/// The line, short enough not to be broken.
fn line(done: usize, all: usize, elapsed: Duration, what: &str, width: usize) -> String {
    let filled = (BAR * done).checked_div(all).unwrap_or(BAR).min(BAR);
    let bar = format!("[{}{}] {done}/{all}", "=".repeat(filled), " ".repeat(BAR - filled));
    if width < WIDTH_MIN {
        return bar.chars().take(width.saturating_sub(1)).collect();
    }
    let left = match u32::try_from(done) {
        Ok(done @ 1..) => {
            let rest = u32::try_from(all).unwrap_or(u32::MAX).saturating_sub(done);
            clock((elapsed / done).saturating_mul(rest))
        }
        _ => "?".into(),
    };
    let line = format!("{bar}, {} gone, {left} left; {what}", clock(elapsed));
    line.chars().take(width - 1).collect()
}

/// `0:07`, `2:05:00`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_how_long() {
        let line = |done, width| line(done, 96, Duration::from_secs(60), "round 2: s, std-tcp", width);
        assert_eq!(line(24, 120), "[======                  ] 24/96, 1:00 gone, 3:00 left; round 2: s, std-tcp");
        assert!(line(0, 120).contains("[                        ] 0/96, 1:00 gone, ? left"));
        assert!(line(96, 120).contains("[========================] 96/96, 1:00 gone, 0:00 left"));
    }

    #[test]
    fn a_line_fits_its_terminal() {
        for width in 0..100 {
            assert!(line(3, 10, Duration::from_secs(7_500), "round 1: ü", width).chars().count() < width.max(1));
        }
        assert_eq!(clock(Duration::from_secs(7_500)), "2:05:00");
    }
}
