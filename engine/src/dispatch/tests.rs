//! What comes of calls that were handed over.

use std::num::NonZeroU16;
use std::sync::LazyLock;

use rustix::event::{PollFd, PollFlags, poll};
use speedysvc_protocol::context::{CallName, Peer, Served};
use speedysvc_protocol::contract::{MethodSchema, MethodSpec};
use speedysvc_protocol::ids::Incarnation;
use speedysvc_protocol::shm::stats_page::{StatsReader, create_page};
use speedysvc_protocol::stats::MethodCounter;

use super::*;
use crate::beside::{Caller, Names, ReplyTo};
use crate::driver::Tag;

static SPEC: ServiceSpec = ServiceSpec {
    name: "one",
    version: 1,
    docs: "",
    methods: &[MethodSpec {
        name: "work",
        signature: "work()",
        docs: "",
        idempotent: false,
        runs: Runs::OnTheLoop,
        codec: Codec::Rkyv,
        arguments: &[],
        defaults: &[],
        schema: |schemas| MethodSchema { arguments: vec![], result: schemas.subschema_for::<()>(), error: None },
    }],
};
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| SPEC.contract());
const WORK: MethodIndex = MethodIndex(0);
/// What it takes.
const MS: u64 = 1_000_000;

struct Empty;

impl Service for Empty {
    fn contract(&self) -> &'static Contract {
        &CONTRACT
    }

    fn spec(&self) -> &'static ServiceSpec {
        &SPEC
    }

    fn call(&self, _: MethodIndex, call: Call<'_>) -> Result<(), Failure> {
        call.reply.ok_bytes(Codec::Raw, vec![1])
    }
}

/// A loop whose only method has taken a millisecond twice.
fn runner() -> (Runner, StatsReader) {
    let (page, reader) = create_page().unwrap();
    let names = Names { board: None, me: Incarnation(NonZeroU16::MIN) };
    let beside = Beside::new(Arc::new(Empty), None, names).unwrap();
    let mut runner = Runner::new(Arc::new(Empty), beside, Rc::new(Meter::new(&page, 1).unwrap()));
    (0..2).for_each(|_| runner.predictor.took(0, MS));
    (runner, reader)
}

/// Hands a call over, and waits until it is back.
fn there_and_back(runner: &mut Runner, deadline_ns: u64) -> Status {
    context::serve(Served { call: CallName::Http, peer: Peer::Unknown, deadline_ns, trace: None });
    runner.take_arguments(0, 64).unwrap();
    let to = ReplyTo::Http { tag: Tag(0) };
    let asks = Asks { way: Way::InTurn, caller: Caller::of(&to), now_ns: 0 };
    runner.admit(&asks, 0, 64).unwrap();
    let ticket = |context| Ticket::new(to, WORK, Way::InTurn, 0, context);
    runner.send_away((Codec::Raw, Arguments::Copied), Room { limit: 64, window: None }, ticket);
    while runner.take_back().is_none() {
        let bell = runner.beside.bell();
        poll(&mut [PollFd::new(&bell, PollFlags::IN)], None).unwrap();
        runner.beside.hear();
    }
    let status = runner.reply.status();
    runner.answered(WORK, Counter::TcpCalls, status);
    status
}

/// Otherwise the next calls of a method that is known to run long would run on the loop, beside the one whose turn it
/// is, and calls would be begun that have no time left: under overload most are refused.
#[test]
fn a_refusal_beside_the_loop_says_nothing_of_how_long_its_method_takes() {
    let (mut runner, page) = runner();
    let takes = runner.predictor.takes(0);
    for refused in 1..10 {
        assert_eq!(runner.way_of_socket(WORK), Some(Way::InTurn));
        let status = there_and_back(&mut runner, 1);
        assert!(matches!(status, Status::Failed(Code::DeadlineExceeded, _)), "{status:?}");
        assert_eq!(runner.predictor.takes(0), takes);
        let counted = page.read(Some(&["work".to_owned()]));
        let row = counted.method("work").expect("it was called");
        assert_eq!(
            (counted.counter(Counter::Expired), row.counter(MethodCounter::Calls), row.counter(MethodCounter::Timed)),
            (refused, refused, 0)
        );
    }
    assert_eq!(there_and_back(&mut runner, u64::MAX), Status::Ok);
    assert!(runner.predictor.takes(0) != takes, "what ran is taken in");
}
