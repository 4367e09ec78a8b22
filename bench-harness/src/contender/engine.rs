//! The real engine, in a folder of its own, with the file that a user would write.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::measure::accounts;
use crate::run::process;

const PROGRAM: &str = "speedysvc-engine";
/// What would make the engine look elsewhere.
const VARIABLES: [&str; 4] = ["SPEEDYSVC_RUN_DIR", "SPEEDYSVC_NAMESPACE", "SPEEDYSVC_LISTEN", "XDG_RUNTIME_DIR"];
/// How long an engine may take to end: it has no call in flight.
const ENDS: Duration = Duration::from_secs(5);
/// Lines that an engine says before it is ready are few.
const LINES_MAX: usize = 100;

/// The engine's program, beside this one.
pub(super) fn program() -> Result<PathBuf> {
    let own = env::current_exe().context("this program's own path is not known")?;
    let beside = own.with_file_name(PROGRAM);
    if beside.is_file() {
        return Ok(beside);
    }
    let profile = if cfg!(debug_assertions) { "" } else { " --release" };
    bail!("not built: {} is not there; run `cargo build{profile} -p {PROGRAM}`", beside.display())
}

/// What the engine says of itself.
pub(super) fn version() -> Result<String> {
    let output = Command::new(program()?).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A running engine. Dropping it ends it.
pub(crate) struct Engine {
    child: Child,
    /// Stays open while the engine runs: it may say more.
    out: BufReader<ChildStdout>,
    said: Vec<String>,
    folder: TempDir,
}

impl Engine {
    /// Starts an engine with this service.toml, in which `{folder}` is its own folder, and waits until it says that it
    /// is ready. It inherits the processors
    /// that this process is pinned to, and its process group: whoever ends that ends the engine.
    pub(super) fn start(file: &str) -> Result<Self> {
        // A short name: sockets have room for 107 bytes of path.
        let folder = tempfile::Builder::new().prefix("sbh").tempdir()?;
        let file = file.replace("{folder}", &folder.path().display().to_string());
        fs::write(folder.path().join("service.toml"), file)?;
        let log = File::create(folder.path().join("engine.log"))?;
        let mut command = Command::new(program()?);
        VARIABLES.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.arg("--config").arg(folder.path().join("service.toml"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let out = BufReader::new(child.stdout.take().context("its output is piped")?);
        let mut engine = Self { child, out, said: vec![], folder };
        engine.wait_until_ready()?;
        Ok(engine)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        while self.said.len() < LINES_MAX {
            let mut line = String::new();
            if self.out.read_line(&mut line)? == 0 {
                break;
            }
            let is_ready = line.starts_with("ready:");
            self.said.push(line);
            if is_ready {
                return Ok(());
            }
        }
        let log = fs::read_to_string(self.folder.path().join("engine.log")).unwrap_or_default();
        bail!("the engine did not become ready; it said: {}{log}", self.said.concat())
    }

    /// Where a service of it is over shared memory.
    pub(crate) fn shm_address(&self, service: &str) -> String {
        format!("shm://{}/run/default/{service}.sock", self.folder.path().display())
    }

    /// The address of something in its folder.
    pub(super) fn in_folder(&self, scheme: &str, name: &str) -> String {
        format!("{scheme}://{}/{name}", self.folder.path().display())
    }

    /// Where a service of it listens.
    pub(super) fn tcp_address(&self, service: &str) -> Result<String> {
        let line = self.said.iter().find(|line| line.starts_with(&format!("{service}: ")));
        let place = line.and_then(|line| line.split([',', ';', ' ']).find(|part| part.starts_with("tcp://")));
        place.map(Into::into).with_context(|| format!("the engine listens nowhere: {}", self.said.concat()))
    }

    /// The supervisor and its workers.
    pub(super) fn processes(&self) -> Result<Vec<u32>> {
        let workers = accounts::children(self.child.id())?;
        if workers.is_empty() {
            bail!("the engine says that it is ready, and has no worker");
        }
        Ok([vec![self.child.id()], workers].concat())
    }

    /// Lets the engine end as a user would, and kills it when it does not.
    pub(crate) fn stop(self) {
        drop(self);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // A client that died in the middle of a probe may have left them stopped.
        for pid in self.processes().unwrap_or_default() {
            process::signal(pid, Signal::CONT);
        }
        process::signal(self.child.id(), Signal::TERM);
        process::end_within(&mut self.child, ENDS);
    }
}
