//! Frames that come together are answered as if each had come alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use speedysvc_protocol::archive::{self, Buffer};
use speedysvc_protocol::byte_string;
use speedysvc_protocol::contract::{Contract, MethodSchema, MethodSpec, Runs, ServiceSpec};
use speedysvc_protocol::frame::{self, Header, Kind, Sent};
use speedysvc_protocol::hello::Hello;
use speedysvc_protocol::ids::{CallId, Codec, MethodId, MethodIndex};
use speedysvc_protocol::limits::FRAME_HEADER;
use speedysvc_protocol::service::{Call, Form, Service, arguments};
use speedysvc_protocol::shm::peer_rows::PeerNow;
use speedysvc_protocol::shm::stats_page::StatsReader;
use speedysvc_protocol::stats::{Counter, MethodCounter};
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

static METHODS: [MethodSpec; 3] = [
    method("echo", "echo(&[u8]) -> Vec<u8>"),
    method("turn", "turn(&[u8]) -> Vec<u8>"),
    method("shift", "shift(u128, &[u8]) -> u128"),
];
static SPEC: ServiceSpec = ServiceSpec { name: "mirror", version: 1, docs: "", methods: &METHODS };
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| SPEC.contract());

/// What the last one takes.
type Shift = (u128, Vec<u8>);

struct Mirror;

impl Service for Mirror {
    fn contract(&self) -> &'static Contract {
        &CONTRACT
    }

    fn spec(&self) -> &'static ServiceSpec {
        &SPEC
    }

    /// The bytes, lent, or the bytes turned round; an empty string panics, and one of 39 bytes when it was lent. Or the
    /// number, shifted by so many bits: it cannot be read where it does not lie as archives should.
    fn call(&self, method: MethodIndex, call: Call<'_>) -> Result<(), Failure> {
        if method.0 == 2 {
            let form = Form { names: &["number", "bytes"], defaults: &[], raw: false };
            let both = arguments::<Shift, Shift>(call.codec, call.body.bytes(), &form, call.scratch, archive::encode)?;
            let bits = u32::try_from(both.1.len()).expect("they are few");
            return call.reply.ok(call.codec, &both.0.to_native().rotate_left(bits));
        }
        let bytes = byte_string::slice(call.body.bytes());
        let bytes = bytes.ok_or_else(|| Failure::not_started(Code::InvalidArgument, "no byte string"))?;
        assert!(!bytes.is_empty(), "nothing to see");
        if method.0 == 1 {
            return call.reply.ok_bytes(call.codec, bytes.iter().rev().copied().collect());
        }
        call.reply.ok_lent_bytes(call.codec, bytes)?;
        assert!(bytes.len() != 39, "too much to see");
        Ok(())
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
    /// The number of the call before once more, or all of its frame: if it was one, that ends the connection.
    Again {
        whole: bool,
    },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let call = (
        prop_oneof![6 => Just(0_usize), 2 => Just(1), 2 => Just(2), 1 => Just(3)],
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
        1 => any::<bool>().prop_map(|whole| Op::Again { whole }),
    ];
    prop::collection::vec(op, 1..150)
}

/// Each op as bytes.
fn written(ops: &[Op]) -> Vec<Vec<u8>> {
    let mut id = BEFORE as u64;
    let mut frames = vec![];
    for op in ops {
        id += u64::from(!matches!(op, Op::Again { .. }));
        let named = |method: usize| CONTRACT.methods.get(method).map_or(MethodId(7), |method| method.id);
        let call = |method, codec, left_us| Kind::Call { id: CallId(id), method: named(method), codec, left_us };
        let mut body = Buffer::new(1 << 20);
        let mut frame = vec![];
        match op {
            Op::Call { method, codec, bytes, left_us } => {
                match method {
                    2 => archive::encode::<Shift>(&(u128::MAX << 99, bytes.clone()), &mut body).unwrap(),
                    _ => byte_string::encode(bytes, &mut body).unwrap(),
                }
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
            Op::Again { whole: true } => frame.extend(frames.last().into_iter().flatten()),
            Op::Again { whole: false } => frame::append(&mut frame, call(0, Codec::Rkyv, 0), &[]),
        }
        frames.push(frame);
    }
    frames
}

/// What was counted of calls and bytes. How many of the calls were timed is another matter.
#[derive(PartialEq, Debug)]
struct Accounts {
    counters: Vec<(Counter, u64)>,
    methods: Vec<(String, [u64; 3], Vec<u64>)>,
    peers: Vec<PeerNow>,
}

impl Accounts {
    fn of(page: &StatsReader) -> Self {
        let names: Vec<String> = CONTRACT.methods.iter().map(|method| method.name.clone()).collect();
        let all = page.read(Some(&names));
        let counters = Counter::ALL.iter().map(|counter| (*counter, all.counter(*counter))).collect();
        let methods = all.methods().map(|(name, method)| {
            let sums = [MethodCounter::Calls, MethodCounter::BytesIn, MethodCounter::BytesOut];
            let errors = Code::ALL.map(|code| method.errors_with(code)).to_vec();
            (name.to_owned(), sums.map(|sum| method.counter(sum)), errors)
        });
        Self { counters, methods: methods.collect(), peers: page.peers() }
    }
}

/// Calls before those that are looked at: behind them it is known, mostly, that calls need not be timed each.
const BEFORE: usize = 300;

/// What is answered to these chunks behind others, of which so many come before a turn, and counted.
fn answers<'a>(chunks: impl Iterator<Item = &'a [u8]>, a_turn: usize) -> (Vec<u8>, Accounts) {
    let (mut frames, mut out) = (Frames::new(Arc::new(Mirror), 0, &[]).unwrap(), vec![]);
    frames.exchange(&calls((0..BEFORE).map(|_| (&b"a"[..], Duration::from_secs(30)))), |_| {});
    for (chunk, number) in chunks.zip(1_usize..) {
        frames.receive(frames.last(), chunk);
        if number.is_multiple_of(a_turn) {
            frames.serve(|bytes| out.extend_from_slice(bytes));
        }
    }
    frames.serve(|bytes| out.extend_from_slice(bytes));
    (out, Accounts::of(frames.page()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn calls_that_come_together_are_answered_as_if_each_had_come_alone(
        ops in ops(),
        chunk in prop_oneof![Just(usize::MAX), 1_usize..5_000],
        a_turn in 1_usize..4,
    ) {
        let frames = written(&ops);
        let alone = answers(frames.iter().map(Vec::as_slice), 1);
        let all = frames.concat();
        let together = answers(all.chunks(chunk.min(all.len())), a_turn);
        prop_assert!(alone.0 == together.0, "{} and {} bytes", alone.0.len(), together.0.len());
        prop_assert_eq!(alone.1, together.1);
    }
}

/// Calls of the first method with these bytes and this time left, as one chunk.
fn calls<'a>(calls: impl IntoIterator<Item = (&'a [u8], Duration)>) -> Vec<u8> {
    let mut body = Buffer::new(1 << 20);
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
    // So many that the method is known to be short. One call in sixteen is timed, or in 61: the first of those behind,
    // and not the one that takes long.
    const KNOWN: usize = 16 * 61;
    let known = (0..KNOWN).map(|_| (&b"a"[..], long));
    let all = calls(known.chain([(&b"a"[..], long), (b"", long), (b"b", short), (b"c", long)]));
    let (known, last) = all.split_at((all.len() - EMPTY) / (KNOWN + 3) * KNOWN);
    let mut sent = vec![];
    frames.exchange(known, |_| {});
    frames.exchange(last, |bytes| sent.extend(replies(bytes)));
    let late = Status::Failed(Code::DeadlineExceeded, Outcome::NotStarted);
    let numbers = [1, 2, 3, 4].map(|behind| KNOWN as u64 + behind);
    assert_eq!(
        sent,
        [(numbers[0], Status::Ok), (numbers[1], Status::Ok), (numbers[2], late), (numbers[3], Status::Ok)]
    );
}

