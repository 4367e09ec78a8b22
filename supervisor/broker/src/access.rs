//! Who may attach.

use rustix::net::UCred;
use rustix::process::geteuid;
use speedysvc_protocol::hello::Refusal;
use speedysvc_protocol::status::Code;

/// Users and groups that may attach beside this process's own user and root.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Allow {
    /// User ids.
    pub uids: Vec<u32>,
    /// Group ids: the client's own group at connect counts, not its supplementary ones.
    pub gids: Vec<u32>,
}

impl Allow {
    /// Whether nobody beside the own user and root may attach.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty() && self.gids.is_empty()
    }

    pub(crate) fn check(&self, peer: &UCred) -> Result<(), Refusal> {
        let (uid, gid) = (peer.uid.as_raw(), peer.gid.as_raw());
        if is_trusted(uid) || self.uids.contains(&uid) || self.gids.contains(&gid) {
            return Ok(());
        }
        let message = format!("user {uid} may not attach; add it to `allow` of this service in the engine's file");
        Err(Refusal::new(Code::PermissionDenied, message))
    }
}

/// Our own user and root could do anything to us anyway.
pub(crate) fn is_trusted(uid: u32) -> bool {
    uid == geteuid().as_raw() || uid == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Gid, Pid, Uid};

    fn peer(uid: u32, gid: u32) -> UCred {
        UCred { pid: Pid::INIT, uid: Uid::from_raw(uid), gid: Gid::from_raw(gid) }
    }

    #[test]
    fn strangers_are_refused_unless_named() {
        let nobody = Allow::default();
        nobody.check(&peer(0, 0)).unwrap();
        nobody.check(&peer(geteuid().as_raw(), 7)).unwrap();
        let refusal = nobody.check(&peer(54321, 54321)).unwrap_err();
        assert!(refusal.message.contains("54321") && refusal.message.contains("allow"));
        Allow { uids: vec![54321], gids: vec![] }.check(&peer(54321, 1)).unwrap();
        Allow { uids: vec![], gids: vec![9] }.check(&peer(54321, 9)).unwrap();
    }
}
