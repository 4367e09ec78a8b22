//! What is in force: every default filled in, every value in range. The engine and the supervisor see only this.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::{ByteSize, Listen, Namespace, Process, Scale, ServiceName, SlotCount, Spin, Web, WorkerCount};

/// How long a stop waits for calls in flight, where nothing else is said.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(10);
/// How long a worker may take until it says that it is ready, where nothing else is said.
pub const DEFAULT_START_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a worker may take from SIGTERM to its end, where nothing else is said.
pub const DEFAULT_KILL: Duration = Duration::from_secs(2);
/// The least time after which a loop that is awake and does not move is called hung, where nothing else is said; a
/// service whose calls may take longer has twice their default deadline.
pub const DEFAULT_HANG: Duration = Duration::from_secs(60);

/// How long workers go on without a supervisor, where nothing else is said.
pub const DEFAULT_ORPHAN: Duration = Duration::from_secs(30);

/// A whole file, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file this came from, as an absolute path, so that a reload finds it from any folder.
    pub source: PathBuf,
    /// Folder of the sockets, absolute. See [`crate::default_run_dir`].
    pub run_dir: PathBuf,
    /// Which copy of the engine this is.
    pub namespace: Namespace,
    /// How long a stop of everything waits for calls in flight.
    pub drain: Duration,
    /// Where lines of the log go.
    pub log: Log,
    /// The dashboard; `None` when none is wanted.
    pub web: Option<Web>,
    /// The services in the order of the file; at least one.
    pub services: Vec<Service>,
}

/// One service: what to start, how many, and within which bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Unique in the file.
    pub name: ServiceName,
    /// What its workers run.
    pub launch: Launch,
    /// Addresses beside `shm://NAME`: on loopback, unless `insecure`.
    pub listen: Vec<Listen>,
    /// Addresses that other machines reach are wanted, although nobody there is asked who it is.
    pub insecure: bool,
    /// How many worker processes; the fewest, where `scale` says more.
    pub workers: WorkerCount,
    /// When there are more, and when fewer again.
    pub scale: Option<Scale>,
    /// How loops wait for sockets.
    pub driver: DriverChoice,
    /// What is agreed with clients over sockets that offer it.
    pub compression: Compression,
    /// What happens when a worker dies.
    pub restart: Restart,
    /// Sizes, slots and deadline of calls.
    pub limits: Limits,
    /// The longest busy wait before a loop sleeps.
    pub spin: Spin,
    /// Who may attach.
    pub allow: Allow,
    /// Whose large requests are read in place.
    pub trust: Trust,
    /// How long a stop of this service waits for calls in flight.
    pub drain: Duration,
    /// How long a worker may take from SIGTERM to its end before it is killed.
    pub kill: Duration,
    /// After which time a loop that is awake and does not move is killed. `None` never does.
    pub hang: Option<Duration>,
    /// How long its workers go on serving when their supervisor has died, until another one takes over. Zero does not.
    pub orphan: Duration,
    /// A worker that has more than this to itself (its proportional set size) is replaced.
    pub memory: Option<ByteSize>,
    /// As whom its workers run, and within which bounds.
    pub process: Process,
    /// Services of this file that must be ready before this one is started.
    pub after: Vec<ServiceName>,
    /// How long a worker may take until it says that it is ready.
    pub start_timeout: Duration,
    /// Environment of its workers, on top of the supervisor's own. Names are unique.
    pub env: Vec<(String, String)>,
}

/// Where lines of the log go, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The folder of the files, absolute; `None` for standard error.
    pub dir: Option<PathBuf>,
    /// A file of this size is put aside, and a new one begun.
    pub size: ByteSize,
    /// So is one of this age.
    pub age: Duration,
    /// How many files that were put aside are kept, of each kind.
    pub keep: u32,
    /// Services log from here up.
    pub level: LogLevel,
}

impl Log {
    /// What `size` may be.
    pub const SIZE: RangeInclusive<ByteSize> = ByteSize::kib(4)..=ByteSize::gib(1);
    /// What `age` may be.
    pub const AGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(366 * 24 * 3600);
    /// What `keep` may be.
    pub const KEEP: RangeInclusive<u16> = 1..=1000;
}

impl Default for Log {
    /// Standard error; with files 16 MiB each, a new one at least every day, and seven old ones.
    fn default() -> Self {
        let age = Duration::from_secs(24 * 3600);
        Self { dir: None, size: ByteSize::mib(16), age, keep: 7, level: LogLevel::Info }
    }
}

