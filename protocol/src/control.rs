//! What the supervisor's broker says to clients and workers over Unix sockets, with descriptors beside the text.
//!
//! One message is one JSON text in one packet of a `SOCK_SEQPACKET` socket ([`crate::shm::handover`]). Each message's
//! text lists the descriptors that come with it, in order.

use serde::{Deserialize, Serialize};

use crate::contract::Contract;
use crate::hello::{Refusal, Welcome};
use crate::ids::{Incarnation, LinkId, WorkerId};
use crate::shm::in_place::Trust;
use crate::shm::layout::Geometry;
use crate::wire::Compression;

pub mod operator;

use operator::Level;

/// The version of these messages, and of the memory that comes with them, that a supervisor of this library speaks.
pub const VERSION: u32 = 1;
/// The oldest one that a worker of this library understands.
pub const VERSION_OLDEST: u32 = 1;

/// The environment variable by which a program learns that a supervisor started it, and that its standard input is the
/// control socket. Its value is the worker's number.
pub const WORKER_ENV: &str = "SPEEDYSVC_WORKER";

/// The environment variable with the mark by which the supervisor knows a line that a worker logged from one that it
/// printed: nobody whose text is printed can know it.
pub const LOG_MARK_ENV: &str = "SPEEDYSVC_LOG_MARK";

/// The file name of a service's rendezvous socket in `<run folder>/<namespace>`.
#[must_use]
pub fn rendezvous_name(service: &str) -> String {
    format!("{service}.sock")
}

/// The file beside it that tells where else the service listens: an address in each line, as clients write them.
#[must_use]
pub fn addresses_name(service: &str) -> String {
    format!("{service}.addresses")
}

/// The file name, in the same folder, of the socket at which a supervisor meets the workers of one that has died.
#[must_use]
pub fn heirs_name(service: &str) -> String {
    format!("{service}.heir")
}

/// Broker to client, in answer to its [`crate::hello::Hello`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Attached {
    /// Descriptors: request segment (read-write), reply segment (read-only), bell, board (read-only).
    Welcome {
        /// The same as over TCP.
        welcome: Welcome,
        /// The link's name, for logs.
        link: LinkId,
        /// How the segments are laid out.
        geometry: Geometry,
        /// The service's file says `spin = "0"`: its clients do not look before they sleep either.
        #[serde(default)]
        sleeps_at_once: bool,
    },
    /// No descriptors; the broker closes.
    Refused {
        /// Why.
        refusal: Refusal,
    },
}

/// Broker to worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// The first message. Descriptors: board (read-write), pool bell, stats page (read-write); with a legacy rendezvous
    /// socket and heirs' socket; then one for each listener.
    Start(Start),
    /// A client has attached. Descriptors: request segment, reply segment (both read-write), bell, inner bell; with a
    /// legacy the broker's end of the client's socket, so that the client is hung up on when the last holder is gone.
    Link {
        /// The link's name.
        link: LinkId,
        /// How the segments are laid out.
        geometry: Geometry,
        /// The client's user id, as the kernel told it.
        uid: u32,
        /// The client's process id at connect, for logs.
        pid: i32,
        /// The number of the inner bell, by which workers tell each other of links: several may have the same.
        inner_bell: u16,
    },
    /// The client is gone: forget the link.
    Unlink {
        /// The link's name.
        link: LinkId,
    },
    /// From now on log from this level up.
    Level {
        /// From here.
        level: Level,
    },
    /// Finish what has begun, refuse the rest, and exit.
    Drain,
    /// Something that only later versions know. Whoever gets it goes on as before.
    #[serde(other)]
    Later,
}

