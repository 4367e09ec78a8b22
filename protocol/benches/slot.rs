//! The steps of a call through a slot, both sides in one thread: what the instructions cost without a cache line that
//! moves. What moving costs is measured between processes, by the bench harness.

use std::hint::black_box;
use std::num::NonZeroU16;

use criterion::{Criterion, criterion_group, criterion_main};
use speedysvc_protocol::ids::{Codec, Incarnation};
use speedysvc_protocol::shm::claim::{Look, Taker};
use speedysvc_protocol::shm::layout::{Geometry, INLINE, RequestHead};
use speedysvc_protocol::shm::link::{ClientLink, LinkFiles, WorkerLink};
use speedysvc_protocol::shm::seq::Seq;
use speedysvc_protocol::shm::slot::{Caller, Post};
use speedysvc_protocol::status::Status;

const ME: Incarnation = Incarnation(NonZeroU16::MIN);

fn call(caller: Caller<'_>, taker: Taker<'_>, seq: Seq, post: &Post<'_>, out: &mut [u8]) {
    caller.post(seq, post);
    let Look::Taken(request) = taker.claim(ME, |_| true) else { panic!("a request of ours cannot be claimed") };
    taker.read_inline(out);
    taker.publish(ME, request.seq, Status::Ok, 32, out);
    assert!(!taker.wake(request.seq), "nobody sleeps");
    black_box(caller.poll(seq)).expect("it was published");
    caller.read_inline(out);
}

fn slots(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("slot");
    let geometry = Geometry::for_messages(64, 1 << 20).expect("a usual link");
    let files = LinkFiles::create(geometry).expect("memory for a link");
    let client = ClientLink::map(geometry, &files.request, &files.reply_read_only).expect("the client's side");
    let worker = WorkerLink::map(geometry, &files.request, &files.reply).expect("the worker's side");
    let (body, mut out) = ([7; 32], [0; 32]);
    assert!(body.len() <= INLINE);
    let head = RequestHead { method: 3, codec: Codec::Rkyv as u8, fetch: false, traced: false, len: 32 };
    let post = Post { head, deadline_ns: 1, grant: geometry.slot_grant(0), inline: &body };
    let mut number = 0;
    group.bench_function("a call of 32 bytes, both sides", |bencher| {
        bencher.iter(|| {
            number += 1;
            let seq = Seq::from_word(number).expect("48 bits last for years");
            call(client.slot(0), worker.slot(0), seq, black_box(&post), black_box(&mut out));
        });
    });
    group.bench_function("a look at a quiet slot", |bencher| {
        bencher.iter(|| matches!(black_box(worker.slot(1).claim(ME, |_| true)), Look::Nothing));
    });
    group.finish();
}

criterion_group!(benches, slots);
criterion_main!(benches);
