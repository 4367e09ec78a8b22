//! What workers of a service are started as: settings of the file, listeners, and the program as it was at that time.
//!
//! A version keeps its program's file open. A file that was replaced on disk is run by those who are asked to run it
//! (a restart, a reload), not by the successor of a worker that crashed; and a version that is taken back still has its
//! own.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use speedysvc_broker::Allow;
use speedysvc_config::{Listen, Service};

use crate::launch::{Terms, launched};
use crate::listen::{self, Socket};
use crate::spares::Spares;
use crate::{StartError, accounts};

/// A listener and its addresses: as the file has it, and with the port that the kernel chose.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) asked: Listen,
    pub(crate) real: Listen,
    pub(crate) socket: Arc<Socket>,
}

/// One version of one service.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) service: Service,
    pub(crate) allow: Allow,
    pub(crate) listeners: Vec<Listener>,
    program: Option<Program>,
    /// As whom, and within which bounds.
    terms: Option<Terms>,
}

impl Settings {
    /// Looks up names, binds addresses that neither `before` nor `spares` has, and opens the program. Nothing is
    /// started.
    pub(crate) fn prepare(
        service: &Service,
        program: &Path,
        before: Option<&Self>,
        spares: &mut Spares,
    ) -> Result<Self, StartError> {
        let (allow, terms) = (accounts::resolve(service)?, Terms::of(service)?);
        let mut bound: Vec<Listener> = before.map(|before| before.listeners.clone()).unwrap_or_default();
        let mut listeners = Vec::new();
        for asked in &service.listen {
            let known = bound.iter().position(|listener| listener.asked == *asked);
            listeners.push(match known {
                Some(known) => {
                    let known = bound.remove(known);
                    known.socket.open_for(service).map_err(StartError::denied("cannot change who may connect"))?;
                    known
                }
                None => {
                    let (socket, real) = listen::bind(service, asked, spares)?;
                    Listener { asked: asked.clone(), real, socket: Arc::new(socket) }
                }
            });
        }
        Ok(Self { service: service.clone(), allow, listeners, program: Program::open(program), terms })
    }

    /// The same program and listeners with other settings.
    pub(crate) fn adjust(&mut self, service: &Service) -> Result<(), StartError> {
        self.allow = accounts::resolve(service)?;
        self.service = service.clone();
        Ok(())
    }

    /// As long as the service is stopped nobody can connect.
    pub(crate) fn unbind(&mut self) {
        self.listeners.clear();
    }

    /// Listens again, where it listened before.
    pub(crate) fn bind_again(&mut self, addresses: &[Listen], spares: &mut Spares) -> Result<(), StartError> {
        for (asked, real) in self.service.listen.iter().zip(addresses) {
            let (socket, real) = listen::bind(&self.service, real, spares)?;
            self.listeners.push(Listener { asked: asked.clone(), real, socket: Arc::new(socket) });
        }
        Ok(())
    }

    /// The command that runs this version's program by its terms, when `command` runs the one that is on disk now.
    pub(crate) fn pinned(&self, command: Command) -> Command {
        // The child's own table has the descriptor until it has been executed; a launcher must look into ours.
        let table = if self.terms.is_some() { std::process::id().to_string() } else { "self".to_owned() };
        let ours = self.program.as_ref().and_then(Program::replaced).map(|fd| format!("/proc/{table}/fd/{fd}"));
        let arg0 = command.get_program().to_string_lossy().into_owned();
        let (program, arg0) = match ours {
            None => (command, None),
            Some(ours) => {
                let mut pinned = Command::new(ours);
                pinned.arg0(&arg0).args(command.get_args());
                (pinned, Some(arg0))
            }
        };
        match &self.terms {
            None => program,
            Some(terms) => launched(&program, arg0.as_deref(), terms),
        }
    }
}

/// A program's file, held open.
#[derive(Debug)]
struct Program {
    path: PathBuf,
    file: File,
}

impl Program {
    /// `None` for what cannot be run by its descriptor: scripts, which their interpreter opens by name, and files that
    /// we may not read.
    fn open(path: &Path) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let mut magic = [0; 4];
        file.read_exact(&mut magic).ok()?;
        (magic == *b"\x7fELF").then(|| Self { path: path.to_owned(), file })
    }

    /// Its descriptor, by which it is run when another file, or none, is at its path by now. A process that was started
    /// so is called by a number in `ps`, so this is for when it must be.
    fn replaced(&self) -> Option<RawFd> {
        let ours = self.file.metadata().ok()?;
        let there = std::fs::metadata(&self.path);
        let is_there = there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
        (!is_there).then(|| self.file.as_raw_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_replaced_can_still_be_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::copy("/bin/echo", &path).unwrap();
        let program = Program::open(&path).unwrap();
        assert_eq!(program.replaced(), None);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "no program").unwrap();
        let output = Command::new(format!("/proc/self/fd/{}", program.replaced().unwrap()))
            .arg0("echo")
            .arg("still here")
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"still here\n");
        assert!(Program::open(&path).is_none() && Program::open(Path::new("/no/such")).is_none());
    }
}
