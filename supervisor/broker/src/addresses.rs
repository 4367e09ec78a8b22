//! Where else a service listens, told to clients in a file beside its rendezvous socket.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::net::{SocketAddrUnix, getsockname};
use speedysvc_protocol::control::addresses_name;

/// The file; it goes when this does.
#[derive(Debug)]
pub(crate) struct Addresses(PathBuf);

impl Addresses {
    /// Writes the file anew. Readers see the old one or the new one, whole.
    pub(crate) fn tell(folder: &Path, name: &str, listeners: &[OwnedFd], to_others: bool) -> io::Result<Self> {
        let path = folder.join(addresses_name(name));
        let fresh = folder.join(format!("{name}.addresses.new"));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        for address in listeners.iter().filter_map(address_of) {
            writeln!(file, "{address}")?;
        }
        // The mode of who opens a file that was left is what it was.
        file.set_permissions(Permissions::from_mode(if to_others { 0o644 } else { 0o600 }))?;
        fs::rename(&fresh, &path)?;
        Ok(Self(path))
    }
}

impl Drop for Addresses {
    fn drop(&mut self) {
        // Somebody else may have cleaned the folder. A file that is left names sockets on which nobody listens.
        let _gone = fs::remove_file(&self.0);
    }
}

/// As clients of this machine write it.
fn address_of(listener: &OwnedFd) -> Option<String> {
    let name = getsockname(listener).ok()?;
    if let Ok(unix) = SocketAddrUnix::try_from(name.clone()) {
        return Some(format!("unix://{}", String::from_utf8_lossy(unix.path_bytes()?)));
    }
    SocketAddr::try_from(name).ok().map(|address| format!("tcp://{}", reached_from_here(address)))
}

/// Who listens on all addresses is reached on this machine's own.
fn reached_from_here(address: SocketAddr) -> SocketAddr {
    let here: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    if address.ip().is_unspecified() { SocketAddr::new(here, address.port()) } else { address }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn all_listeners_are_told_as_clients_write_them_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let unix = UnixListener::bind(folder.path().join("e.unix")).unwrap();
        let tcp = [TcpListener::bind("0.0.0.0:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
        let ports = tcp.each_ref().map(|listener| listener.local_addr().unwrap().port());
        let [open, own] = tcp;
        let told = Addresses::tell(folder.path(), "echo", &[open.into(), own.into(), unix.into()], false).unwrap();
        let path = folder.path().join("echo.addresses");
        let unix = format!("unix://{}/e.unix", folder.path().display());
        let expected = format!("tcp://127.0.0.1:{}\ntcp://127.0.0.1:{}\n{unix}\n", ports[0], ports[1]);
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = Addresses::tell(folder.path(), "echo", &[], true).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        drop((told, again));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the socket");
    }
}
