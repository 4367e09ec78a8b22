//! Frames that come together are answered as if each had come alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use speedysvc_protocol::byte_string;
use speedysvc_protocol::contract::{Contract, MethodSchema, MethodSpec, Runs, ServiceSpec};
use speedysvc_protocol::frame::{self, Header, Kind, Sent};
use speedysvc_protocol::ids::{CallId, Codec, MethodId, MethodIndex};
use speedysvc_protocol::limits::FRAME_HEADER;
use speedysvc_protocol::service::{Call, Service};
use speedysvc_protocol::status::{Code, Failure, Outcome, Status};

use crate::bench::Frames;

const fn method(name: &'static str, signature: &'static str) -> MethodSpec {
    MethodSpec {
        name,
        signature,
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
    }
}

static METHODS: [MethodSpec; 2] = [method("echo", "echo(&[u8]) -> Vec<u8>"), method("turn", "turn(&[u8]) -> Vec<u8>")];
static SPEC: ServiceSpec = ServiceSpec { name: "mirror", version: 1, docs: "", methods: &METHODS };
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| SPEC.contract());

struct Mirror;

impl Service for Mirror {
    fn contract(&self) -> &'static Contract {
        &CONTRACT
    }

    fn spec(&self) -> &'static ServiceSpec {
        &SPEC
    }

    /// The bytes, or the bytes turned round; an empty string panics.
    fn call(&self, method: MethodIndex, call: Call<'_>) -> Result<(), Failure> {
        let bytes = byte_string::slice(call.body.bytes());
        let mut bytes = bytes.ok_or_else(|| Failure::not_started(Code::InvalidArgument, "no byte string"))?.to_vec();
        assert!(!bytes.is_empty(), "nothing to see");
        if method.0 == 1 {
            bytes.reverse();
        }
        call.reply.ok_bytes(call.codec, bytes)
    }
}

/// What a client sends next.
#[derive(Clone, Debug)]
enum Op {
    /// A call of this method, or of none; with these bytes and this time left.
    Call {
        method: usize,
        codec: Codec,
        bytes: Vec<u8>,
        left_us: u64,
    },
    /// A call whose body is no archive.
    Garbage(Vec<u8>),
    /// A call of more bytes than are taken.
    Huge,
    /// A large one.
    Large(usize),
    Cancel,
    Goodbye,
    /// The call before once more, which ends the connection.
    Again,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let call = (
        prop_oneof![6 => Just(0_usize), 2 => Just(1), 1 => Just(2)],
        prop_oneof![8 => Just(Codec::Rkyv), 1 => Just(Codec::Raw)],
        prop::collection::vec(any::<u8>(), 0..40),
        prop_oneof![6 => Just(30_000_000_u64), 1 => Just(900_000), 1 => Just(0), 1 => Just(u64::MAX)],
    )
        .prop_map(|(method, codec, bytes, left_us)| Op::Call { method, codec, bytes, left_us });
    let op = prop_oneof![
        60 => call,
        2 => prop::collection::vec(any::<u8>(), 0..9).prop_map(Op::Garbage),
        1 => Just(Op::Huge),
        1 => (60_000_usize..70_000).prop_map(Op::Large),
        2 => Just(Op::Cancel),
        1 => Just(Op::Goodbye),
        1 => Just(Op::Again),
    ];
    prop::collection::vec(op, 1..150)
}

/// Each op as bytes.
fn written(ops: &[Op]) -> Vec<Vec<u8>> {
    let mut id = 0;
    let mut frames = vec![];
    for op in ops {
        id += u64::from(!matches!(op, Op::Again));
        let named = |method: usize| CONTRACT.methods.get(method).map_or(MethodId(7), |method| method.id);
        let call = |method, codec, left_us| Kind::Call { id: CallId(id), method: named(method), codec, left_us };
        let mut body = speedysvc_protocol::archive::Buffer::new(1 << 20);
        let mut frame = vec![];
        match op {
            Op::Call { method, codec, bytes, left_us } => {
                byte_string::encode(bytes, &mut body).unwrap();
                frame::append(&mut frame, call(*method, *codec, *left_us), body.as_slice());
            }
            Op::Garbage(bytes) => frame::append(&mut frame, call(0, Codec::Rkyv, 0), bytes),
            Op::Huge => {
                let len = 2 << 20;
                frame.extend(Header::plain(call(0, Codec::Rkyv, 0), len).to_bytes());
                frame.resize(frame.len() + len as usize, 3);
            }
            Op::Large(len) => {
                byte_string::encode(&vec![5; *len], &mut body).unwrap();
                frame::append(&mut frame, call(0, Codec::Rkyv, 0), body.as_slice());
            }
            Op::Cancel => frame::append_sent(&mut frame, Kind::Cancel { id: CallId(id) }, Sent::plain(&[]), false),
            Op::Goodbye => frame::append(&mut frame, Kind::Goodbye, &[]),
            Op::Again => frame::append(&mut frame, call(0, Codec::Rkyv, 0), &[]),
        }
        frames.push(frame);
    }
    frames
}

