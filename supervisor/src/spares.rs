//! Sockets that listen already when the engine starts: those of an engine that was killed, and those from systemd.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::net::{SocketAddrUnix, getsockname};
use speedysvc_config::Listen;

use crate::policy::count;

/// What is there, and has not been taken.
#[derive(Debug, Default)]
pub(crate) struct Spares(Vec<Spare>);

#[derive(Debug)]
struct Spare {
    /// Where it listens.
    real: Listen,
    /// Whose it is: of a service that has left it, or as the unit file calls it.
    name: String,
    /// As the file of the engine before had it; `None` for those of a unit file.
    asked: Option<String>,
    socket: OwnedFd,
}

/// A socket that was there.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) socket: OwnedFd,
    pub(crate) real: Listen,
    /// Its file is ours to remove; systemd's is not.
    pub(crate) is_ours: bool,
}

impl Spares {
    /// Listeners of an engine that was killed, by their addresses in its file.
    pub(crate) fn add_left(&mut self, service: &str, listeners: Vec<(String, OwnedFd)>) {
        for (asked, socket) in listeners {
            let Some(real) = address_of(&socket) else { continue };
            self.0.push(Spare { real, name: service.to_owned(), asked: Some(asked), socket });
        }
    }

    /// A socket from systemd, under the name that the unit gives it.
    pub(crate) fn add_activated(&mut self, name: &str, socket: OwnedFd) -> Result<(), OwnedFd> {
        let Some(real) = address_of(&socket) else { return Err(socket) };
        self.0.push(Spare { real, name: name.to_owned(), asked: None, socket });
        Ok(())
    }

    /// The same sockets again: those from systemd stay open as long as we live, and so can be taken many times.
    pub(crate) fn again(&self) -> Self {
        let copies = self.0.iter().filter(|spare| spare.asked.is_none()).filter_map(|spare| {
            let (real, name, asked) = (spare.real.clone(), spare.name.clone(), None);
            // Out of descriptors; binding will say so.
            Some(Spare { real, name, asked, socket: spare.socket.try_clone().ok()? })
        });
        Self(copies.collect())
    }

    /// Takes the one that listens for an address of a service.
    pub(crate) fn take(&mut self, service: &str, wanted: &Listen) -> Option<Found> {
        let place = self.0.iter().position(|spare| spare.fits(service, wanted))?;
        let Spare { real, asked, socket, .. } = self.0.remove(place);
        Some(Found { socket, real, is_ours: asked.is_some() })
    }

    /// Where those listen that nobody has taken.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Listen> {
        self.0.iter().map(|spare| &spare.real)
    }
}

impl Spare {
    fn fits(&self, service: &str, wanted: &Listen) -> bool {
        let is_named = self.name == service;
        match &self.asked {
            // Port 0 means the one that the kernel chose then.
            Some(asked) => is_named && *asked == wanted.to_string(),
            None => self.real == *wanted || is_named && is_any_port(wanted, &self.real),
        }
    }
}

fn is_any_port(wanted: &Listen, real: &Listen) -> bool {
    matches!((wanted, real), (Listen::Tcp(wanted), Listen::Tcp(real)) if wanted.port() == 0 && wanted.ip() == real.ip())
}

/// Where a socket listens; `None` for what is neither TCP nor a Unix socket with a path.
fn address_of(socket: &OwnedFd) -> Option<Listen> {
    let address = getsockname(socket).ok()?;
    if let Ok(tcp) = SocketAddr::try_from(address.clone()) {
        return Some(Listen::Tcp(tcp));
    }
    let unix = SocketAddrUnix::try_from(address).ok()?;
    let path = unix.path_bytes().filter(|path| !path.is_empty())?;
    Some(Listen::Unix(PathBuf::from(String::from_utf8(path.to_vec()).ok()?)))
}

/// The engine whose workers served when this one came, and what was taken from them.
#[derive(Debug, Default)]
pub(crate) struct Predecessors {
    /// The newest of them.
    supervisor: u32,
    services: Vec<String>,
}

impl Predecessors {
    pub(crate) fn note(&mut self, supervisor: u32, service: &str) {
        self.supervisor = supervisor;
        self.services.push(service.to_owned());
    }

    pub(crate) fn sentence(&self) -> Option<String> {
        let Self { supervisor, services } = self;
        let sockets = count(services.len(), "service");
        let before = format!("the engine that was process {supervisor} ended without stopping its workers");
        let now =
            format!("took over the sockets of {sockets} from them; they serve until this engine's own workers do");
        (!services.is_empty()).then(|| format!("{before}: {now}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    fn tcp() -> (Listen, OwnedFd) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        (Listen::Tcp(listener.local_addr().unwrap()), listener.into())
    }

    #[test]
    fn what_was_left_is_for_the_same_service_and_address_once() {
        let (real, socket) = tcp();
        let any = Listen::Tcp("127.0.0.1:0".parse().unwrap());
        let mut spares = Spares::default();
        spares.add_left("echo", vec![(any.to_string(), socket)]);
        assert!(spares.again().take("echo", &any).is_none(), "it is there once");
        assert!(spares.take("other", &any).is_none() && spares.take("echo", &real).is_none());
        let found = spares.take("echo", &any).unwrap();
        assert_eq!((found.real, found.is_ours), (real, true));
        assert!(spares.take("echo", &any).is_none());
    }

    #[test]
    fn what_systemd_opened_is_found_by_address_or_by_name_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let (real, socket) = tcp();
        let mut spares = Spares::default();
        spares.add_activated("echo", socket).unwrap();
        spares.add_activated("unknown", UnixListener::bind(&path).unwrap().into()).unwrap();
        let any = Listen::Tcp("127.0.0.1:0".parse().unwrap());
        for _ in 0..2 {
            let mut again = spares.again();
            assert!(again.take("other", &any).is_none());
            assert_eq!(again.take("echo", &any).unwrap().real, real);
            assert!(again.take("echo", &any).is_none());
            let mut again = spares.again();
            assert!(!again.take("other", &real).unwrap().is_ours, "by its address it is anybody's");
            assert_eq!(again.take("echo", &Listen::Unix(path.clone())).unwrap().real, Listen::Unix(path.clone()));
            assert_eq!(again.addresses().count(), 0);
        }
        let (a, _b) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(spares.add_activated("x", a.into()).is_err(), "it listens nowhere");
    }
}
