//! Writing and reading archives: a struct's worth of {u64, text of 24 bytes, sixteen u32}, as a tuple.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use speedysvc_protocol::archive::{self, Buffer};

type Realistic = (u64, String, Vec<u32>);

fn value() -> Realistic {
    (1_234_567, "a text of 24 bytes......".to_owned(), (0..16).map(|place| place * 65_537).collect())
}

fn archives(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("archive");
    let (value, mut buffer) = (value(), Buffer::new(4096));
    group.bench_function("write into a kept buffer", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            archive::encode(black_box(&value), &mut buffer).expect("it fits");
            black_box(buffer.as_slice().len())
        });
    });
    archive::encode(&value, &mut buffer).expect("it fits");
    let bytes = buffer.as_slice();
    group.bench_function("check and read three fields", |bencher| {
        bencher.iter(|| {
            let view = archive::view::<Realistic>(black_box(bytes)).expect("it is whole");
            black_box((view.0.to_native(), view.1.len(), view.2.last().map(|number| number.to_native())))
        });
    });
    group.bench_function("read into a value of its own", |bencher| {
        bencher.iter(|| archive::decode::<Realistic>(black_box(bytes)).expect("it is whole"));
    });
    group.finish();
}

criterion_group!(benches, archives);
criterion_main!(benches);
