//! What to do when: a pure function from (state, event, now) to actions.
//!
//! Nothing here knows a clock, a process or a descriptor; `now` is whatever monotonic time the caller keeps. The same
//! events at the same times give the same actions, so that every order of events can be tested in a simulated world
//! (`properties.rs`), and a log of events replays a night's crash.
//!
//! A slot is a place for one worker. What it is doing:
//!
//! ```text
//!            Spawn                  said ready
//! (new) ───────────▶ Starting ──────────────────▶ Ready
//!                     │  ▲  │ timeout, hung up,     │ stop, hung up, hung,
//!               death │  │  ▼ cannot serve, stop    ▼ cannot serve, not needed
//!                     │  │ Draining ◀───────────────┘
//!                     ▼  │     │ death
//!                   BackingOff ◀──┤ … of one that was to stay, within the restart limit
//!                                 ├─▶ Failed        over the limit
//!                                 └─▶ (gone)        of one that was told to go
//! ```
//!
//! How many slots there are, and of which version, is decided in one place, `reconcile.rs`, after every event.

mod deaths;
mod jitter;
mod reconcile;
mod state;
mod step;
mod words;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

use std::time::Duration;

use speedysvc_broker::ServiceKey;
use speedysvc_config::Restart;
use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::ids::WorkerId;

pub use state::{ServiceView, SlotView, State};
pub use step::{next_deadline, step};
pub(crate) use words::{count, show};

/// How long a worker that gave up by itself may take to exit.
pub const KILL_GRACE: Duration = Duration::from_secs(2);
/// How long a stop waits for a worker that has not said ready: it serves nobody, but its report may be on the way.
pub const UNREADY_GRACE: Duration = Duration::from_millis(500);
/// Most time that a worker which starts gets for one word: one that hangs says no other. As often as it says so.
pub const EXTENSION_MAX: Duration = Duration::from_secs(3600);
/// A worker that was ready for this long has shown that it can run: its next death is a first one again.
pub const PROVEN_AFTER: Duration = Duration::from_secs(10);
/// Most living workers of one service, those included that finish their last calls: far below the lines of its board.
pub const ALIVE_MAX: usize = 128;
/// Stop requests this close together are one: `timeout` and process managers signal a process and then its group.
pub const SAME_STOP: Duration = Duration::from_millis(250);

/// What the policy must know of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// For lines that people read.
    pub name: String,
    /// How many workers there are while all is well, until somebody scales.
    pub workers: u16,
    /// What happens at a death.
    pub restart: Restart,
    /// From spawn to ready.
    pub start_timeout: Duration,
    /// How long a stop waits for calls in flight.
    pub drain: Duration,
    /// From SIGTERM to SIGKILL.
    pub kill: Duration,
    /// Services that must be ready before this one is started, and that are stopped after it.
    pub after: Vec<String>,
}

/// Which program, arguments and settings a worker was started with. The caller numbers them, and knows what they mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u32);

/// What an operator, or a new file, wants of one service. Each may come at any time, and twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Run. A failed service gets a new chance.
    Start,
    /// Finish what was begun, and do not run.
    Stop,
    /// Have so many workers.
    Scale(u16),
    /// From now on these times and limits; no worker need be started anew.
    Adjust(Plan),
    /// Replace every worker by one of this version, one after the other, and go back to the version before when the
    /// first of them does not get ready.
    Renew(Plan, Version),
    /// Stop, and forget.
    Remove,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The beginning. The first event, and only once.
    Start,
    /// A new service, which is started. Its key is the next one.
    Add(Plan, Version),
    /// Somebody wants something.
    Order(ServiceKey, Order),
    /// A worker said that it serves.
    Ready {
        /// Whose worker.
        service: ServiceKey,
        /// Which.
        worker: WorkerId,
    },
    /// A worker said that it needs time until it is ready. May come again and again.
    NeedsTime {
        /// Whose worker.
        service: ServiceKey,
        /// Which.
        worker: WorkerId,
        /// So long from now.
        more: Duration,
        /// What it does meanwhile: its own words, fit to be shown.
        what: String,
    },
    /// A worker said that it cannot serve, and exits.
    Failed {
        /// Whose worker.
        service: ServiceKey,
        /// Which.
        worker: WorkerId,
        /// Its own words, fit to be shown.
        why: String,
    },
    /// A worker closed its control socket. Its process may be alive.
    HungUp {
        /// Whose worker.
        service: ServiceKey,
        /// Which.
        worker: WorkerId,
    },
    /// A worker's loop is awake and has not moved for too long.
    Hung {
        /// Whose worker.
        service: ServiceKey,
        /// Which.
        worker: WorkerId,
        /// For how long, and in which method: what goes on from "its loop".
        how: String,
    },
    /// A worker has more memory than it may have. May come again and again.
    TooLarge {
        /// Whose worker.
        service: ServiceKey,
        /// Which.
        worker: WorkerId,
        /// How much: what goes on from "echo worker 3".
        how: String,
    },
    /// A worker's process is gone, and the broker has buried it.
    Died {
        /// Whose worker.
        service: ServiceKey,
        /// Which.
        worker: WorkerId,
        /// Exit status 0.
        clean: bool,
        /// What goes on from "echo worker 3", such as `(pid 1234) exited with status 1`.
        obituary: String,
    },
    /// A worker could not be started.
    NotSpawned {
        /// Whose worker.
        service: ServiceKey,
        /// Which.
        worker: WorkerId,
        /// What the kernel said.
        why: String,
    },
    /// Somebody wants everything to end. The second time: at once.
    Stop,
    /// Look at the time. Whatever is due is done here and nowhere else, so that reports which came in before a
    /// deadline are heard before it, even after the supervisor itself was held up.
    Tick,
}

/// What to do about it, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start this worker of this version; after an [`Action::Close`] clients are taken again first.
    Spawn(ServiceKey, WorkerId, Version),
    /// Tell it to finish what it began, and to exit.
    Drain(ServiceKey, WorkerId),
    /// SIGTERM.
    Terminate(ServiceKey, WorkerId),
    /// SIGKILL, to it and to what it started.
    Kill(ServiceKey, WorkerId),
    /// Hang up on clients, and take no new ones: nobody is left who could serve them.
    Close(ServiceKey),
    /// All workers of this service are ready, for the first time since it was started.
    ServiceReady(ServiceKey),
    /// For the first time all services are ready.
    AllReady,
    /// The newest version does not start: this one is in force again.
    RolledBack(ServiceKey, Version),
    /// A removed service has nobody left.
    Forget(ServiceKey),
    /// A line for the operator: `Info` for what was wanted or is as it should be, `Warn` for what is coped with,
    /// `Error` for what stays so until somebody does something.
    Say(Level, String),
    /// The same, about a service.
    SayOf(ServiceKey, Level, String),
    /// Nobody is alive: end with this exit code.
    Exit(u8),
}

/// What a slot is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its worker was started and has not said ready.
    Starting,
    /// Its worker serves.
    Ready,
    /// Its worker was asked or forced to go, or gave up by itself.
    Draining,
    /// Its worker died; the next one starts then.
    BackingOff {
        /// When.
        until: Duration,
    },
    /// It has no worker and gets none: too many died.
    Failed,
}
