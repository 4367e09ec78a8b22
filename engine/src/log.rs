//! What whoever writes the log of this process wants to know of the loop: how much to log, and for which call.
//!
//! The engine itself logs nothing. Whoever hosts it (`speedysvc::serve`) installs the writer.

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::ids::{CallId, LinkId};
use speedysvc_protocol::shm::seq::Seq;

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static CHANGED: OnceLock<fn()> = OnceLock::new();

thread_local! {
    /// Written before each handler and never cleared: on this thread nobody but handlers logs.
    static CALL: Cell<Option<Call>> = const { Cell::new(None) };
}

/// Which call a handler serves, as it is named in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// Over shared memory: the link, and the call's number in its slot.
    Shm(LinkId, Seq),
    /// In a frame of a socket, with the number that the client gave it.
    Frame(CallId),
    /// Over HTTP, where calls have no number.
    Http,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shm(link, seq) => write!(f, "link {} call {}", link.0, seq.word()),
            Self::Frame(id) => write!(f, "frame {}", id.0),
            Self::Http => f.write_str("http"),
        }
    }
}

/// The call that is served on this thread; `None` on a thread that a handler has started.
#[must_use]
pub fn call() -> Option<Call> {
    CALL.get()
}

/// The next handler on this thread serves this call.
pub(crate) fn serve(call: Call) {
    CALL.set(Some(call));
}

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
