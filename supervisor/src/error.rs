//! Why nothing was started.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use speedysvc_broker::InheritError;
use speedysvc_config::Listen;

/// Why the engine could not start, or could not go on. Nothing is left running, and nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The file names somebody whom this machine does not know.
    #[error("service {service}: {whom} `{name}` of `{key}` is not in {file}: correct the name, or give the number")]
    UnknownAccount {
        /// Whose.
        service: String,
        /// `allow` or `run_as`.
        key: &'static str,
        /// `user` or `group`.
        whom: &'static str,
        /// As the file has it.
        name: String,
        /// Where it was looked up.
        file: &'static str,
    },
    /// The file with users or groups cannot be read.
    #[error("cannot look up names of `{key}` in {file}: {source}; numbers need no lookup")]
    Accounts {
        /// `allow` or `run_as`.
        key: &'static str,
        /// Where names would have been looked up.
        file: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A number of `run_as` has no account that would say its group.
    #[error("service {service}: user {uid} of `run_as` has no account, and so no group: add `group` to `run_as`")]
    NoGroup {
        /// Whose.
        service: String,
        /// The number.
        uid: u32,
    },
    /// Only root may run programs as somebody else.
    #[error(
        "service {service}: the engine must be root to run workers as somebody else: start it so, or remove `run_as`"
    )]
    NotRoot {
        /// Whose.
        service: String,
    },
    /// A folder of the sockets cannot be made or used.
    #[error("cannot use the run folder {}: {source}; `run_dir` or SPEEDYSVC_RUN_DIR can name another", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Everybody could put a socket of their own in the place of ours.
    #[error(
        "everybody may write to the run folder {0}, and could answer calls in our place: `chmod o-w {0}`, or name \
         another with `run_dir`",
        path.display()
    )]
    OpenFolder {
        /// Which folder.
        path: PathBuf,
    },
    /// Another engine has this run folder and namespace.
    #[error(
        "an engine already runs in {}, in process {pid}: stop that one, or choose another `run_dir` or `namespace`; \
         `speedysvc-engine ctl status` shows what it does", folder.display()
    )]
    EngineRuns {
        /// The namespace's folder.
        folder: PathBuf,
        /// The holder's process id, as it wrote it.
        pid: String,
    },
    /// A port is taken.
    #[error(
        "service {service}: another program listens on {address}, maybe another copy of this engine; \
         `ss -ltnp 'sport = :{}'` shows who; stop it, or change `listen`", address.port()
    )]
    PortTaken {
        /// Whose address.
        service: String,
        /// Which address.
        address: SocketAddr,
    },
    /// An address cannot be listened on for another reason.
    #[error("service {service}: cannot listen on {address}: {source}; correct `listen`")]
    Listen {
        /// Whose address.
        service: String,
        /// Which address.
        address: Listen,
        /// What the kernel said.
        source: io::Error,
    },
    /// The broker refused the service; mostly because another process serves under this name.
    #[error("service {service}: {why}")]
    Refused {
        /// Which service.
        service: String,
        /// The broker's words.
        why: String,
    },
    /// Workers of an engine that was killed have the addresses, and do not answer.
    #[error(
        "service {service}: {source}; they end by themselves when `orphan` and `drain` are over: try again then, or \
         end them: `ps -ef` shows them, with parent 1"
    )]
    Orphans {
        /// Which service.
        service: String,
        /// What became of asking them.
        source: InheritError,
    },
    /// A worker's program could not be started.
    #[error("service {service}: cannot start {program}: {source}")]
    Spawn {
        /// Which service.
        service: String,
        /// The program's path.
        program: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel denied what the supervisor itself needs.
    #[error("the supervisor {what}: {source}")]
    Machine {
        /// What it could not do.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl StartError {
    /// What the supervisor itself was denied.
    pub(crate) fn denied(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Machine { what, source }
    }

    /// The core of it, for a sentence that says already whose worker could not be started.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Spawn { program, source, .. } => format!("{program}: {source}"),
            other => other.to_string(),
        }
    }
}
