//! What whoever writes the log of this process wants to know of the loop: how much to log. For which call is in
//! `speedysvc_protocol::context`.
//!
//! The engine itself logs nothing. Whoever hosts it (`speedysvc::serve`) installs the writer.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use speedysvc_protocol::control::operator::Level;

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static CHANGED: OnceLock<fn()> = OnceLock::new();

/// Lines are wanted from this level up. Changed by the supervisor, at any time.
#[must_use]
pub fn level() -> Level {
    Level::ALL[usize::from(LEVEL.load(Ordering::Relaxed)).min(Level::ALL.len() - 1)]
}

/// What is called after each change of the level; the first caller's stays.
pub fn when_level_changes(told: fn()) {
    // A second one would be a second writer, which there is not.
    let _first = CHANGED.set(told);
}

pub(crate) fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
    if let Some(told) = CHANGED.get() {
        told();
    }
}
