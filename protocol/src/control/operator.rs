//! What operators and the dashboard say to the supervisor, and what it answers.
//!
//! A Unix stream socket in the namespace's folder ([`SOCKET_NAME`]). Each request is one line of JSON, at most
//! [`REQUEST_MAX`] bytes; each reply is one line of JSON. One request has one reply, except [`Request::Logs`] with
//! `follow`, whose replies end with the connection. Only the supervisor's own user and root are heard.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::stats::{Counter, Histogram, MethodCounter, Snapshot, Timing};

mod line;

pub use line::LogLine;

/// The socket's name in `<run folder>/<namespace>`. No service can have it: their names begin with a letter.
pub const SOCKET_NAME: &str = "_control.sock";
/// Longest request, in bytes, its newline included.
pub const REQUEST_MAX: usize = 64 * 1024;
/// Longest reply, in bytes: a status of everything, or the numbers of one service.
pub const REPLY_MAX: usize = 16 << 20;

/// What an operator wants.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Request {
    /// How is everything?
    Status,
    /// All counters and histograms, of one service or of all.
    Stats {
        /// Which; `None` for all.
        service: Option<String>,
    },
    /// Who is attached over shared memory?
    Clients,
    /// Run these services; failed ones get a new chance. Replied to when they are ready, or have failed.
    Start {
        /// Which; empty for all.
        services: Vec<String>,
    },
    /// Finish what was begun in these services, and do not run them.
    Stop {
        /// Which; must not be empty, so that nobody stops everything by a slip.
        services: Vec<String>,
    },
    /// Replace all workers, one after the other, by new ones of the program as it is on disk now.
    Restart {
        /// Which; empty for all.
        services: Vec<String>,
    },
    /// Have so many workers.
    Scale {
        /// Which.
        service: String,
        /// How many; `None` for what the file says.
        workers: Option<u16>,
    },
    /// Read the file again and apply what is different.
    Reload {
        /// Only say what would change.
        dry_run: bool,
    },
    /// Finish what was begun everywhere, and end.
    Drain,
    /// From now on services log from this level up.
    Level {
        /// Which service; `None` for all.
        service: Option<String>,
        /// From here up.
        level: Level,
    },
    /// Lines of the log that are still in memory, and, if wanted, those that come.
    Logs(LogQuery),
}

/// How bad, or how talkative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Every step.
    Trace,
    /// For whoever looks for a mistake.
    Debug,
    /// What happens.
    Info,
    /// What should not happen, and is coped with.
    Warn,
    /// What failed.
    Error,
}

impl Level {
    /// From the most talkative up.
    pub const ALL: [Self; 5] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// `info`
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// The level of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }
}

/// Which lines of the log.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LogQuery {
    /// Of this service only.
    pub service: Option<String>,
    /// Of this worker only.
    pub worker: Option<u32>,
    /// From this level up.
    pub level: Option<Level>,
    /// Only lines that contain this text.
    pub text: Option<String>,
    /// The last so many of those in memory.
    pub tail: u32,
    /// And those that come.
    pub follow: bool,
}

/// What the supervisor answers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// To [`Request::Status`].
    Status(Status),
    /// To [`Request::Stats`].
    Stats {
        /// By service.
        services: BTreeMap<String, Numbers>,
    },
    /// To [`Request::Clients`].
    Clients {
        /// By service, and by the order of their coming.
        clients: Vec<ClientStatus>,
    },
    /// What was wanted has been done.
    Done {
        /// What was said meanwhile.
        said: Vec<String>,
    },
    /// To [`Request::Reload`].
    Reload {
        /// One sentence for each difference; empty when there is none.
        changes: Vec<String>,
        /// What was said meanwhile.
        said: Vec<String>,
    },
    /// To [`Request::Logs`].
    Log {
        /// Oldest first.
        lines: Vec<LogLine>,
        /// So many were left out before these, because nobody read fast enough.
        missed: u64,
    },
    /// It was not done.
    Refused {
        /// Whose fault.
        reason: Reason,
        /// What is wrong, and what to do.
        why: String,
    },
}

/// Why something was not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no such request or service.
    Usage,
    /// The file is wrong; nothing was changed.
    Config,
    /// It was tried, and failed.
    Failed,
    /// Everything is being stopped.
    Stopping,
}

/// How everything is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// Whether every wanted service has all its workers.
    pub well: bool,
    /// Why not: one sentence for each reason.
    pub troubles: Vec<String>,
    /// Whether calls should be sent here: every wanted service has at least one worker that serves, and nothing is
    /// being stopped. What `/readyz` says.
    #[serde(default)]
    pub ready: bool,
    /// Why not: one sentence for each reason.
    #[serde(default)]
    pub not_ready: Vec<String>,
    /// Everything is being stopped.
    pub stopping: bool,
    /// The engine's version.
    pub version: String,
    /// The supervisor's process id.
    pub pid: u32,
    /// Seconds since it began.
    pub uptime_s: f64,
    /// The file in force.
    pub config: String,
    /// Where the sockets are.
    pub run_dir: String,
    /// In the order of the file.
    pub services: Vec<ServiceStatus>,
    /// Lines of the log that were left out because they came too fast or could not be written.
    pub log_lines_lost: u64,
}

