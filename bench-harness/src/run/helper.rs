//! One process of ours: a server or a client. It says one line, and ends when its standard input does.

use std::env;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::interrupt::Interrupt;
use super::process::{end_within, left};

/// How long a helper may take to end. One that serves our engine lets that end first, which takes up to 5 seconds.
const ENDS: Duration = Duration::from_secs(8);
/// A histogram has some thousands of pairs; far more would be no histogram.
const LINE_MAX: usize = 16 * 1024 * 1024;

/// A started helper. Dropping it ends it.
pub(crate) struct Helper {
    child: Child,
    life_line: Option<ChildStdin>,
    out: File,
}

impl Helper {
    /// Starts a program, or this one again, with these arguments.
    pub(crate) fn start(program: Option<PathBuf>, arguments: &[String]) -> Result<Self> {
        let own = || env::current_exe().context("this program's own path is not known");
        let mut command = Command::new(program.map_or_else(own, Ok)?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        // A group of its own: Ctrl-C reaches the harness alone.
        let mut child = command.process_group(0).spawn().context("a helper process cannot be started")?;
        let life_line = child.stdin.take();
        let out = child.stdout.take().context("its output is piped")?;
        Ok(Self { child, life_line, out: File::from(OwnedFd::from(out)) })
    }

    /// Waits for its line.
    ///
    /// # Errors
    /// When it ends without one, when time is up, or when Ctrl-C came.
    pub(crate) fn line(&mut self, patience: Duration, interrupt: &Interrupt) -> Result<String> {
        let deadline = Instant::now() + patience;
        let mut said = vec![];
        let mut part = vec![0; 64 * 1024];
        while !said.ends_with(b"\n") {
            if interrupt.has_come() {
                bail!("interrupted");
            }
            let mut watched = [PollFd::new(&self.out, PollFlags::IN)];
            match poll(&mut watched, left(deadline).as_ref()) {
                Ok(0) => bail!("took longer than {} s", patience.as_secs()),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let read = self.out.read(&mut part)?;
            if read == 0 || said.len() > LINE_MAX {
                bail!("it ended without a word; what it wrote to standard error is above");
            }
            said.extend_from_slice(&part[..read]);
        }
        let line = String::from_utf8(said)?.trim_end().to_owned();
        match line.strip_prefix("failed ") {
            Some(why) => bail!("{why}"),
            None => Ok(line),
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.life_line = None;
        end_within(&mut self.child, ENDS);
    }
}
