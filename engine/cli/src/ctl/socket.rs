//! The operator's end of the control socket.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use speedysvc_config::{Namespace, default_run_dir};
use speedysvc_protocol::control::operator::{REPLY_MAX, Reply, Request, SOCKET_NAME};

use super::arguments::Ctl;
use crate::{check, exit};

/// A connection to an engine.
pub(crate) struct Socket {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

impl Socket {
    /// Connects to the engine that the arguments name; why not has been said when this fails.
    pub(crate) fn connect(ctl: &Ctl) -> Result<Self, ExitCode> {
        let path = path(ctl)?;
        let connected = UnixStream::connect(&path).and_then(|stream| {
            stream.set_read_timeout(Some(ctl.timeout.max(Duration::from_millis(1)))).map(|()| stream)
        });
        match connected {
            Ok(stream) => Ok(Self { stream: BufReader::new(stream), path }),
            Err(error) => Err(exit::say(&no_engine(&path, &error), exit::UNAVAILABLE)),
        }
    }

    pub(crate) fn send(&mut self, request: &Request) -> Result<(), ExitCode> {
        let mut text = serde_json::to_vec(request).expect("requests are plain data");
        text.push(b'\n');
        self.stream.get_mut().write_all(&text).map_err(|error| self.broken(&error))
    }

    /// The next reply as it came; `None` when the engine has hung up.
    pub(crate) fn receive_text(&mut self) -> Result<Option<String>, ExitCode> {
        let mut line = Vec::new();
        let longest = REPLY_MAX as u64 + 1024;
        match self.stream.by_ref().take(longest).read_until(b'\n', &mut line) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned())),
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// One request and its reply, as text and as a value.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<(String, Reply), ExitCode> {
        self.send(request)?;
        match self.receive_text()? {
            Some(text) => Ok((text.clone(), parse(&text)?)),
            None => Err(exit::say(&"the engine ended before it replied", exit::UNAVAILABLE)),
        }
    }

    /// From now on replies are waited for as long as it takes.
    pub(crate) fn wait_forever(&self) -> Result<(), ExitCode> {
        self.stream.get_ref().set_read_timeout(None).map_err(|error| self.broken(&error))
    }

    fn broken(&self, error: &io::Error) -> ExitCode {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                exit::say(&"no reply in time; what was asked for goes on; see `ctl status`", exit::TIMED_OUT)
            }
            _ => exit::say(&format_args!("{}: {error}", self.path.display()), exit::UNAVAILABLE),
        }
    }
}

pub(crate) fn parse(text: &str) -> Result<Reply, ExitCode> {
    let why = |error| exit::say(&format_args!("the engine answers in an unknown way: {error}"), exit::FAILED);
    serde_json::from_str(text).map_err(why)
}

fn no_engine(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("no engine runs here: there is nobody at {path}; --config FILE or --run-dir FOLDER names another")
        }
        io::ErrorKind::PermissionDenied => format!("{path}: only the engine's own user and root may control it"),
        _ => format!("{path}: {error}"),
    }
}

/// `<run folder>/<namespace>/_control.sock`, by the rule of clients and engine.
fn path(ctl: &Ctl) -> Result<PathBuf, ExitCode> {
    let (mut run_dir, mut namespace) = (ctl.run_dir.clone(), None);
    if let Some(config) = &ctl.config {
        let config = check::load(Some(config))?;
        run_dir.get_or_insert(config.run_dir);
        namespace = Some(config.namespace);
    }
    if let Some(name) = ctl.namespace.clone().or_else(|| std::env::var("SPEEDYSVC_NAMESPACE").ok()) {
        let refused = |refused| exit::say(&format_args!("--namespace {name}: {refused}"), exit::USAGE);
        namespace = Some(Namespace::new(&name).map_err(refused)?);
    }
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let found = default_run_dir(
        run_dir.as_deref(),
        variable("SPEEDYSVC_RUN_DIR").as_deref(),
        rustix::process::geteuid().is_root(),
        variable("XDG_RUNTIME_DIR").as_deref(),
    );
    let run_dir = found.map_err(|reason| exit::say(&format_args!("{reason}; or give --run-dir"), exit::USAGE))?;
    Ok(run_dir.join(namespace.unwrap_or_default().as_str()).join(SOCKET_NAME))
}
