//! One line of the log, as it is kept, sent and written to files.

use serde::{Deserialize, Serialize};

use super::Level;
use crate::trace::LogTrace;

/// One line of the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogLine {
    /// Microseconds since 1970, UTC. For people: nothing is decided by it.
    pub time_us: u64,
    /// How bad.
    pub level: Level,
    /// Whose; `None` for the engine's own.
    pub service: Option<String>,
    /// Which worker; `None` for the engine's own.
    pub worker: Option<u32>,
    /// Which service a line of the engine's own is about, where it is about one. No worker can write this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// `stdout` or `stderr` when it was printed, the module's path when it was logged.
    pub target: String,
    /// The call that was being served.
    pub call: Option<String>,
    /// The trace that this call belongs to.
    #[serde(flatten)]
    pub trace: Option<LogTrace>,
    /// The text, with control characters escaped.
    pub text: String,
    /// Whether it was too long, and cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

impl LogLine {
    /// The service that wrote it, or that it is about.
    #[must_use]
    pub fn whose(&self) -> Option<&str> {
        self.service.as_deref().or(self.about.as_deref())
    }

    /// Whether it belongs to the lines of a service.
    #[must_use]
    pub fn is_of(&self, service: &str) -> bool {
        self.whose() == Some(service)
    }
}
