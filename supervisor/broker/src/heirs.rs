//! From one owner of a service's name to the next, by way of the workers that outlive the first. Decision 0038.
//!
//! Each worker has the socket at which its service's heirs are met. As long as its owner lives nobody accepts there;
//! once it has died, any worker gives whoever connects the sockets that listen.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use speedysvc_protocol::control::{Legacy, heirs_name};
use speedysvc_protocol::limits::DESCRIPTORS_MAX;
use speedysvc_protocol::shm::handover;
use thiserror::Error;

use crate::rendezvous::{TakeError, at, listen_anew};
use crate::service::Inherited;

/// How long a worker may take to answer. A thread of its own does, so that calls make no difference.
const PATIENCE: Duration = Duration::from_secs(10);

/// The heirs' socket of this owner's workers.
#[derive(Debug)]
pub(crate) struct Heirs {
    pub(crate) socket: OwnedFd,
    path: PathBuf,
    published: PathBuf,
}

impl Heirs {
    /// Listens beside the place where heirs look.
    pub(crate) fn make(folder: &Path, name: &str) -> Result<Self, TakeError> {
        // As long as a rendezvous socket's name, so that there is room for it.
        let path = folder.join(format!("{name}.next"));
        let socket = listen_anew(&path).map_err(at(&path))?;
        // What is handed over there is ours alone.
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(at(&path))?;
        Ok(Self { socket, path, published: folder.join(heirs_name(name)) })
    }

    /// From now on heirs find it.
    pub(crate) fn publish(&mut self) -> Result<(), TakeError> {
        fs::rename(&self.path, &self.published).map_err(at(&self.published))?;
        self.path.clone_from(&self.published);
        Ok(())
    }
}

impl Drop for Heirs {
    fn drop(&mut self) {
        // Somebody else may have cleaned the folder.
        let _gone = fs::remove_file(&self.path);
    }
}

/// What the workers of a dead owner of a name have for us.
#[derive(Debug)]
pub struct Inheritance {
    /// For [`crate::Broker::take_over`].
    pub inherited: Inherited,
    /// The owner that has died, by its process id.
    pub supervisor: u32,
    /// Its listeners, by their addresses as its file had them.
    pub listeners: Vec<(String, OwnedFd)>,
}

/// Why nothing can be inherited although somebody is there.
#[derive(Debug, Error)]
#[error("the workers of an engine that was killed still serve, and do not hand over their sockets: {0}")]
pub struct InheritError(#[from] io::Error);

/// Asks the workers of a dead owner of the name for its sockets. `None` when there are none. The caller holds the lock
/// of the name or of its folder: as long as an owner lives there would be no answer.
///
/// # Errors
/// [`InheritError`]: they are there and do not answer.
pub fn inherit(folder: &Path, name: &str) -> Result<Option<Inheritance>, InheritError> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).map_err(io::Error::from)?;
    let address = SocketAddrUnix::new(folder.join(heirs_name(name))).map_err(io::Error::from)?;
    match connect(&socket, &address) {
        Ok(()) => {}
        Err(Errno::NOENT | Errno::CONNREFUSED | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(io::Error::from(error).into()),
    }
    let longest = Timespec::try_from(PATIENCE).ok();
    let found = loop {
        match poll(&mut [PollFd::new(&socket, PollFlags::IN)], longest.as_ref()) {
            Err(Errno::INTR) => {}
            found => break found.map_err(io::Error::from)?,
        }
    };
    if found == 0 {
        return Err(io::Error::from(io::ErrorKind::TimedOut).into());
    }
    // The last of them may have left in this moment.
    let Some((legacy, descriptors)) = received(&socket)? else { return Ok(None) };
    let mut descriptors = descriptors.into_iter();
    let (Some(rendezvous), Some(heirs)) = (descriptors.next(), descriptors.next()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidData).into());
    };
    let listeners = legacy.listeners.into_iter().zip(descriptors).collect();
    Ok(Some(Inheritance { inherited: Inherited { rendezvous, heirs }, supervisor: legacy.supervisor, listeners }))
}

fn received(socket: &OwnedFd) -> io::Result<Option<(Legacy, Vec<OwnedFd>)>> {
    match handover::receive::<Legacy>(socket, DESCRIPTORS_MAX) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
        received => received,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn nobody_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(inherit(folder.path(), "echo").unwrap().is_none());
        let mut heirs = Heirs::make(folder.path(), "echo").unwrap();
        assert!(inherit(folder.path(), "echo").unwrap().is_none(), "not to be found yet");
        heirs.publish().unwrap();
        let Heirs { path, .. } = &heirs;
        let path = path.clone();
        drop(heirs);
        assert!(!path.exists());
        // As after a kill: the socket is gone, its file is there.
        drop(listen_anew(&path).unwrap());
        assert!(path.exists() && inherit(folder.path(), "echo").unwrap().is_none());
    }

    #[test]
    fn what_workers_of_another_version_leave_is_taken_or_refused_clearly() {
        let folder = tempfile::tempdir().unwrap();
        let mut heirs = Heirs::make(folder.path(), "echo").unwrap();
        heirs.publish().unwrap();
        let inherited = |legacy: &'static str| {
            let worker = heirs.socket.try_clone().unwrap();
            let answers = std::thread::spawn(move || {
                poll(&mut [PollFd::new(&worker, PollFlags::IN)], None).unwrap();
                let heir = rustix::net::accept(&worker).unwrap();
                let legacy: serde_json::Value = serde_json::from_str(legacy).unwrap();
                handover::send(&heir, &legacy, &[worker.as_fd(), worker.as_fd()]).unwrap();
            });
            let inherited = inherit(folder.path(), "echo");
            answers.join().unwrap();
            inherited
        };
        let later = r#"{"supervisor":7,"grace_us":1,"drain_us":1,"listeners":[],"later":{"a":1}}"#;
        assert_eq!(inherited(later).unwrap().unwrap().supervisor, 7);
        let error = inherited(r#"{"owner":"7"}"#).unwrap_err().to_string();
        assert!(error.starts_with("the workers of an engine that was killed still serve"), "{error}");
        assert!(error.contains("missing field `supervisor`"), "{error}");
    }

    #[test]
    fn sockets_change_hands_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut heirs = Heirs::make(folder.path(), "echo").unwrap();
        heirs.publish().unwrap();
        let worker = heirs.socket.try_clone().unwrap();
        let answers = std::thread::spawn(move || {
            poll(&mut [PollFd::new(&worker, PollFlags::IN)], None).unwrap();
            let heir = rustix::net::accept(&worker).unwrap();
            let (a, b) = handover::pair().unwrap();
            let legacy = Legacy { supervisor: 7, listeners: vec!["tcp://a:1".to_owned()], ..Legacy::default() };
            handover::send(&heir, &legacy, &[a.as_fd(), worker.as_fd(), b.as_fd()]).unwrap();
        });
        let found = inherit(folder.path(), "echo").unwrap().unwrap();
        answers.join().unwrap();
        assert_eq!((found.supervisor, found.listeners.len()), (7, 1));
        assert_eq!(found.listeners[0].0, "tcp://a:1");
        // Now that all have been told, nobody new is let in.
        rustix::net::shutdown(&found.inherited.heirs, rustix::net::Shutdown::Both).unwrap();
        assert!(inherit(folder.path(), "echo").unwrap().is_none());
        drop(heirs);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