/// What a worker needs to begin.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Start {
    /// How everything after this is meant, the memory included: see [`VERSION`].
    pub version: u32,
    /// The service's name as the file has it; the program's contract must agree.
    pub service: String,
    /// This worker's number.
    pub worker: WorkerId,
    /// The name that its loop signs claims with.
    pub incarnation: Incarnation,
    /// Largest message over shared memory, in bytes.
    pub shm_message_max: u64,
    /// Largest message over TCP, in bytes.
    pub tcp_message_max: u64,
    /// Deadline of calls that bring none, in microseconds.
    pub deadline_us: u64,
    /// Longest busy wait before sleeping, in microseconds.
    pub spin_us: u64,
    /// Whose large requests are read in place.
    #[serde(default)]
    pub trust: Trust,
    /// How its loop shall wait for sockets.
    #[serde(default)]
    pub driver: DriverWish,
    /// What is agreed with clients over sockets that offer it.
    #[serde(default)]
    pub compression: Option<Compression>,
    /// From which level up the program logs.
    pub log_level: Level,
    /// Who may connect to its Unix sockets.
    #[serde(default)]
    pub peers: Peers,
    /// What it keeps should its supervisor die; without it, it leaves with the supervisor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<Legacy>,
}

/// All that a supervisor leaves to its successor. Workers keep it without looking at it, apart from the times, and give
/// it to whoever connects to the heirs' socket once their own supervisor is gone: one message, with these descriptors:
/// rendezvous socket, heirs' socket, then the listeners.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Legacy {
    /// The supervisor that has left it.
    pub supervisor: u32,
    /// How long a worker goes on without a supervisor, in microseconds; from the beginning after each handing over.
    pub grace_us: u64,
    /// How long its calls may take to end after that, in microseconds.
    pub drain_us: u64,
    /// The addresses of the listeners as the file had them, in the order of their descriptors.
    pub listeners: Vec<String>,
}

/// Users and groups that may connect to Unix sockets, beside the worker's own user and root.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Peers {
    /// User ids.
    pub uids: Vec<u32>,
    /// Group ids: the client's own group at connect counts, not its supplementary ones.
    pub gids: Vec<u32>,
}

impl Peers {
    /// Whether a process of this user and group may connect to one of user `own`.
    #[must_use]
    pub fn admit(&self, own: u32, uid: u32, gid: u32) -> bool {
        uid == own || uid == 0 || self.uids.contains(&uid) || self.gids.contains(&gid)
    }
}

/// How a loop shall wait for sockets.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriverWish {
    /// By io_uring, and by epoll where that is forbidden or too old.
    #[default]
    Auto,
    /// By io_uring, or not at all.
    IoUring,
    /// By epoll.
    Epoll,
}

/// Worker to broker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// The worker is not ready yet, and says until when it may take. It may say so again and again.
    Starting {
        /// So long from now, in microseconds; it never makes the time shorter that it has.
        more_us: u64,
        /// For the operator: what it does meanwhile.
        what: String,
    },
    /// The worker serves from now on.
    Ready {
        /// What its program offers.
        contract: Contract,
        /// The driver in use, such as `io_uring`.
        driver: String,
        /// Why this driver, and with which features.
        why: String,
    },
    /// The worker cannot serve, and exits.
    Failed {
        /// For the operator: what happened and what to do.
        why: String,
    },
    /// The worker cannot map a link: its client must be told to go.
    CannotServe {
        /// The link.
        link: LinkId,
        /// For the operator: out of memory or descriptors.
        why: String,
    },
    /// A client broke the protocol on this link: take it away.
    Misbehaved {
        /// The link.
        link: LinkId,
        /// Which rule was broken.
        rule: String,
    },
    /// A client rings again and again without a call: for a while this worker does not listen to its bell. Said once.
    Muted {
        /// The link.
        link: LinkId,
    },
    /// Something that only later versions say. Nothing is done about it.
    #[serde(other)]
    Later,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_later_version_are_known_as_such() {
        let order = r#"{"order":"sing","song":["la"]}"#;
        assert_eq!(serde_json::from_str::<Order>(order).unwrap(), Order::Later);
        assert_eq!(serde_json::from_str::<Report>(r#"{"report":"mood","how":3}"#).unwrap(), Report::Later);
        let drain = r#"{"order":"drain","slowly":true}"#;
        assert_eq!(serde_json::from_str::<Order>(drain).unwrap(), Order::Drain, "a field more is no obstacle");
        assert!(serde_json::from_str::<Order>(r#"{"order":"level"}"#).is_err(), "a field less is");
    }
}
