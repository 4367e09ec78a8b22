//! A service's name in its folder: one lock file and one socket, held by one process.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use speedysvc_protocol::control::rendezvous_name;
use thiserror::Error;

/// Why a service's name cannot be had.
#[derive(Debug, Error)]
pub enum TakeError {
    /// Another process holds it.
    #[error(
        "the service `{name}` already runs in {folder}, in process {pid}: stop that one, or choose another namespace"
    )]
    Taken {
        /// The service.
        name: String,
        /// The folder.
        folder: String,
        /// The holder's process id, as it wrote it.
        pid: String,
    },
    /// The folder or a file in it cannot be used.
    #[error("cannot use {path}: {error}")]
    Io {
        /// What was touched.
        path: String,
        /// What the system said.
        error: io::Error,
    },
}

pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> TakeError {
    let path = path.display().to_string();
    move |error| TakeError::Io { path, error }
}

/// A name that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Rendezvous {
    pub(crate) socket: OwnedFd,
    path: PathBuf,
    lock_path: PathBuf,
    /// Workers of a dead holder listen there, too: should we go before they do, the next one is to find it.
    pub(crate) is_shared: bool,
    _lock: File,
}

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 1024;

impl Rendezvous {
    /// Takes the name, removing what a killed holder left, and listens; or goes on listening where that one did.
    /// `open_to_others` lets other users connect; they are judged by their credentials.
    pub(crate) fn take(
        folder: &Path,
        name: &str,
        open_to_others: bool,
        inherited: Option<OwnedFd>,
    ) -> Result<Self, TakeError> {
        let lock_path = folder.join(format!("{name}.lock"));
        let lock = lock(&lock_path).map_err(at(&lock_path))?.map_err(|pid| TakeError::Taken {
            name: name.to_owned(),
            folder: folder.display().to_string(),
            pid,
        })?;
        let path = folder.join(rendezvous_name(name));
        // One whose file is gone is of no use: nobody finds it.
        let inherited = inherited.filter(|_| path.exists());
        let is_shared = inherited.is_some();
        let socket = match inherited {
            Some(socket) => socket,
            None => listen_anew(&path).map_err(at(&path))?,
        };
        let mode = if open_to_others { 0o666 } else { 0o600 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(at(&path))?;
        if open_to_others {
            // Others may pass through the folder, but not list it.
            fs::set_permissions(folder, Permissions::from_mode(0o711)).map_err(at(folder))?;
        }
        Ok(Self { socket, path, lock_path, is_shared, _lock: lock })
    }
}

impl Drop for Rendezvous {
    fn drop(&mut self) {
        for path in [&self.path, &self.lock_path].into_iter().skip(usize::from(self.is_shared)) {
            // Somebody else may have cleaned the folder; the lock ends with its descriptor anyway.
            let _gone = fs::remove_file(path);
        }
    }
}

/// Listens at a path, where a dead holder may have left a file.
pub(crate) fn listen_anew(path: &Path) -> io::Result<OwnedFd> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    listen(path)
}

fn listen(path: &Path) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Locks a file and writes our pid into it; or gives the pid that its holder wrote. A holder that ends removes the
/// file, so a lock on a file that is no longer at its path is worth nothing: then once more.
///
/// # Errors
/// When the file cannot be made or written.
pub fn lock(path: &Path) -> io::Result<Result<File, String>> {
    loop {
        let options = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
        let mut file = options.open(path)?;
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            file.read_to_string(&mut pid)?;
            return Ok(Err(pid.trim().to_owned()));
        }
        let ours = file.metadata()?.ino();
        if fs::metadata(path).is_ok_and(|there| there.ino() == ours) {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())?;
            return Ok(Ok(file));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_holder_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let first = Rendezvous::take(folder.path(), "echo", false, None).unwrap();
        let error = Rendezvous::take(folder.path(), "echo", false, None).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        Rendezvous::take(folder.path(), "other", false, None).unwrap();
        drop(first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        Rendezvous::take(folder.path(), "echo", false, None).unwrap();
    }

    #[test]
    fn leftovers_of_a_killed_holder_are_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("echo.lock"), "1\n").unwrap();
        drop(listen(&folder.path().join("echo.sock")).unwrap());
        Rendezvous::take(folder.path(), "echo", false, None).unwrap();
    }

    #[test]
    fn who_waits_at_a_dead_holders_socket_is_accepted_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("echo.sock");
        let left = listen(&path).unwrap();
        let address = SocketAddrUnix::new(&path).unwrap();
        let client = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        rustix::net::connect(&client, &address).unwrap();
        let taken = Rendezvous::take(folder.path(), "echo", false, Some(left)).unwrap();
        rustix::net::accept(&taken.socket).unwrap();
        let again = taken.socket.try_clone().unwrap();
        drop(taken);
        assert!(path.exists(), "others listen there");
        let mut taken = Rendezvous::take(folder.path(), "echo", false, Some(again)).unwrap();
        taken.is_shared = false;
        drop(taken);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
