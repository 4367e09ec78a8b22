//! TCP listeners. They live as long as the supervisor does, so that no connection in a queue is lost with a worker.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use speedysvc_config::Service;

use crate::StartError;

/// Connections that may wait to be accepted. The standard library asks for 128, which a burst of clients fills; the
/// kernel cuts this to `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// A listener on one of a service's addresses, and that address with the port that the kernel chose.
pub(crate) fn bind(service: &Service, address: SocketAddr) -> Result<(OwnedFd, SocketAddr), StartError> {
    bind_one(address).map_err(|source| {
        let service = service.name.to_string();
        match source.kind() {
            io::ErrorKind::AddrInUse => StartError::PortTaken { service, address },
            _ => StartError::Listen { service, address, source },
        }
    })
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
}