/// Takes longer than a loop may for long.
struct Long;

impl Service for Long {
    fn contract(&self) -> &'static Contract {
        &CONTRACT
    }

    fn spec(&self) -> &'static ServiceSpec {
        &SPEC
    }

    fn call(&self, method: MethodIndex, call: Call<'_>) -> Result<(), Failure> {
        let began = Instant::now();
        while method.0 == 0 && began.elapsed() < Duration::from_micros(100) {}
        Mirror.call(method, call)
    }
}

#[test]
fn who_waits_behind_a_long_call_keeps_no_buffer_of_the_driver() {
    let mut frames = Frames::new(Arc::new(Long), 0, &[]).unwrap();
    let call = |id| {
        let (mut body, mut frame) = (Buffer::new(1 << 10), vec![]);
        byte_string::encode(b"a", &mut body).unwrap();
        let (method, codec) = (CONTRACT.methods[0].id, Codec::Rkyv);
        frame::append(&mut frame, Kind::Call { id: CallId(id), method, codec, left_us: 30_000_000 }, body.as_slice());
        frame
    };
    let first = frames.last();
    let second = frames.connect(&Hello::typed(&CONTRACT)).unwrap();
    let mut answered = 0;
    for id in 1..20 {
        frames.receive(first, &call(id));
        frames.receive(second, &call(id));
        // Once it is known that they are long, each has a turn of its own; `turn` looks for the buffers.
        let mut turns = 0;
        while frames.turn(|_| answered += 1) {
            turns += 1;
        }
        assert!(id < 10 || turns >= 2, "{turns} turns");
    }
    assert_eq!(answered, 2 * 19);
}

#[test]
fn a_frame_within_what_a_call_says_is_no_call_wherever_the_chunks_are_cut() {
    let long = Duration::from_secs(30);
    // Its number is one that none had: it would be taken.
    let mut inner = calls([(&b"inner"[..], long)]);
    inner[8..16].copy_from_slice(&1_000_u64.to_le_bytes());
    // Behind more bytes than it has, and with as many that are cut.
    let (padding, cuts) = (200, 100);
    inner.splice(..0, vec![0; padding]);
    const BEFORE: usize = 8;
    let before = (0..BEFORE).map(|_| (&b"a"[..], long));
    let all = calls(before.chain([(&inner[..], long), (b"behind", long)]));
    let begins = all.len() - calls([(&inner[..], long), (b"behind", long)]).len();
    // Behind a turn that took long nothing goes straight for a while: so the calls before come one by one.
    let one = begins / BEFORE;
    for cut in (begins + FRAME_HEADER + padding - cuts..).take(2 * cuts) {
        let mut sent = vec![];
        let mut frames = Frames::new(Arc::new(Mirror), 0, &[]).unwrap();
        for chunk in all[..begins].chunks(one).chain([&all[begins..cut], &all[cut..]]) {
            frames.exchange(chunk, |bytes| sent.extend(replies(bytes)));
        }
        let expected = (1..=BEFORE as u64 + 2).map(|id| (id, Status::Ok));
        assert!(expected.eq(sent.iter().copied()), "cut at {cut}: {sent:?}");
    }
}
