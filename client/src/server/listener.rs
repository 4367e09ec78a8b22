//! What a service that runs alone listens on.

use std::fs::{self, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use super::ServerError;
use crate::address::{Address, Environment};

pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// A socket's file, which goes with its service.
pub(super) struct UnixPath(pub(super) PathBuf);

impl Drop for UnixPath {
    fn drop(&mut self) {
        // Somebody else may have cleaned up.
        let _gone = fs::remove_file(&self.0);
    }
}

impl Listener {
    pub(super) fn bind(text: &str) -> Result<Self, ServerError> {
        let listener = match text.starts_with("unix://") {
            true => bind_unix(text),
            false => bind_tcp(text),
        }?;
        listener.set_nonblocking().map_err(|error| ServerError::Bind { address: text.to_owned(), error })?;
        Ok(listener)
    }

    pub(super) fn tcp_address(&self) -> Option<SocketAddr> {
        if let Self::Tcp(listener) = self { listener.local_addr().ok() } else { None }
    }

    pub(super) fn unix_path(&self) -> Option<UnixPath> {
        if let Self::Unix(_, path) = self { Some(UnixPath(path.clone())) } else { None }
    }

    pub(super) fn into_socket(self) -> OwnedFd {
        match self {
            Self::Tcp(listener) => listener.into(),
            Self::Unix(listener, _) => listener.into(),
        }
    }

    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.set_nonblocking(true),
            Self::Unix(listener, _) => listener.set_nonblocking(true),
        }
    }
}

fn bind_tcp(text: &str) -> Result<Listener, ServerError> {
    let address: SocketAddr = text.strip_prefix("tcp://").and_then(|rest| rest.parse().ok()).ok_or_else(|| {
        let forms = "tcp://127.0.0.1:5555, tcp://[::1]:5555 or unix:///run/echo.sock";
        ServerError::Address(format!("`{text}` cannot be listened on; write {forms}"))
    })?;
    if !address.ip().is_loopback() {
        let why = format!("{address} is not a loopback address: TLS and tokens come later");
        return Err(ServerError::Address(why));
    }
    let bound = TcpListener::bind(address).map(Listener::Tcp);
    bound.map_err(|error| ServerError::Bind { address: text.to_owned(), error })
}

/// For the same user and root: who connects is asked for by the loop, and before that by the file's mode.
fn bind_unix(text: &str) -> Result<Listener, ServerError> {
    let address = Address::parse(text, &Environment::default());
    let Some(Address::Unix { path, .. }) = address.ok().filter(|_| !text.contains('?')) else {
        return Err(ServerError::Address(format!("`{text}` is not the path of a socket: unix:///run/echo.sock")));
    };
    let bound = UnixListener::bind(&path).and_then(|listener| {
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Listener::Unix(listener, path))
    });
    bound.map_err(|error| ServerError::Bind { address: text.to_owned(), error })
}
