//! A link in real memory whose client writes what it likes: what a worker does with it must stay within the rules.

use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::sync::{LazyLock, Mutex, PoisonError};

use speedysvc_protocol::ids::Incarnation;
use speedysvc_protocol::shm::claim::{Look, Request, Taker};
use speedysvc_protocol::shm::layout::{Geometry, INLINE};
use speedysvc_protocol::shm::link::{ClientLink, LinkFiles, WorkerLink};
use speedysvc_protocol::shm::segment::{Access, Segment};
use speedysvc_protocol::shm::seq::Seq;
use speedysvc_protocol::status::{Code, Outcome, Status};

use crate::input::Input;

const ME: Incarnation = Incarnation(NonZeroU16::new(3).unwrap());
const OTHER: Incarnation = Incarnation(NonZeroU16::new(0xABCD).unwrap());
const SLOTS: usize = 2;
const LINE: usize = 128;
const STEPS: usize = 64;

/// One link for all inputs, wiped before each: making one takes longer than an input.
struct Bench {
    geometry: Geometry,
    worker: WorkerLink,
    client: ClientLink,
    /// The same memory, for writing what no client of ours would.
    request: Segment,
    reply: Segment,
}

impl Bench {
    fn new() -> Self {
        let geometry = Geometry::new(SLOTS as u16, 1 << 14).expect("in range");
        let files = LinkFiles::create(geometry).expect("memory for two segments");
        let raw = |file, len| Segment::map(file, len, Access::ReadWrite).expect("a fresh segment");
        Self {
            geometry,
            request: raw(files.request.as_fd(), geometry.request_segment()),
            reply: raw(files.reply.as_fd(), geometry.reply_segment()),
            worker: WorkerLink::map(geometry, &files.request, &files.reply).expect("a fresh link"),
            client: ClientLink::map(geometry, &files.request, &files.reply_read_only).expect("a fresh link"),
        }
    }

    fn wipe(&self) {
        self.request.copy_in(0, &[0; SLOTS * LINE]);
        self.reply.copy_in(0, &[0; 4096]);
    }
}

static BENCH: LazyLock<Mutex<Bench>> = LazyLock::new(|| Mutex::new(Bench::new()));

pub fn target(data: &[u8]) {
    let bench = BENCH.lock().unwrap_or_else(PoisonError::into_inner);
    bench.wipe();
    let mut last = [Seq::NONE; SLOTS];
    let mut input = Input(data);
    for _ in 0..STEPS {
        if input.is_empty() {
            return;
        }
        let step = input.byte();
        let slot = usize::from(step >> 7);
        scribble(&bench, slot, step, &mut input);
        let taker = bench.worker.slot(slot);
        let ready = taker.ready();
        match taker.claim(ME, |number| number == OTHER.0.get()) {
            Look::Nothing | Look::Left(_) => {}
            Look::Broken(_) => assert!(!is_claimed(taker), "a broken rule was claimed"),
            Look::Taken(request) => {
                assert!(ready == Some(request.seq), "a request was claimed that was not ready");
                assert!(request.seq > last[slot], "a call was taken twice");
                last[slot] = request.seq;
                answer(&bench, slot, step, &request);
            }
        }
    }
}

/// Up to a whole request line, in words, so that single fields change as well as all of them.
fn scribble(bench: &Bench, slot: usize, step: u8, input: &mut Input<'_>) {
    let first = usize::from(step & 15);
    let words = usize::from(step >> 4 & 7) + 1;
    let bytes = input.bytes(8 * words.min(16 - first));
    bench.request.copy_in((slot * LINE + first * 8) as u64, bytes);
}

/// Whether a claim waits for its answer.
fn is_claimed(taker: Taker<'_>) -> bool {
    taker.resolve(ME).is_some() || taker.resolve(OTHER).is_some()
}

/// What the engine does: judge, read, and publish, or die.
fn answer(bench: &Bench, slot: usize, step: u8, request: &Request) {
    let (taker, caller) = (bench.worker.slot(slot), bench.client.slot(slot));
    let grant = request.grant(bench.geometry);
    if let Ok(grant) = grant {
        assert!(grant.offset + grant.capacity <= bench.geometry.arena());
        let mut out = vec![0; request.head.len as usize % 40_000];
        if request.head.len as usize <= INLINE {
            taker.read_inline(&mut out);
        } else {
            assert!(out.len() as u64 <= grant.capacity);
            bench.worker.copy_out(grant, &mut out);
        }
    }
    let expected = if step & 1 == 0 {
        taker.publish(ME, request.seq, Status::Ok, 5, b"reply");
        assert_eq!(taker.resolve(ME), None, "a verdict on an answered call");
        Status::Ok
    } else {
        assert_eq!(taker.resolve(ME), Some(request.seq));
        assert_eq!(taker.resolve(ME), None, "a verdict is given once");
        Status::Failed(Code::Unavailable, Outcome::Unknown)
    };
    let head = caller.poll(request.seq).expect("it was just published");
    assert_eq!((head.status, head.owner), (expected, ME.0.get()));
    assert!(!caller.unclaimed(request.seq));
    // Whether to wake is the client's word, and whatever it says costs one system call at most.
    let _either = taker.must_wake(request.seq);
}
