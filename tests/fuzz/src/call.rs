//! Whole calls through what the service macro writes: any method, codec and body.

use std::sync::atomic::Ordering;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::service::{Body, Call, Reply, Service};
use speedysvc_protocol::status::{Failure, Outcome, Status};

use crate::input::Input;
use crate::types::Host;

const REPLY_MAX: usize = 1 << 16;

pub fn target(data: &[u8]) {
    let mut input = Input(data);
    let codec = if input.byte().is_multiple_of(2) { Codec::Rkyv } else { Codec::Json };
    let method = MethodIndex(u16::from(input.byte() % 8));
    let (ran, reply, ended) = call(codec, method, input.0);
    match ended {
        Ok(()) => assert!(ran && matches!(reply.status(), Status::Ok | Status::Application)),
        Err(failure) if ran => assert_eq!(failure.outcome, Outcome::Done, "{failure}"),
        Err(failure) => assert_eq!(failure.outcome, Outcome::NotStarted, "{failure}"),
    }
    assert!(reply.body().len() <= REPLY_MAX);
    if codec == Codec::Json && !reply.body().is_empty() {
        serde_json::from_slice::<serde_json::Value>(reply.body()).expect("a reply in JSON is JSON");
    }
}

fn call(codec: Codec, method: MethodIndex, data: &[u8]) -> (bool, Reply, Result<(), Failure>) {
    let (host, mut reply, mut scratch) = (Host::default(), Reply::new(REPLY_MAX), Buffer::new(1 << 16));
    let mut body = Buffer::new(data.len());
    body.room(data.len()).expect("within its limit").copy_from_slice(data);
    let call = Call { codec, body: Body::Own(body.as_slice()), scratch: &mut scratch, reply: &mut reply };
    let ended = host.call(method, call);
    (host.0.load(Ordering::Relaxed), reply, ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: MethodIndex = MethodIndex(5);

    #[test]
    fn arguments_that_do_not_fit_have_not_run() {
        let body = format!("[null{}]", ",null".repeat(2000));
        let (ran, _, ended) = call(Codec::Json, WIDE, body.as_bytes());
        assert!(!ran);
        assert_eq!(ended.unwrap_err().outcome, Outcome::NotStarted);
    }
}
