//! The parent: starts workers, watches them, restarts them, drains them, and leaves nothing behind.
//!
//! One process, one thread that decides, one place to wait: [`run()`] sleeps in `poll` over the signals, the broker,
//! the control socket, the pidfd and the outputs of every worker, and the policy's next deadline. Threads of their own
//! only write: log files, and standard error.
//!
//! | module     | idea |
//! |------------|------|
//! | [`policy`] | what to do when: a pure function, (state, event, now) → actions |
//! | `hear`     | what clients and workers told the broker: news for the policy, complaints for the log |
//! | `act`      | tells the policy what happened, and does what it says |
//! | `hands`    | the broker and the workers' processes |
//! | `versions` | what workers are started as: settings, listeners, and the program as it was then |
//! | [`launch`] | as whom workers run, and within which bounds: a verb of our own binary that becomes their program |
//! | `options`  | what broker and workers are told of a version |
//! | `obituary` | how a worker ended, in one sentence |
//! | `spawn`    | one worker process: start, signal, reap |
//! | `watchdog` | which loops are awake and do not move: a rule without a clock |
//! | `hung`     | asks it, from the board |
//! | `scaling`  | how many workers a service needs, and why: a rule without a clock |
//! | `sampler`  | what that rule is told, once a second |
//! | `memory`   | which workers have grown too large: a rule without a clock, and what it is told |
//! | `control`  | the operators' socket: requests, replies, status |
//! | `health`   | is it well, is it ready: a pure function |
//! | `reload`   | what is different in a changed file: a pure function |
//! | `apply`    | applies it: everything that can fail first |
//! | `journal`  | the log: lines of workers and engine, in memory and on disk |
//! | `listen`   | TCP listeners, bound before any worker starts |
//! | `spares`   | sockets that listen already: of an engine that was killed, or from systemd |
//! | `folders`  | the run folder: made where missing, removed where made |
//! | `accounts` | names of users and groups → numbers |
//! | `systemd`  | what systemd wants to hear, and the sockets that it has for us |
//! | `seen`     | what the dashboard may look at from its own thread |
//! | `descriptors` | how many of them we may have |
//! | `signals`  | SIGINT, SIGTERM and SIGHUP as bytes in a socket |
//! | `lines`    | what people read: lines for standard output and standard error |
//! | `run`      | the order of start, loop and end |
//!
//! Invariants:
//!
//! * The data path never goes through the supervisor. While it is busy, stopped or gone, calls go on.
//! * The policy knows no clock, no process and no descriptor. Time comes in as an argument.
//! * A death is told in one order: its pidfd says so, the broker buries the worker, and then the policy hears of it.
//!   So a slot is never given away while somebody could still write to it.
//! * A worker's number is never used twice, and every worker is the leader of a process group of its own: a kill
//!   reaches what its handlers started, too.
//! * Text from workers and clients is an allegation: it is cut to one line of printable characters before it is shown.

#![forbid(unsafe_code)]

mod accounts;
mod act;
mod apply;
mod control;
mod descriptors;
mod error;
mod folders;
mod hands;
mod health;
mod hear;
mod hung;
mod journal;
pub mod launch;
mod lines;
mod listen;
mod memory;
mod obituary;
mod options;
pub mod policy;
mod reload;
mod run;
mod sampler;
mod scaling;
mod seen;
mod signals;
mod spares;
mod spawn;
mod systemd;
mod versions;
mod watchdog;

#[cfg(test)]
mod lifecycle_tests;

pub use error::StartError;
pub use run::{Parts, run};
pub use seen::Seen;
pub use speedysvc_broker::Meters;
