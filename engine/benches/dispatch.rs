//! From arguments to reply: the service alone, and as the loop runs it, with its catching of panics, its clock and its
//! accounts. The difference is what the loop adds. Then whole passes over shared memory that find one call, or 64; and
//! chunks of a socket with as many frames.

use std::hint::black_box;
use std::sync::{Arc, LazyLock};
use std::thread;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use speedysvc_core::bench::{Dispatch, Frames, Passes};
use speedysvc_protocol::archive::{self, Buffer};
use speedysvc_protocol::byte_string;
use speedysvc_protocol::contract::{Contract, MethodSchema, MethodSpec, Runs, ServiceSpec};
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::service::{Body, Call, Reply, Service};
use speedysvc_protocol::status::{Code, Failure};

/// The struct of the codec measurements: {u64, text of 24 bytes, sixteen u32}.
type Realistic = (u64, String, Vec<u32>);

const ADD: MethodSpec = MethodSpec {
    name: "add",
    signature: "add(u64, String, Vec<u32>) -> u64",
    docs: "",
    idempotent: false,
    runs: Runs::OnTheLoop,
    codec: Codec::Rkyv,
    arguments: &["first", "text", "rest"],
    defaults: &[],
    schema: |schemas| MethodSchema {
        arguments: vec![
            schemas.subschema_for::<u64>(),
            schemas.subschema_for::<String>(),
            schemas.subschema_for::<Vec<u32>>(),
        ],
        result: schemas.subschema_for::<u64>(),
        error: None,
    },
};
static SPEC: ServiceSpec = ServiceSpec { name: "adder", version: 1, docs: "", methods: &[ADD] };
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| SPEC.contract());
static BLOCKING: ServiceSpec =
    ServiceSpec { name: "adder", version: 1, docs: "", methods: &[MethodSpec { runs: Runs::Blocking, ..ADD }] };

/// Adds the numbers of its arguments.
struct Adder;

impl Service for Adder {
    fn contract(&self) -> &'static Contract {
        &CONTRACT
    }

    fn spec(&self) -> &'static ServiceSpec {
        &SPEC
    }

    fn call(&self, _: MethodIndex, call: Call<'_>) -> Result<(), Failure> {
        let arguments = archive::view::<Realistic>(call.body.bytes())?;
        let sum: u64 = arguments.2.iter().map(|number| u64::from(number.to_native())).sum();
        call.reply.ok(call.codec, &(arguments.0.to_native() + arguments.1.len() as u64 + sum))
    }
}

/// Says what it is told.
#[derive(Clone, Copy)]
enum Echo {
    /// As the built-in service does.
    Lends,
    Gives,
}

impl Service for Echo {
    fn contract(&self) -> &'static Contract {
        &CONTRACT
    }

    fn spec(&self) -> &'static ServiceSpec {
        &SPEC
    }

    fn call(&self, _: MethodIndex, call: Call<'_>) -> Result<(), Failure> {
        let bytes = byte_string::slice(call.body.bytes());
        let bytes = bytes.ok_or_else(|| Failure::not_started(Code::InvalidArgument, "no byte string"))?;
        match self {
            Self::Lends => call.reply.ok_lent_bytes(call.codec, black_box(bytes)),
            Self::Gives => call.reply.ok_bytes(call.codec, black_box(bytes).to_vec()),
        }
    }
}

/// Blocks for ever.
struct Stays;

impl Service for Stays {
    fn contract(&self) -> &'static Contract {
        &CONTRACT
    }

    fn spec(&self) -> &'static ServiceSpec {
        &BLOCKING
    }

    fn call(&self, _: MethodIndex, _: Call<'_>) -> Result<(), Failure> {
        loop {
            thread::park();
        }
    }
}

fn passes(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("passes");
    let mut arguments = Buffer::new(4096);
    byte_string::encode(&[7; 32], &mut arguments).expect("it fits");
    let mut passes = Passes::new(black_box(Arc::new(Echo::Lends))).expect("memory for a link");
    for slots in [1, 64] {
        group.throughput(Throughput::Elements(slots as u64));
        group.bench_function(format!("{slots} found, 32 bytes"), |bencher| {
            bencher.iter(|| passes.call(slots, black_box(arguments.as_slice())));
        });
    }
    let mut full = Passes::new(black_box(Arc::new(Stays))).expect("memory for a link");
    full.fill();
    for slots in [1, 64] {
        group.throughput(Throughput::Elements(slots as u64));
        group.bench_function(format!("{slots} refused, 32 bytes"), |bencher| {
            bencher.iter(|| full.call(slots, black_box(arguments.as_slice())));
        });
    }
    group.finish();
}

fn frames(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("frames");
    let mut arguments = Buffer::new(4096);
    byte_string::encode(&[7; 32], &mut arguments).expect("it fits");
    for (together, echo, how) in [(1, Echo::Lends, "lent"), (64, Echo::Lends, "lent"), (64, Echo::Gives, "given")] {
        let mut frames = Frames::new(black_box(Arc::new(echo)), together, arguments.as_slice()).expect("a connection");
        assert_eq!(frames.call(), together * (48 + 40), "all are answered");
        group.throughput(Throughput::Elements(together as u64));
        let name = format!("{together} in a chunk, 32 bytes, {how}");
        group.bench_function(name, |bencher| bencher.iter(|| frames.call()));
    }
    group.finish();
}

fn dispatch(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("dispatch");
    let value: Realistic =
        (1_234_567, "a text of 24 bytes......".to_owned(), (0..16).map(|place| place * 65_537).collect());
    let mut arguments = Buffer::new(4096);
    archive::encode(&value, &mut arguments).expect("it fits");
    let arguments = arguments.as_slice();

    let service: Arc<dyn Service> = black_box(Arc::new(Adder));
    let (mut scratch, mut reply) = (Buffer::new(4096), Reply::new(4096));
    group.bench_function("the service alone", |bencher| {
        bencher.iter(|| {
            reply.prepare(4096, 4096, None);
            let (scratch, reply) = (&mut scratch, &mut reply);
            let call = Call { codec: Codec::Rkyv, body: Body::Own(black_box(arguments)), scratch, reply };
            service.call(black_box(MethodIndex(0)), call).expect("it adds");
        });
    });
    let mut dispatch = Dispatch::new(Arc::clone(&service)).expect("memory for a page");
    group.bench_function("as the loop runs it, metered", |bencher| {
        bencher.iter(|| dispatch.call(black_box(MethodIndex(0)), black_box(arguments)).expect("it adds"));
    });
    group.finish();
}

criterion_group!(benches, dispatch, passes, frames);
criterion_main!(benches);
