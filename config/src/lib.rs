//! service.toml, parsed into values that cannot be wrong.
//!
//! Invariant: text ends in `raw.rs`. Beyond it every value has a type with a unit and a range, and nothing
//! is checked twice. A bad file yields one [`Report`] with *all* of its mistakes, each with line, column,
//! what was expected and what to do next.
//!
//! Always compiled, without dependencies; the engine uses these in embedded mode too:
//!
//! | module     | idea |
//! |------------|------|
//! | `resolved` | [`Config`] and [`Service`]: what is in force, defaults included |
//! | `process`  | [`Process`]: as whom a worker runs, and within which bounds of the kernel |
//! | `scale`    | [`Scale`]: when a service has more workers, and when fewer |
//! | `web`      | [`Web`]: where the dashboard is, and who may look |
//! | `quantity` | sizes, counts and the spin time, each with its range |
//! | `names`    | names of services and namespaces |
//! | `run_dir`  | where the sockets live: the one rule that clients and the engine share |
//!
//! With the feature `file`, in the order a file travels:
//!
//! | module         | idea |
//! |----------------|------|
//! | `surroundings` | what of the process's environment matters, as a value, so that loading stays testable |
//! | `load`         | the way in: a path or a text becomes a [`Config`] or a [`Report`] |
//! | `document`     | TOML's own rules: syntax, and things that are set twice |
//! | `keys`         | every key there is, and where it belongs |
//! | `fields`       | one table, read key by key, that speaks up about keys it does not know |
//! | `leaf`         | one value: text, number, duration, size, user |
//! | `units`        | `"30s"` and `"64MiB"` |
//! | `listen`       | `"tcp://127.0.0.1:5555"`, `"unix:///run/echo.sock"` |
//! | `raw`          | the file as written, typed, nothing inherited yet |
//! | `resolve`      | inheritance and defaults |
//! | `check`        | rules between values: addresses used twice, room for a socket's path |
//! | `program`      | finding a service's program |
//! | `suggest`      | "did you mean" |
//! | `print`        | every value in force, and where it came from |
//! | `only`         | some services of a file |
//! | `starter`      | a commented file to start from |
//! | `import`       | the Python project's `service.ini` as a `service.toml` |
//! | `problem`      | one mistake: what, where, what to do |
//! | `report`       | all mistakes, drawn the way rustc draws them |

#![forbid(unsafe_code)]

mod listen_address;
mod names;
mod process;
mod quantity;
mod resolved;
mod run_dir;
mod scale;
mod web;

#[cfg(feature = "file")]
mod check;
#[cfg(feature = "file")]
mod document;
#[cfg(feature = "file")]
mod fields;
#[cfg(feature = "file")]
pub mod import;
#[cfg(feature = "file")]
mod keys;
#[cfg(feature = "file")]
mod leaf;
#[cfg(feature = "file")]
mod listen;
#[cfg(feature = "file")]
mod load;
#[cfg(feature = "file")]
mod only;
#[cfg(feature = "file")]
mod print;
#[cfg(feature = "file")]
mod problem;
#[cfg(feature = "file")]
mod program;
#[cfg(feature = "file")]
mod raw;
#[cfg(feature = "file")]
mod report;
#[cfg(feature = "file")]
mod resolve;
#[cfg(all(test, feature = "file"))]
mod shipped;
#[cfg(feature = "file")]
mod starter;
#[cfg(feature = "file")]
mod suggest;
#[cfg(feature = "file")]
mod surroundings;
#[cfg(feature = "file")]
pub mod units;

pub use listen_address::Listen;
pub use names::{Namespace, ServiceName};
pub use process::{CpuSet, MEMORY, Process, Rlimit, RunAs, Umask};
pub use quantity::{ByteSize, Refused, SlotCount, Spin, WorkerCount};
pub use resolved::{
    Allow, Builtin, Compression, Config, DEFAULT_DRAIN, DEFAULT_HANG, DEFAULT_KILL, DEFAULT_ORPHAN,
    DEFAULT_START_TIMEOUT, DriverChoice, Launch, Limits, Log, LogLevel, Principal, Restart, RestartLimit, Service,
    Trust,
};
pub use run_dir::{MAX_SOCKET_PATH, NoRunDir, default_run_dir, socket_path};
pub use scale::{Scale, ScaleRule};
pub use web::{History, Web};

#[cfg(feature = "file")]
pub use {
    keys::keys,
    load::{load, load_text},
    only::NoSuchService,
    print::print,
    report::Report,
    starter::starter,
    surroundings::Surroundings,
};