/// How bad a line of the log is, or how talkative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Every step.
    Trace,
    /// For whoever looks for a mistake.
    Debug,
    /// What happens.
    #[default]
    Info,
    /// What should not happen, and is coped with.
    Warn,
    /// What failed.
    Error,
}

impl LogLevel {
    /// From the most talkative up.
    pub const ALL: [Self; 5] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// What the file calls it.
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
}

/// What a service's workers run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// A service inside the engine's own binary.
    Builtin(Builtin),
    /// A program of the user's.
    Program {
        /// Absolute. It existed and was executable when the file was read.
        path: PathBuf,
        /// Its arguments, without the program itself.
        args: Vec<String>,
    },
}

/// The services that the engine brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// Answers what it was sent.
    Echo,
}

impl Builtin {
    /// Every builtin there is.
    pub const ALL: [Self; 1] = [Self::Echo];

    /// What the file calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Echo => "echo",
        }
    }
}

/// How loops wait for sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// The best that the machine allows.
    #[default]
    Auto,
    /// io_uring, or an error where it is forbidden.
    IoUring,
    /// epoll, also where io_uring would do.
    Epoll,
}

/// How bodies over sockets are made smaller, where a client wants that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// By LZ4, or what a client can that has no LZ4.
    #[default]
    Lz4,
    /// By Snappy, likewise.
    Snappy,
    /// By zlib, likewise: smallest, and several times slower.
    Zlib,
}

impl Compression {
    /// All choices.
    pub const ALL: [Self; 4] = [Self::None, Self::Lz4, Self::Snappy, Self::Zlib];

    /// What the file calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Snappy => "snappy",
            Self::Zlib => "zlib",
        }
    }
}

/// Whose large requests workers read where they were written, without a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those of the service's own user and of root.
    #[default]
    SameUser,
    /// Nobody's.
    Never,
}

/// What happens when a worker dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Pause before the first restart.
    pub backoff_min: Duration,
    /// Longest pause; pauses double until here. Not less than `backoff_min`.
    pub backoff_max: Duration,
    /// When to give up. `None` never does.
    pub limit: Option<RestartLimit>,
}

impl Restart {
    /// What a pause may be.
    pub const BACKOFF: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
}

impl Default for Restart {
    /// 100 ms to 30 s, and 5 deaths in 60 s.
    fn default() -> Self {
        Self {
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            limit: Some(RestartLimit::default()),
        }
    }
}

/// This many deaths within this time, and the service is called failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartLimit {
    /// At least 1.
    pub deaths: u32,
    /// The window in which they are counted.
    pub within: Duration,
}

impl RestartLimit {
    /// How many deaths may be said.
    pub const DEATHS: RangeInclusive<u32> = 1..=1000;
    /// What the window may be.
    pub const WITHIN: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
}

impl Default for RestartLimit {
    /// 5 in 60 s.
    fn default() -> Self {
        Self { deaths: 5, within: Duration::from_secs(60) }
    }
}

/// Bounds of calls. They hold before anything is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest request or reply over shared memory; within [`Limits::SHM_MESSAGE`].
    pub shm_message: ByteSize,
    /// Largest request or reply over a socket; within [`Limits::TCP_MESSAGE`].
    pub tcp_message: ByteSize,
    /// Calls in flight per link.
    pub slots: SlotCount,
    /// Deadline of calls that bring none; within [`Limits::DEADLINE`].
    pub deadline: Duration,
}

impl Limits {
    /// What `shm_message` may be.
    pub const SHM_MESSAGE: RangeInclusive<ByteSize> = ByteSize::kib(4)..=ByteSize::gib(1);
    /// What `tcp_message` may be.
    pub const TCP_MESSAGE: RangeInclusive<ByteSize> = ByteSize::kib(4)..=ByteSize::mib(256);
    /// What `deadline` may be.
    pub const DEADLINE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(24 * 3600);
}

impl Default for Limits {
    /// 64 MiB over shared memory, 16 MiB over sockets, 64 slots, 30 s.
    fn default() -> Self {
        Self {
            shm_message: ByteSize::mib(64),
            tcp_message: ByteSize::mib(16),
            slots: SlotCount::default(),
            deadline: Duration::from_secs(30),
        }
    }
}

/// Who may attach beside the same user and root, who always may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// These users.
    pub users: Vec<Principal>,
    /// Members of these groups.
    pub groups: Vec<Principal>,
}

/// A user or a group as the file names it. Whoever uses it looks names up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A name from the user or group database.
    Name(String),
    /// A numeric id. Never `u32::MAX`, which the kernel uses for "nobody in particular".
    Id(u32),
}
