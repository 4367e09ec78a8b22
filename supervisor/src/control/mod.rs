//! The control socket: operators and the dashboard come in here.
//!
//! | module   | idea |
//! |----------|------|
//! | `client` | one connection: lines in, lines out, bounded both ways |
//! | `answer` | what each request does |
//! | `status` | how everything is |
//!
//! Only the supervisor's own user and root are heard; whoever changes something is named in the log.

mod answer;
mod client;
mod status;

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use speedysvc_protocol::control::operator::{Reason, Reply, Request, SOCKET_NAME};

use crate::StartError;
pub(crate) use answer::Refusal;
pub(crate) use client::{Client, Task, Waiting};

/// Beside the socket; whoever holds it is the engine of this run folder and namespace.
const LOCK_NAME: &str = "_engine.lock";
/// Most connections at a time; one more is told so and hung up on.
const CLIENTS_MAX: usize = 64;

/// The socket, and who is connected.
pub(crate) struct Control {
    listener: UnixListener,
    clients: BTreeMap<u64, Client>,
    next: u64,
    paths: [PathBuf; 2],
    _lock: File,
}

impl Control {
    /// Takes the run folder and namespace, and listens.
    pub(crate) fn take(folder: &Path) -> Result<Self, StartError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StartError::Folder { path, source }
        };
        let (path, lock_path) = (folder.join(SOCKET_NAME), folder.join(LOCK_NAME));
        let lock = speedysvc_broker::lock(&lock_path).map_err(failed(&lock_path))?;
        let lock = lock.map_err(|pid| StartError::EngineRuns { folder: folder.to_owned(), pid })?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&path)(error)),
            // What a killed engine left.
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed(&path))?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed(&path))?;
        listener.set_nonblocking(true).map_err(failed(&path))?;
        Ok(Self { listener, clients: BTreeMap::new(), next: 0, paths: [path, lock_path], _lock: lock })
    }

    /// Readable when somebody comes.
    pub(crate) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    pub(crate) fn clients(&self) -> impl Iterator<Item = (u64, &Client)> {
        self.clients.iter().map(|(id, client)| (*id, client))
    }

    pub(crate) fn client(&mut self, id: u64) -> Option<&mut Client> {
        self.clients.get_mut(&id)
    }

    /// Lets in who may come in.
    pub(crate) fn accept(&mut self) {
        // Out of descriptors they wait in the backlog.
        while let Ok((stream, _)) = self.listener.accept() {
            let Ok(peer) = socket_peercred(&stream) else { continue };
            let Ok(mut client) = Client::new(stream, peer.uid.as_raw(), peer.pid.as_raw_nonzero().get()) else {
                continue;
            };
            let refused = if peer.uid.as_raw() != geteuid().as_raw() && !peer.uid.is_root() {
                Some(format!("user {} may not control this engine: only its own user and root may", client.uid))
            } else if self.clients.len() >= CLIENTS_MAX {
                Some(format!("{CLIENTS_MAX} connections to the control socket are open: close one"))
            } else {
                None
            };
            match refused {
                Some(why) => client.last_word(&Reply::Refused { reason: Reason::Usage, why }),
                None => {
                    self.clients.insert(self.next, client);
                    self.next += 1;
                }
            }
        }
    }

    /// What this one wants, if anything; forgets it when it is gone.
    pub(crate) fn hear(&mut self, id: u64) -> Vec<Request> {
        let Some(client) = self.clients.get_mut(&id) else { return Vec::new() };
        client.flush();
        client.read()
    }

    pub(crate) fn reply(&mut self, id: u64, reply: &Reply) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.reply(reply);
        }
    }

    /// Forgets those that are gone.
    pub(crate) fn sweep(&mut self) {
        self.clients.retain(|_, client| !client.is_gone());
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.clients.values_mut().for_each(Client::flush);
        for path in &self.paths {
            // Somebody else may have cleaned the folder; the lock ends with its descriptor anyway.
            fs::remove_file(path).ok();
        }
    }
}
