//! Greetings: the client's against a contract, and the service's answers.

use std::sync::LazyLock;

use speedysvc_protocol::contract::Contract;
use speedysvc_protocol::hello::{Given, Hello, Refusal, VERSION, Welcome};

use crate::json::survives;
use crate::types::KindsService;

static CONTRACT: LazyLock<&Contract> = LazyLock::new(KindsService::contract);

pub fn target(data: &[u8]) {
    survives::<Welcome>(data);
    survives::<Refusal>(data);
    let Some(hello) = survives::<Hello>(data) else { return };
    match hello.answer(&CONTRACT) {
        Ok((version, methods)) => is_what_was_asked_for(&hello, version, &methods),
        Err(refusal) => assert!(!refusal.message.is_empty(), "a refusal without a reason"),
    }
}

fn is_what_was_asked_for(hello: &Hello, version: u32, methods: &[Given]) {
    assert_eq!(version, VERSION);
    assert!((hello.version_min..=hello.version_max).contains(&version));
    assert!(hello.service.is_empty() || hello.service == CONTRACT.service);
    assert_eq!(methods.len(), hello.methods.len());
    for (wanted, given) in hello.methods.iter().zip(methods) {
        let ours = &CONTRACT.methods[usize::from(given.index.0)];
        assert_eq!((&wanted.name, given.id), (&ours.name, ours.id));
        assert_eq!(CONTRACT.index_of(given.id), Some(given.index));
        if let Some(typed) = &wanted.typed {
            assert_eq!((&typed.signature, typed.shape), (&ours.signature, ours.shape));
        }
    }
}
