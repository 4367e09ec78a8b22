//! A folder with a file, and the engine that runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustix::process::Signal;
use tempfile::TempDir;

use super::poll::{wait_for, wait_until};
use super::proc;
use super::process::Process;
use super::programs::command;

/// By this variable the descendants of an engine are known. Workers inherit it.
const MARK: &str = "SPEEDYSVC_TEST_HOME";

/// A folder with a `service.toml` and the run folder that it names. It outlives its engines: the next one finds what
/// the last one left. When the last user goes, so does everything that was started here.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// A new folder with this file; `run_dir` is put in front.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn new(toml: &str) -> Arc<Self> {
        // A short name: sockets have room for 107 bytes of path.
        let folder = tempfile::Builder::new().prefix("spt").tempdir().expect("a folder for a test can be made");
        let home = Self { folder };
        home.rewrite(toml);
        Arc::new(home)
    }

    /// The folder. Tests may put files of their own into it.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path().join("service.toml")
    }

    /// Another file in its place, as [`Home::new`] takes it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn rewrite(&self, toml: &str) {
        self.write(&self.config(), toml);
    }

    /// A file for another engine of this folder.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, path: &Path, toml: &str) {
        // All tests at once have one default address; those of the dashboard name another.
        let web = if toml.contains("[web]") { "" } else { "\n[web]\nlisten = false\n" };
        fs::write(path, format!("run_dir = \"run\"\n{toml}{web}")).expect("the folder is there");
    }

    /// The run folder.
    #[must_use]
    pub fn run_dir(&self) -> PathBuf {
        self.path().join("run")
    }

    /// Where a service is over shared memory: `shm:///…/default/NAME.sock`.
    #[must_use]
    pub fn address(&self, service: &str) -> String {
        format!("shm://{}", self.run_dir().join("default").join(format!("{service}.sock")).display())
    }

    /// A program that runs in this folder and is ended with it.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = command(program);
        command.current_dir(self.path()).env(MARK, self.path());
        command
    }

    /// The engine's program with this file.
    #[must_use]
    pub fn engine_command(&self) -> Command {
        let mut command = self.command("speedysvc-engine");
        command.arg("--config").arg(self.config());
        command
    }

    /// Starts an engine, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start(self: &Arc<Self>) -> Engine {
        let mut engine = self.start_unready();
        engine.process.wait_for_line("ready:");
        engine
    }

    /// Starts an engine by another command than [`Home::engine_command`], and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start_by(self: &Arc<Self>, command: Command) -> Engine {
        let mut engine = Engine { process: Process::start(command), home: Arc::clone(self) };
        engine.process.wait_for_line("ready:");
        engine
    }

    /// Starts an engine that may or may not become ready.
    #[must_use]
    pub fn start_unready(self: &Arc<Self>) -> Engine {
        Engine { process: Process::start(self.engine_command()), home: Arc::clone(self) }
    }

    /// Everything that runs because of this folder: engines, workers and what they started.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        proc::with_environment(&format!("{MARK}={}", self.path().display()))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Only what carries our mark, and again until nothing does: what is being killed may be starting another.
        let gone = super::poll::look_for(super::poll::PATIENCE, || {
            let left = self.processes();
            left.iter().copied().for_each(proc::kill);
            left.is_empty().then_some(())
        });
        if gone.is_none() {
            eprintln!("processes of {} cannot be killed: {:?}", self.path().display(), self.processes());
        }
    }
}

/// A running engine. Dropping it kills it; its workers are killed with their [`Home`].
#[derive(Debug)]
pub struct Engine {
    // First, so that it is dead when the home is cleaned.
    process: Process,
    home: Arc<Home>,
}

impl Engine {
    /// Starts an engine with this file in a folder of its own, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start(toml: &str) -> Self {
        Home::new(toml).start()
    }

    /// Its folder, which outlives it while somebody holds this.
    #[must_use]
    pub fn home(&self) -> Arc<Home> {
        Arc::clone(&self.home)
    }

    /// The run folder.
    #[must_use]
    pub fn run_dir(&self) -> PathBuf {
        self.home.run_dir()
    }

    /// Where a service is over shared memory: `shm:///…/default/NAME.sock`.
    #[must_use]
    pub fn address(&self, service: &str) -> String {
        self.home.address(service)
    }

    /// Where a service listens: `tcp://127.0.0.1:40123`, with the port that the kernel chose.
    ///
    /// # Panics
    /// When it listens nowhere.
    #[must_use]
    pub fn tcp_address(&self, service: &str) -> String {
        let begin = format!("{service}: ");
        let lines = self.process.out();
        let line = lines.iter().find(|line| line.starts_with(&begin));
        let place = line.and_then(|line| line[begin.len()..].split([',', ';']).find(|part| part.contains("tcp://")));
        place.unwrap_or_else(|| panic!("{service} listens nowhere: {lines:#?}")).trim().to_owned()
    }

    /// The supervisor's number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its program: lines, signals, end.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it and its workers wrote to standard error so far.
    #[must_use]
    pub fn err(&self) -> Vec<String> {
        self.process.err()
    }

    /// Its workers and what they started, living or dying, but not the dead.
    #[must_use]
    pub fn workers(&self) -> Vec<u32> {
        self.home.processes().into_iter().filter(|pid| *pid != self.pid()).collect()
    }

    /// Waits until there are this many workers, other than those of `before`.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn wait_for_workers(&self, count: usize, before: &[u32]) -> Vec<u32> {
        wait_until(&format!("{count} new workers"), || {
            let workers: Vec<u32> = self.workers().into_iter().filter(|pid| !before.contains(pid)).collect();
            (workers.len() == count).then_some(workers)
        })
    }

    /// Clock ticks that the supervisor and its workers have had of processors.
    #[must_use]
    pub fn cpu_ticks(&self) -> u64 {
        self.home.processes().into_iter().map(proc::cpu_ticks).sum()
    }

    /// SIGTERM; waits for its end and gives its exit code.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(&mut self) -> i32 {
        self.terminate();
        self.wait()
    }

    /// SIGTERM, without waiting.
    pub fn terminate(&mut self) {
        self.process.signal(Signal::TERM);
    }

    /// SIGINT, without waiting.
    pub fn interrupt(&mut self) {
        self.process.signal(Signal::INT);
    }

    /// SIGKILL to the supervisor only; waits until it is gone.
    ///
    /// # Panics
    /// When it does not go.
    pub fn kill9(&mut self) {
        self.process.signal(Signal::KILL);
        self.wait();
    }

    /// Waits for its end: the exit code, or the negative number of the signal that killed it.
    ///
    /// # Panics
    /// When it does not end.
    pub fn wait(&mut self) -> i32 {
        self.process.wait()
    }

    /// Waits until no worker is left.
    ///
    /// # Panics
    /// When one stays.
    pub fn wait_for_no_worker(&self) {
        wait_for("the workers' end", || self.workers().is_empty());
    }
}

/// What no engine may say in any test: completions did not fit their queue (counter `ring_overflows`).
const OVERFLOWED: &str = "the completion queue was too small";

impl Drop for Engine {
    fn drop(&mut self) {
        let overflowed = self.err().into_iter().find(|line| line.contains(OVERFLOWED));
        if let (Some(line), false) = (overflowed, std::thread::panicking()) {
            panic!("a queue of completions overflowed: {line}");
        }
    }
}
