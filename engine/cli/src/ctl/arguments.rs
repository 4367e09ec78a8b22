//! The command line of `ctl`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use speedysvc_protocol::control::operator::Level;

const EXIT_CODES: &str = "\
Exit codes: 0 done, or all is well; 1 it was tried and failed; 2 usage; 3 `status`: not all is well; \
69 no engine answers; 75 timed out; 78 the file is wrong, and nothing was changed";

/// `ctl`: see, and steer, a running engine.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Ctl {
    /// The engine's run folder; without it, that of --config, else SPEEDYSVC_RUN_DIR and so on, as for clients
    #[arg(long, value_name = "FOLDER", global = true)]
    pub(crate) run_dir: Option<PathBuf>,
    /// Which copy of the engine
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) namespace: Option<String>,
    /// The engine's file, for its run folder and namespace
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// One JSON value a line, as the engine sends it
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How long to wait for a reply
    #[arg(long, value_name = "TIME", value_parser = crate::arguments::time, default_value = "5m", global = true)]
    pub(crate) timeout: std::time::Duration,
    #[command(subcommand)]
    pub(crate) verb: CtlVerb,
}

#[derive(Subcommand, Debug)]
pub(crate) enum CtlVerb {
    /// One screen: is it well?
    Status,
    /// Rates, times and queues, every second, until Ctrl-C
    Top {
        /// End after this many pictures
        #[arg(long, value_name = "N")]
        count: Option<u32>,
        /// Between two pictures
        #[arg(long, value_name = "TIME", value_parser = crate::arguments::time, default_value = "1s")]
        every: std::time::Duration,
    },
    /// Lines of the log
    Logs {
        /// Of this service only
        service: Option<String>,
        /// Of this worker only
        #[arg(long)]
        worker: Option<u32>,
        /// From this level up
        #[arg(long)]
        level: Option<LevelWord>,
        /// Only lines that contain this text
        #[arg(long, value_name = "TEXT")]
        grep: Option<String>,
        /// The last so many
        #[arg(short = 'n', long, default_value_t = 100)]
        lines: u32,
        /// And those that come, until Ctrl-C
        #[arg(short, long)]
        follow: bool,
    },
    /// Run services, also those that have failed; without names, all
    Start { services: Vec<String> },
    /// Finish what was begun in services, and do not run them
    Stop {
        #[arg(required = true)]
        services: Vec<String>,
    },
    /// Replace workers one by one, by the program as it is on disk now; without names, of all services
    Restart { services: Vec<String> },
    /// Have so many workers; `auto` for what the file says
    Scale { service: String, workers: String },
    /// Read the file again and apply what is different
    Reload {
        /// Only say what is different
        #[arg(long)]
        dry_run: bool,
    },
    /// Finish what was begun everywhere, and end the engine
    Drain,
    /// Which driver each service has, and why
    Driver,
    /// All counters and histograms
    Stats { service: Option<String> },
    /// Log from this level up, now
    Level {
        level: LevelWord,
        /// Of this service only
        service: Option<String>,
    },
}

#[derive(Clone, Copy, ValueEnum, Debug)]
pub(crate) enum LevelWord {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl From<LevelWord> for Level {
    fn from(word: LevelWord) -> Self {
        match word {
            LevelWord::Trace => Self::Trace,
            LevelWord::Debug => Self::Debug,
            LevelWord::Info => Self::Info,
            LevelWord::Warn => Self::Warn,
            LevelWord::Error => Self::Error,
        }
    }
}
