//! Frames of TCP: writing and reading a call with a body of 112 bytes, what the struct of `archive.rs` takes.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use speedysvc_protocol::frame::{self, Kind};
use speedysvc_protocol::ids::{CallId, Codec, MethodId};

const BODY: [u8; 112] = [7; 112];

fn kind() -> Kind {
    Kind::Call { id: CallId(77), method: MethodId(0x1234_5678_9abc_def0), codec: Codec::Rkyv, left_us: 30_000_000 }
}

fn frames(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("frame");
    let mut out = Vec::with_capacity(4096);
    group.bench_function("write a call", |bencher| {
        bencher.iter(|| {
            out.clear();
            frame::append(&mut out, black_box(kind()), black_box(&BODY));
            black_box(out.len())
        });
    });
    group.bench_function("read its header", |bencher| {
        bencher.iter(|| frame::peek(black_box(&out)).expect("it is one").expect("it is whole"));
    });
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
