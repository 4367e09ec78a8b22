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
//! Stopped ─────────▶ Starting ──────────────────▶ Ready
//!                     │  ▲  │ timeout, hung up,     │ stop, hung up, cannot serve
//!               death │  │  ▼ cannot serve, stop    ▼
//!                     │  │ Draining ◀───────────────┘
//!                     ▼  │     │ death
//!                   BackingOff ◀──┤ … while running, within the restart limit
//!                                 ├─▶ Failed        over the limit
//!                                 └─▶ Stopped       while stopping
//! ```

mod state;
mod step;
mod words;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::time::Duration;

use speedysvc_broker::ServiceKey;
use speedysvc_config::Restart;
use speedysvc_protocol::ids::WorkerId;

pub use state::State;
pub use step::{next_deadline, step};
pub(crate) use words::count;
#[cfg(test)]
pub(crate) use words::show;

/// From SIGTERM to SIGKILL, and how long a worker that gave up by itself may take to exit.
pub const KILL_GRACE: Duration = Duration::from_secs(2);
/// How long a stop waits for a worker that has not said ready: it serves nobody, but its report may be on the way.
pub const UNREADY_GRACE: Duration = Duration::from_millis(500);
/// A worker that was ready for this long has shown that it can run: its next death is a first one again.
pub const PROVEN_AFTER: Duration = Duration::from_secs(10);
/// Stop requests this close together are one: `timeout` and process managers signal a process and then its group.
pub const SAME_STOP: Duration = Duration::from_millis(250);

/// What the policy must know of a service.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For lines that people read.
    pub name: String,
    /// How many workers there are while all is well.
    pub workers: u16,
    /// What happens at a death.
    pub restart: Restart,
    /// From spawn to ready.
    pub start_timeout: Duration,
    /// How long a stop waits for calls in flight.
    pub drain: Duration,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The beginning. The first event, and only once.
    Start,
    /// A worker said that it serves.
    Ready {
        /// Whose worker.
        service: ServiceKey,
        /// Which.
        worker: WorkerId,
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
    /// Start this worker.
    Spawn(ServiceKey, WorkerId),
    /// Tell it to finish what it began, and to exit.
    Drain(ServiceKey, WorkerId),
    /// SIGTERM.
    Terminate(ServiceKey, WorkerId),
    /// SIGKILL, to it and to what it started.
    Kill(ServiceKey, WorkerId),
    /// Hang up on clients, and take no new ones: nobody is left who could serve them. Once per service.
    Close(ServiceKey),
    /// For the first time all workers of this service are ready.
    ServiceReady(ServiceKey),
    /// For the first time all services are ready.
    AllReady,
    /// A line for the operator.
    Say(String),
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
    /// It has no worker, and needs none.
    Stopped,
    /// Its worker died; the next one starts then.
    BackingOff {
        /// When.
        until: Duration,
    },
    /// It has no worker and gets none: too many died.
    Failed,
}
