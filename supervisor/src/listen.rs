//! Listeners. They live as long as the supervisor does, so that no connection in a queue is lost with a worker.

use std::fs::{self, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use speedysvc_config::{Listen, Service};
use speedysvc_protocol::limits::DESCRIPTORS_MAX;

use crate::StartError;
use crate::spares::{Found, Spares};

/// With them a worker gets its board, its bell, its stats page, and the sockets of its service's clients and heirs.
const _: () = assert!(Listen::PER_SERVICE_MAX + 5 == DESCRIPTORS_MAX);

/// Connections that may wait to be accepted. The standard library asks for 128, which a burst of clients fills; the
/// kernel cuts this to `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// Said loudly at each start of a service that others may reach.
pub(crate) fn warning(service: &str, open: &Listen) -> String {
    format!(
        "WARNING: {service}: other machines reach {open}, and there are neither TLS nor tokens: whoever reaches it can \
         call, as `insecure = true` in the file allows"
    )
}

/// A listening socket. When it goes, so does its file.
#[derive(Debug)]
pub(crate) struct Socket {
    descriptor: OwnedFd,
    path: Option<PathBuf>,
    /// Workers of a killed engine listen there, too: should this start fail, the next one is to find its file.
    is_shared: AtomicBool,
}

impl Socket {
    /// Nobody else listens there any more.
    pub(crate) fn own(&self) {
        self.is_shared.store(false, Ordering::Relaxed);
    }

    /// Another descriptor of it.
    pub(crate) fn try_clone(&self) -> io::Result<OwnedFd> {
        self.descriptor.try_clone()
    }

    /// Who may connect as far as a file's mode can say it; workers ask the kernel once more.
    pub(crate) fn open_for(&self, service: &Service) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let is_open = !service.allow.users.is_empty() || !service.allow.groups.is_empty();
        fs::set_permissions(path, Permissions::from_mode(if is_open { 0o666 } else { 0o600 }))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(path) = self.path.as_ref().filter(|_| !self.is_shared.load(Ordering::Relaxed)) {
            // Somebody else may have cleaned up.
            let _gone = fs::remove_file(path);
        }
    }
}

/// A listener on one of a service's addresses, and that address with the port that the kernel chose. One that listens
/// there already is taken from `spares`.
pub(crate) fn bind(service: &Service, address: &Listen, spares: &mut Spares) -> Result<(Socket, Listen), StartError> {
    if let Some(Found { socket, real, is_ours }) = spares.take(service.name.as_str(), address) {
        let path = match &real {
            Listen::Unix(path) if is_ours => Some(path.clone()),
            _ => None,
        };
        let is_shared = AtomicBool::new(path.is_some());
        let socket = Socket { descriptor: socket, path, is_shared };
        socket.open_for(service).map_err(StartError::denied("cannot change who may connect"))?;
        return Ok((socket, real));
    }
    let bound = match address {
        Listen::Tcp(tcp) => bind_one(*tcp).map(|(descriptor, real)| {
            let path = None;
            (Socket { descriptor, path, is_shared: AtomicBool::new(false) }, Listen::Tcp(real))
        }),
        Listen::Unix(path) => bind_unix(path, service).map(|socket| (socket, address.clone())),
    };
    bound.map_err(|source| {
        let service = service.name.to_string();
        match (source.kind(), address) {
            (io::ErrorKind::AddrInUse, Listen::Tcp(tcp)) => StartError::PortTaken { service, address: *tcp },
            _ => StartError::Listen { service, address: address.clone(), source },
        }
    })
}

fn bind_unix(path: &Path, service: &Service) -> io::Result<Socket> {
    remove_left_over(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let descriptor = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&descriptor, &SocketAddrUnix::new(path)?)?;
    let socket = Socket { descriptor, path: Some(path.to_owned()), is_shared: AtomicBool::new(false) };
    // Before anybody can connect.
    socket.open_for(service)?;
    rustix::net::listen(&socket.descriptor, BACKLOG)?;
    Ok(socket)
}

/// A socket on which nobody listens was left by an engine that was killed.
fn remove_left_over(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let is_dead = || UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if is_socket && is_dead() { fs::remove_file(path) } else { Ok(()) }
}

fn bind_one(address: SocketAddr) -> io::Result<(OwnedFd, SocketAddr)> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // Or a restart would have to wait a minute for connections of its predecessor to be forgotten.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    let listener = TcpListener::from(socket);
    let real = listener.local_addr()?;
    Ok((listener.into(), real))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_zero_becomes_a_real_port_and_a_taken_one_is_told() {
        let (listener, real) = bind_one("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(real.port(), 0);
        std::net::TcpStream::connect(real).unwrap();
        assert_eq!(bind_one(real).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        let text = StartError::PortTaken { service: "echo".to_owned(), address: real }.to_string();
        assert!(text.contains("echo") && text.contains(&real.to_string()) && text.contains("ss -ltnp"), "{text}");
    }

    #[test]
    fn a_unix_socket_is_for_its_user_replaces_a_dead_one_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("echo.sock");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let mut service = crate::lifecycle_tests::service("echo");
        let socket = bind_unix(&path, &service).unwrap();
        assert_eq!(mode(), 0o600);
        UnixStream::connect(&path).unwrap();
        assert_eq!(bind_unix(&path, &service).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        // As after a kill: the socket is gone, its file is there.
        drop(socket);
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        service.allow.users.push(speedysvc_config::Principal::Id(7));
        let socket = bind_unix(&path, &service).unwrap();
        assert_eq!(mode(), 0o666);
        drop(socket);
        assert!(!path.exists());
        fs::write(&path, "mine").unwrap();
        let kind = bind_unix(&path, &service).unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::AddrInUse, "what is no socket is not ours to remove");
    }
}
