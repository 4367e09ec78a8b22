//! What metering costs a call, beside a bare increment of a word in memory and two looks at the clock.
//!
//! `cargo bench -p speedysvc-protocol --bench stats`; the budget is 15 ns without the clock.

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use speedysvc_protocol::ids::LinkId;
use speedysvc_protocol::shm::link::Board;
use speedysvc_protocol::shm::peer_rows::Who;
use speedysvc_protocol::shm::segment::Access;
use speedysvc_protocol::shm::stats_page::{StatsWriter, create_page};
use speedysvc_protocol::stats::buckets::bucket_of;
use speedysvc_protocol::stats::{Call, Counter, Times};
use speedysvc_protocol::status::Status;

/// Times spread over some octaves, as handlers' are.
fn times(number: u64) -> Times {
    Times { queue_ns: 64 + (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52), handler_ns: 500 + (number & 0xFFF) }
}

fn stats(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("stats");
    let (file, reader) = create_page().expect("memory for a page");
    let writer = StatsWriter::map(&file).expect("a fresh page");
    let untimed = Call { status: Status::Ok, bytes_in: 32, bytes_out: 32, times: None };
    let mut number = 0_u64;
    group.bench_function("floor: increment a word", |bencher| {
        bencher.iter(|| {
            let word = black_box(&mut number);
            *word += 1;
        });
    });
    group.bench_function("floor: look at the clock twice", |bencher| {
        bencher.iter(|| (black_box(Instant::now()), black_box(Instant::now())));
    });
    group.bench_function("find a bucket", |bencher| {
        bencher.iter(|| {
            number += 1;
            bucket_of(black_box(number))
        });
    });
    group.bench_function("record a call, not timed", |bencher| {
        bencher.iter(|| {
            writer.add(Counter::ShmCalls, 1);
            writer.record(black_box(3), black_box(&untimed));
        });
    });
    group.bench_function("record a call, timed", |bencher| {
        bencher.iter(|| {
            number += 1;
            writer.add(Counter::ShmCalls, 1);
            writer.record(black_box(3), black_box(&Call { times: Some(times(number)), ..untimed }));
        });
    });
    let peer = writer.peers().arrive(Who::Link(LinkId(7)));
    let (board_file, _) = Board::create().expect("memory for a board");
    let board = Board::map(&board_file, Access::ReadWrite).expect("a fresh board");
    let line = board.line(1);
    group.bench_function("all of a call that is not timed: its peer and the method that runs as well", |bencher| {
        bencher.iter(|| {
            line.set_running(Some(black_box(3)));
            line.set_running(None);
            writer.add(Counter::ShmCalls, 1);
            writer.record(black_box(3), black_box(&untimed));
            writer.peers().answered(black_box(peer), 32, 32);
        });
    });
    let names: Vec<String> = (0..8).map(|method| format!("method{method}")).collect();
    group.bench_function("read a page with one busy method", |bencher| {
        bencher.iter(|| reader.read(Some(black_box(&names))));
    });
    group.finish();
}

criterion_group!(benches, stats);
criterion_main!(benches);
