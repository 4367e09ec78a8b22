//! What compression costs and saves, by way, size and kind of bytes; beside it a copy of the same bytes.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::packing::{Packer, Unpacker};
use speedysvc_protocol::wire::Compression;

fn text(len: usize) -> Vec<u8> {
    let records = (0_u32..).map(|n| format!("{{\"id\": {n}, \"name\": \"user{}\"}}, ", n.wrapping_mul(2_654_435_761)));
    records.flat_map(String::into_bytes).take(len).collect()
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

fn packing(criterion: &mut Criterion) {
    for (kind, make) in [("text", text as fn(usize) -> Vec<u8>), ("noise", noise)] {
        let mut group = criterion.benchmark_group(kind);
        for len in [1 << 10, 1 << 16, 1 << 20] {
            let body = make(len);
            group.throughput(Throughput::Bytes(len as u64));
            let mut copy = vec![0; len];
            group.bench_function(BenchmarkId::new("copy", len), |bencher| {
                bencher.iter(|| copy.copy_from_slice(black_box(&body)));
            });
            group.bench_function(BenchmarkId::new("crc32c", len), |bencher| {
                bencher.iter(|| crc32c::crc32c(black_box(&body)));
            });
            for how in Compression::ALL {
                let (mut packer, mut unpacker, mut packed) = (Packer::default(), Unpacker::default(), Buffer::new(0));
                group.bench_function(BenchmarkId::new(format!("{}/pack", how.name()), len), |bencher| {
                    bencher.iter(|| packer.pack(how, black_box(&body), &mut packed));
                });
                if !packer.pack(how, &body, &mut packed) {
                    continue;
                }
                println!("{kind} {len} {}: {} bytes", how.name(), packed.as_slice().len());
                group.bench_function(BenchmarkId::new(format!("{}/unpack", how.name()), len), |bencher| {
                    bencher.iter(|| unpacker.unpack(how, black_box(packed.as_slice()), &mut copy));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, packing);
criterion_main!(benches);