/// How one service is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// `ready`, `starting`, `waiting`, `rolling`, `degraded`, `stopping`, `stopped` or `failed`.
    pub state: String,
    /// For people: why it is in this state; empty when all is well.
    pub why: String,
    /// How many workers it should have.
    pub target: u16,
    /// Why it has so many, where that is not what the file says: a sentence.
    pub scaling: Option<String>,
    /// Which worker was replaced last for its size, and why: a sentence.
    #[serde(default)]
    pub memory: Option<String>,
    /// Where it can be called.
    pub addresses: Vec<String>,
    /// What workers said of their drivers: which, and why.
    pub drivers: Vec<String>,
    /// Attached over shared memory now.
    pub clients: usize,
    /// Calls that were answered since the engine began.
    pub calls: u64,
    /// Of those, how many with an error.
    pub errors: u64,
    /// Half of the handlers took no longer than this, in nanoseconds.
    pub handler_p50_ns: Option<u64>,
    /// 99 of 100 handlers took no longer than this, in nanoseconds.
    pub handler_p99_ns: Option<u64>,
    /// 99 of 100 calls waited no longer than this before they were begun, in nanoseconds.
    pub queue_p99_ns: Option<u64>,
    /// Nanoseconds in handlers, of all calls together.
    pub handler_ns: u64,
    /// Workers that died and were not told to go.
    pub deaths: u64,
    /// The last of these deaths, in words.
    pub last_death: Option<String>,
    /// How many seconds ago that was.
    pub last_death_s_ago: Option<f64>,
    /// Its workers.
    pub workers: Vec<WorkerStatus>,
}

/// How one worker is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its number.
    pub worker: u32,
    /// Its process id; 0 when it is gone.
    pub pid: i32,
    /// `starting`, `ready` or `draining`.
    pub state: String,
    /// How many restarts of its service's settings or program came before its own.
    pub version: u32,
    /// Seconds since it said ready.
    pub ready_s: Option<f64>,
    /// What its loop does: `polls`, `sleeps`, `busy` or `gone`.
    pub loop_state: String,
    /// What it says that it does until it is ready, where it has asked for time.
    #[serde(default)]
    pub doing: Option<String>,
    /// The method that it runs.
    pub method: Option<String>,
    /// Resident memory, in bytes; shared pages count for everybody who has them.
    pub rss: Option<u64>,
    /// Memory of its own, in bytes, where `memory` in the file bounds it: shared pages count in parts.
    #[serde(default)]
    pub pss: Option<u64>,
}

/// A client that is attached over shared memory.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClientStatus {
    /// To which service.
    pub service: String,
    /// The number of its link.
    pub link: u64,
    /// Its process, as the kernel told it when it came.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// How many calls it may have in flight.
    pub slots: u16,
    /// How many it has, where that could be seen.
    #[serde(default)]
    pub in_flight: Option<u16>,
}

/// All numbers of a service, named as in `docs/counters.md`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Numbers {
    /// By id.
    pub counters: BTreeMap<String, u64>,
    /// By name.
    pub methods: BTreeMap<String, MethodNumbers>,
}

/// All numbers of a method.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct MethodNumbers {
    /// By id.
    pub counters: BTreeMap<String, u64>,
    /// Calls that ended with an error.
    pub errors: u64,
    /// By id: pairs of a time in nanoseconds and how many took about that, ascending.
    pub times: BTreeMap<String, Vec<(u64, u64)>>,
}

impl From<&Snapshot> for Numbers {
    fn from(snapshot: &Snapshot) -> Self {
        let counters = Counter::ALL.iter().map(|counter| (counter.id().to_owned(), snapshot.counter(*counter)));
        let pairs = |histogram: &Histogram| histogram.pairs().collect();
        let methods = snapshot.methods().map(|(name, method)| {
            let counters = MethodCounter::ALL.iter().map(|id| (id.id().to_owned(), method.counter(*id)));
            let times = Timing::ALL.iter().map(|timing| (timing.id().to_owned(), pairs(method.times(*timing))));
            let numbers =
                MethodNumbers { counters: counters.collect(), errors: method.errors(), times: times.collect() };
            (name.to_owned(), numbers)
        });
        Self { counters: counters.collect(), methods: methods.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_one_line_that_people_can_read() {
        let text = |request: &Request| serde_json::to_string(request).unwrap();
        assert_eq!(text(&Request::Status), r#"{"verb":"status"}"#);
        let scale = Request::Scale { service: "echo".to_owned(), workers: Some(3) };
        assert_eq!(text(&scale), r#"{"verb":"scale","service":"echo","workers":3}"#);
        let logs = Request::Logs(LogQuery { level: Some(Level::Warn), tail: 5, ..LogQuery::default() });
        assert_eq!(serde_json::from_str::<Request>(&text(&logs)).unwrap(), logs);
        assert!(!text(&Request::Stop { services: vec!["a\nb".to_owned()] }).contains('\n'));
    }

    #[test]
    fn levels_have_names_and_an_order() {
        assert!(Level::ALL.is_sorted());
        assert!(Level::ALL.into_iter().all(|level| Level::named(level.as_str()) == Some(level)));
        assert_eq!(Level::named("loud"), None);
    }

    #[test]
    fn numbers_are_named_as_in_the_table() {
        let mut snapshot = Snapshot::default();
        snapshot.add(Counter::Turns, 3);
        snapshot.method_mut("echo");
        let numbers = Numbers::from(&snapshot);
        assert_eq!(numbers.counters["loop_turns"], 3);
        assert_eq!(numbers.methods["echo"].times["handler_time"], []);
    }
}
