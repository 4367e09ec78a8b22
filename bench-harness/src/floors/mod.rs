//! The room: what the bare hardware can do, as small as it can be written. Nothing of speedysvc is in here.
//!
//! Each floor is a server loop and a client; `contender::floors` gives them their names. Those of sockets are server
//! loops only; `contender::raw` names them. Both sides wait without a limit, because a clock read in a wait is a fifth
//! of the fastest floor: a process of a floor ends with the harness that started it (`run::parent`), and the harness
//! ends it when it takes too long.

pub(crate) mod area;
mod chunks;
pub(crate) mod epoll;
pub(crate) mod ping_pong;
mod queue;
pub(crate) mod ring;
pub(crate) mod tsc;
pub(crate) mod uring;
#[cfg(target_arch = "x86_64")]
pub(crate) mod width;
