//! What broker, workers, clients and operators say to each other over Unix sockets.

use speedysvc_protocol::control::{Attached, Order, Report, operator};

use crate::json::survives;

pub fn target(data: &[u8]) {
    survives::<Order>(data);
    survives::<Report>(data);
    survives::<Attached>(data);
    survives::<operator::Request>(data);
}
