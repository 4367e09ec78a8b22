//! Who may connect. Whoever reaches a TCP address may; at a Unix socket the kernel says who it is.

use std::os::fd::OwnedFd;
use std::sync::Once;

use rustix::net::AddressFamily;
use rustix::net::sockopt::{socket_domain, socket_peercred};
use rustix::process::geteuid;
use speedysvc_protocol::control::Peers;

/// Whether the peer of this socket may call.
pub(super) fn admit(peers: &Peers, socket: &OwnedFd) -> bool {
    if !matches!(socket_domain(socket), Ok(AddressFamily::UNIX)) {
        return true;
    }
    // Without an answer nobody vouches for it.
    let Ok(peer) = socket_peercred(socket) else { return false };
    let (uid, gid) = (peer.uid.as_raw(), peer.gid.as_raw());
    let admitted = peers.admit(geteuid().as_raw(), uid, gid);
    if !admitted {
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            eprintln!("speedysvc: user {uid} may not connect: `allow` in the engine's file names who may")
        });
    }
    admitted
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
        assert!(admit(&Peers::default(), &ours.into()), "our own");
    }
}
