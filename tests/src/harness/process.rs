//! One started program: its lines, its end, and the certainty that it ends.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::process::Signal;

use super::poll::wait_until;
use super::proc;

/// Lines that a program has written so far.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Reads on until the last writer has gone, in a thread of its own.
    fn follow(&self, from: impl Read + Send + 'static) -> JoinHandle<()> {
        let lines = self.clone();
        thread::spawn(move || {
            // Text that is no UTF-8 ends the following: a test that expects a line will say what came before.
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                lines.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        })
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A program in a process group of its own. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    ended: Option<ExitStatus>,
    out: Lines,
    err: Lines,
    followers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a program.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (out, err) = (Lines::default(), Lines::default());
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let followers = vec![out.follow(stdout), err.follow(stderr)];
        Self { child, ended: None, out, err, followers }
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    #[must_use]
    pub fn out(&self) -> Vec<String> {
        self.out.all()
    }

    /// What it wrote to standard error so far.
    #[must_use]
    pub fn err(&self) -> Vec<String> {
        self.err.all()
    }

    /// Waits for a line on standard output that contains `text`, and gives it.
    ///
    /// # Panics
    /// When the program ends without it, or takes too long.
    pub fn wait_for_line(&mut self, text: &str) -> String {
        let find = |lines: Vec<String>| lines.into_iter().find(|line| line.contains(text));
        let found = wait_until(&format!("a line with `{text}`"), || {
            // Whether it has ended is asked first: its last line comes before its end.
            let ended = self.has_ended();
            if ended {
                self.finish_lines();
            }
            find(self.out()).map(Some).or(ended.then_some(None))
        });
        found.unwrap_or_else(|| panic!("it ended without a line with `{text}`: {:?}\n{:#?}", self.ended, self.err()))
    }

    /// Whether it has ended by now.
    pub fn has_ended(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child can be waited for");
        }
        self.ended.is_some()
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&mut self, signal: Signal) {
        if !self.has_ended() {
            proc::signal(self.pid(), signal);
        }
    }

    /// Waits for its end: the exit code, or the negative number of the signal that killed it.
    ///
    /// # Panics
    /// When it takes too long.
    pub fn wait(&mut self) -> i32 {
        wait_until("the end of a process", || self.has_ended().then_some(()));
        let status = self.ended.expect("it has ended");
        status.code().unwrap_or_else(|| -status.signal().expect("what did not exit was killed"))
    }

    /// After its end: waits until all that was written is read. Its descendants must have gone, too.
    fn finish_lines(&mut self) {
        let done = |follower: &JoinHandle<()>| follower.is_finished();
        // Not longer than this: a descendant that outlives it would keep the pipes open.
        super::poll::look_for(std::time::Duration::from_secs(5), || self.followers.iter().all(done).then_some(()));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() {
            // Its group, too: what it started and did not put elsewhere. Nobody else can have its number yet.
            if let Some(group) = i32::try_from(self.pid()).ok().and_then(rustix::process::Pid::from_raw) {
                rustix::process::kill_process_group(group, Signal::KILL).ok();
            }
            self.child.wait().ok();
        }
    }
}
