//! Who connects, and may. Whoever reaches a TCP address may; at a Unix socket the kernel says who it is.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Once;

use rustix::net::sockopt::{socket_domain, socket_peercred};
use rustix::net::{AddressFamily, SocketAddrAny};
use rustix::process::geteuid;
use speedysvc_protocol::context::Peer;
use speedysvc_protocol::control::Peers;

/// The peer of this socket, which was accepted from this address; `None` when it may not call.
pub(super) fn admit(peers: &Peers, socket: &OwnedFd, address: Option<SocketAddrAny>) -> Option<Peer> {
    if let Some(address) = address.as_ref().and_then(|address| SocketAddr::try_from(address.clone()).ok()) {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        return Some(Peer::Address { ip: ip.octets(), port: address.port() });
    }
    if !matches!(socket_domain(socket), Ok(AddressFamily::UNIX)) {
        return Some(Peer::Unknown);
    }
    // Without an answer nobody vouches for it.
    let peer = socket_peercred(socket).ok()?;
    let (uid, gid) = (peer.uid.as_raw(), peer.gid.as_raw());
    let admitted = peers.admit(geteuid().as_raw(), uid, gid);
    if !admitted {
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            eprintln!("speedysvc: user {uid} may not connect: `allow` in the engine's file names who may")
        });
    }
    admitted.then_some(Peer::User(uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_user_root_and_who_is_named_may_connect() {
        let peers = Peers { uids: vec![7], gids: vec![9] };
        let may = |uid, gid| peers.admit(5, uid, gid);
        assert!(may(5, 1) && may(0, 1) && may(7, 1) && may(1, 9));
        assert!(!may(1, 1) && !may(9, 7));
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let from = std::net::SocketAddrV4::new([10, 0, 0, 7].into(), 99);
        let ip = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 7];
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(admit(&Peers::default(), &tcp.into(), Some(from.into())), Some(Peer::Address { ip, port: 99 }));
        let own = Some(Peer::User(geteuid().as_raw()));
        assert_eq!(admit(&Peers::default(), &ours.into(), None), own);
    }
}
