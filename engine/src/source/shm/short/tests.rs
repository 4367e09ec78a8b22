//! What a client reads is what rkyv writes, whatever lay in its memory before.

use std::sync::{Arc, LazyLock};

use speedysvc_protocol::archive::{self, Buffer};
use speedysvc_protocol::contract::{Contract, MethodSchema, MethodSpec, Runs, ServiceSpec};
use speedysvc_protocol::ids::{Codec, LinkId, MethodIndex};
use speedysvc_protocol::service::{Call, Service};
use speedysvc_protocol::status::{Failure, Status};

use crate::bench::Passes;

static SPEC: ServiceSpec = ServiceSpec {
    name: "maker",
    version: 1,
    docs: "",
    methods: &[MethodSpec {
        name: "make",
        signature: "make(&[u8]) -> Vec<u8>",
        docs: "",
        idempotent: false,
        runs: Runs::OnTheLoop,
        codec: Codec::Rkyv,
        arguments: &["bytes"],
        defaults: &[],
        schema: |schemas| MethodSchema {
            arguments: vec![schemas.subschema_for::<Vec<u8>>()],
            result: schemas.subschema_for::<Vec<u8>>(),
            error: None,
        },
    }],
};
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| SPEC.contract());

/// As many bytes as the first two of its arguments say, each of which tells of all arguments.
fn made(arguments: &[u8]) -> Vec<u8> {
    let sum = arguments.iter().fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte));
    vec![sum | 1; usize::from(u16::from_le_bytes([arguments[0], arguments[1]]))]
}

#[derive(Clone, Copy, Debug)]
enum Maker {
    Gives,
    Lends,
}

impl Service for Maker {
    fn contract(&self) -> &'static Contract {
        &CONTRACT
    }

    fn spec(&self) -> &'static ServiceSpec {
        &SPEC
    }

    fn call(&self, _: MethodIndex, call: Call<'_>) -> Result<(), Failure> {
        let made = made(call.body.bytes());
        match self {
            Self::Gives => call.reply.ok_bytes(call.codec, made),
            Self::Lends => call.reply.ok_lent_bytes(call.codec, &made),
        }
    }
}

/// So many bytes are asked for, in so many.
fn arguments(wanted: u16, len: usize) -> Vec<u8> {
    let mut arguments: Vec<u8> = (0..=250).cycle().take(len).collect();
    arguments[..2].copy_from_slice(&wanted.to_le_bytes());
    arguments
}

#[test]
fn short_calls_are_answered_whole_at_every_length() {
    for maker in [Maker::Gives, Maker::Lends] {
        let mut passes = Passes::new(Arc::new(maker)).unwrap();
        let lengths = [2, 39, 40, 41, 48, 4_095, 4_096];
        let mut short = 0;
        for wanted in (0..150).chain(1_990..2_000) {
            for len in lengths {
                let arguments = arguments(wanted, len);
                short += u32::from(passes.is_short());
                let mut expected = Buffer::new(1 << 16);
                archive::encode(&made(&arguments), &mut expected).unwrap();
                let (status, body) = passes.ask(&arguments);
                let what = format!("{maker:?} {wanted} for {len} bytes");
                assert_eq!((status, body.as_slice()), (Status::Ok, expected.as_slice()), "{what}");
            }
        }
        // A thread that lost its processor in a handler makes its method a long one for a while.
        assert!(short > 100, "only {short} calls were of a short method");
    }
}

#[test]
fn what_is_larger_than_its_buffer_is_held() {
    for maker in [Maker::Gives, Maker::Lends] {
        let mut passes = Passes::new(Arc::new(maker)).unwrap();
        let (status, body) = passes.ask(&arguments(4_089, 2));
        assert_eq!((status, body.len()), (Status::Need, 4_100), "to be fetched: {maker:?}");
        let (status, body) = passes.ask(&arguments(4_088, 2));
        assert_eq!((status, body.len()), (Status::Ok, 4_096), "it just fits: {maker:?}");
    }
}

/// What must hold of [`Links::serve_again`](super::Links::serve_again).
#[test]
fn who_asks_where_it_asked_last_waits_for_no_pass() {
    let mut passes = Passes::of_short_calls(Arc::new(Maker::Lends));
    assert!(!passes.ask_again(0, &[0, 0]), "nothing was ever served");
    assert!(passes.sweep());
    for _ in 0..3 {
        assert!(passes.ask_again(0, &[0, 0]));
    }
    assert!(!passes.ask_again(1, &[0, 0]), "it is elsewhere");
    // Not every pass looks so far.
    assert!((0..2_000).any(|_| passes.sweep()) && passes.ask_again(1, &[0, 0]), "which is the place now");
    assert!(!passes.looks_at_one_slot(), "passes look at the first slot, too");
    passes.leave(LinkId(1));
    passes.another_comes(0, 1);
    assert!(!passes.ask_again(1, &[0, 0]), "nobody asks any more, and there is no such slot");
}

#[test]
fn where_users_share_a_loop_nobody_is_served_again_before_them() {
    let mut passes = Passes::of_short_calls(Arc::new(Maker::Lends));
    passes.ask_again(0, &[0, 0]);
    assert!(passes.sweep() && passes.ask_again(0, &[0, 0]));
    passes.another_comes(0, 1);
    assert!(passes.ask_again(0, &[0, 0]), "it is of the same user");
    passes.leave(LinkId(2));
    passes.another_comes(7, 1);
    assert!(!passes.ask_again(0, &[0, 0]) && passes.sweep());
    assert!(!passes.ask_again(0, &[0, 0]), "one was found there last, and yet the others have their turn");
}

#[test]
fn other_slots_are_looked_at_however_often_one_is_served_again() {
    let mut passes = Passes::of_short_calls(Arc::new(Maker::Lends));
    passes.ask_again(0, &[0, 0]);
    passes.sweep();
    let again = (0..1_000).take_while(|_| passes.looks_at_one_slot() && passes.ask_again(0, &[0, 0])).count();
    assert!((10..100).contains(&again), "{again}");
}