fn answers<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut frames, mut out) = (Frames::new(Arc::new(Mirror), 0, &[]).unwrap(), vec![]);
    chunks.for_each(|chunk| frames.exchange(chunk, |bytes| out.extend_from_slice(bytes)));
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn calls_that_come_together_are_answered_as_if_each_had_come_alone(
        ops in ops(),
        chunk in prop_oneof![Just(usize::MAX), 1_usize..5_000],
    ) {
        let frames = written(&ops);
        let alone = answers(frames.iter().map(Vec::as_slice));
        let all = frames.concat();
        let together = answers(all.chunks(chunk.min(all.len())));
        prop_assert!(alone == together, "{} and {} bytes", alone.len(), together.len());
    }
}

/// Calls of the first method with these bytes and this time left, as one chunk.
fn calls<'a>(calls: impl IntoIterator<Item = (&'a [u8], Duration)>) -> Vec<u8> {
    let mut body = speedysvc_protocol::archive::Buffer::new(1 << 20);
    let mut frames = vec![];
    for ((bytes, left), id) in calls.into_iter().zip(1..) {
        byte_string::encode(bytes, &mut body).unwrap();
        let left_us = u64::try_from(left.as_micros()).unwrap();
        let kind = Kind::Call { id: CallId(id), method: CONTRACT.methods[0].id, codec: Codec::Rkyv, left_us };
        frame::append(&mut frames, kind, body.as_slice());
    }
    frames
}

/// What was sent at once, as ids and statuses.
fn replies(mut sent: &[u8]) -> Vec<(u64, Status)> {
    let mut replies = vec![];
    while let Some(header) = frame::peek(sent).unwrap() {
        let Kind::Reply { id, status } = header.kind else { panic!("{header:?}") };
        replies.push((id.0, status));
        sent = &sent[FRAME_HEADER + header.body_len as usize..];
    }
    replies
}

/// Says what it is told, and takes its time over it when that is nothing. Somebody sees that.
struct Slow(Arc<AtomicBool>);

impl Service for Slow {
    fn contract(&self) -> &'static Contract {
        &CONTRACT
    }

    fn spec(&self) -> &'static ServiceSpec {
        &SPEC
    }

    fn call(&self, method: MethodIndex, call: Call<'_>) -> Result<(), Failure> {
        if byte_string::slice(call.body.bytes()) == Some(&[]) {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(1_200) {
                thread::yield_now();
            }
            self.0.store(true, Ordering::Relaxed);
            return call.reply.ok_bytes(call.codec, vec![]);
        }
        Mirror.call(method, call)
    }
}

/// Bytes of a frame with a call of no bytes.
const EMPTY: usize = FRAME_HEADER + byte_string::ROOT;

#[test]
fn behind_a_call_that_took_long_for_once_no_call_begins_too_late() {
    let held_up = Arc::<AtomicBool>::default();
    let mut frames = Frames::new(Arc::new(Slow(Arc::clone(&held_up))), 0, &[]).unwrap();
    frames.heed(held_up);
    let (long, short) = (Duration::from_secs(30), Duration::from_millis(1_100));
    // So many that the method is known to be short. One call in sixteen is timed: the first of those behind, and not
    // the one that takes long.
    let known = (0..64).map(|_| (&b"a"[..], long));
    let all = calls(known.chain([(&b"a"[..], long), (b"", long), (b"b", short), (b"c", long)]));
    let (known, last) = all.split_at(64 * (all.len() - EMPTY) / 67);
    let mut sent = vec![];
    frames.exchange(known, |_| {});
    frames.exchange(last, |bytes| sent.extend(replies(bytes)));
    let late = Status::Failed(Code::DeadlineExceeded, Outcome::NotStarted);
    assert_eq!(sent, [(65, Status::Ok), (66, Status::Ok), (67, late), (68, Status::Ok)]);
}
