//! The helper's view of the harness: standard input is its life line, standard output takes one line.

use std::io::{self, Read, Write};
use std::thread;

/// The harness, seen from a process that it started.
pub struct Parent;

impl Parent {
    /// Makes this process end when the harness does, however that ends: the kernel closes its pipes.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn end_with_it(&self) -> io::Result<()> {
        self.end_with_it_holding(|| ())
    }

    /// The same for a process that must not end at any moment: it ends holding what `hold` gives.
    ///
    /// # Errors
    /// As there.
    pub fn end_with_it_holding<T>(&self, hold: impl FnOnce() -> T + Send + 'static) -> io::Result<()> {
        thread::Builder::new().name("life-line".into()).spawn(|| {
            Self.wait_for_its_end();
            let _held = hold();
            std::process::exit(0)
        })?;
        Ok(())
    }

    /// Waits until the harness has ended, or wants us to.
    pub fn wait_for_its_end(&self) {
        let mut nothing = [0; 64];
        while let Ok(1..) = io::stdin().lock().read(&mut nothing) {}
    }

    /// Says where the server is, and which processes it consists of.
    ///
    /// # Errors
    /// When the harness is gone.
    pub fn ready(&self, address: &str, processes: &[u32]) -> io::Result<()> {
        let processes: Vec<String> = processes.iter().map(u32::to_string).collect();
        self.say(&format!("ready {address} {}", processes.join(",")))
    }

    /// Says the one line that the harness waits for.
    pub(crate) fn say(&self, line: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()
    }
}
