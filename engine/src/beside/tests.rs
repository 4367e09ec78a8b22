//! Against a service of four methods: echo, wait for the gate, panic, and a future that waits for the gate.

use std::future::poll_fn;
use std::num::NonZeroU16;
use std::sync::{Condvar, LazyLock, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use speedysvc_protocol::context::{CallName, Peer, Served};
use speedysvc_protocol::contract::{Contract, ServiceSpec};
use speedysvc_protocol::ids::Codec;
use speedysvc_protocol::service::{Begun, Call};
use speedysvc_protocol::status::{Outcome, Status};

use super::*;
use crate::predict::Predictor;

static SPEC: ServiceSpec = ServiceSpec { name: "fake", version: 1, docs: "", methods: &[] };
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| SPEC.contract());

const ECHO: MethodIndex = MethodIndex(0);
const WAIT: MethodIndex = MethodIndex(1);
const PANIC: MethodIndex = MethodIndex(2);

#[derive(Default)]
struct Fake {
    gate: Mutex<Gate>,
    opened: Condvar,
}

#[derive(Default)]
struct Gate {
    waiting: usize,
    open: bool,
    wakers: Vec<Waker>,
}

impl Fake {
    fn open(&self) {
        let mut gate = self.gate.lock().unwrap();
        gate.open = true;
        gate.wakers.drain(..).for_each(Waker::wake);
        self.opened.notify_all();
    }

    fn waiting(&self) -> usize {
        self.gate.lock().unwrap().waiting
    }
}

impl Service for Fake {
    fn contract(&self) -> &'static Contract {
        &CONTRACT
    }

    fn spec(&self) -> &'static ServiceSpec {
        &SPEC
    }

    fn call(&self, method: MethodIndex, call: Call<'_>) -> Result<(), Failure> {
        match method {
            WAIT => {
                let mut gate = self.gate.lock().unwrap();
                gate.waiting += 1;
                while !gate.open {
                    gate = self.opened.wait(gate).unwrap();
                }
            }
            PANIC => panic!("on purpose"),
            _ => {}
        }
        call.reply.ok_bytes(Codec::Raw, call.body.bytes().to_vec())
    }

    fn begin(self: Arc<Self>, method: MethodIndex, mut call: OwnedCall) -> Begun {
        Box::pin(async move {
            poll_fn(|polling| {
                let mut gate = self.gate.lock().unwrap();
                gate.wakers.push(polling.waker().clone());
                if gate.open { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            let ended = self.call(method, call.call());
            ended.unwrap_or_else(|failure| call.reply.fail(&failure));
            call
        })
    }
}

struct World {
    fake: Arc<Fake>,
    beside: Beside,
}

impl World {
    fn new() -> Self {
        let fake = Arc::new(Fake::default());
        let names = Names { board: None, me: Incarnation(NonZeroU16::MIN) };
        let beside = Beside::new(Arc::<Fake>::clone(&fake), None, names).unwrap();
        Self { fake, beside }
    }

    fn begin(&mut self, way: Way, method: MethodIndex, body: &[u8]) -> TicketId {
        let served = Served { call: CallName::Frame(CallId(1)), peer: Peer::Unknown, deadline_ns: 0, trace: None };
        self.begin_until(way, method, body, served)
    }

    fn begin_until(&mut self, way: Way, method: MethodIndex, body: &[u8], served: Served) -> TicketId {
        let mut call = self.beside.take_call();
        call.arguments.set_limit(1 << 16);
        call.arguments.room(body.len()).unwrap().copy_from_slice(body);
        call.reply.prepare(1 << 16, 0, None);
        let to = ReplyTo::Http { tag: Tag(0) };
        self.beside.begin(Ticket::new(to, method, way, 0, Context::new(served)), call)
    }

    /// Waits for the bell until a call is back: its status and body.
    fn back(&mut self) -> (Status, Vec<u8>) {
        loop {
            if let Some((_, done)) = self.beside.next_done() {
                let back = (done.call.reply.status(), done.call.reply.body().to_vec());
                self.beside.keep(done.call);
                return back;
            }
            let bell = self.beside.bell();
            poll(&mut [PollFd::new(&bell, PollFlags::IN)], None).unwrap();
            self.beside.hear();
        }
    }

    fn wait_for_waiting(&self, count: usize) {
        while self.fake.waiting() < count {
            thread::yield_now();
        }
    }
}

#[test]
fn a_call_comes_back_with_its_reply_by_each_way() {
    for way in [Way::Blocking, Way::InTurn, Way::Future] {
        let mut world = World::new();
        world.begin(way, ECHO, b"hi");
        assert!(!world.beside.is_empty());
        world.fake.open();
        assert_eq!(world.back(), (Status::Ok, b"hi".to_vec()), "{way:?}");
        assert!(world.beside.is_empty() && world.beside.held == 0, "{way:?}");
        assert_eq!([world.beside.blocking.taken(), world.beside.futures.taken()], [0, 0], "{way:?}");
        world.begin(way, PANIC, b"");
        let (status, text) = world.back();
        assert_eq!(status, Status::Failed(Code::Internal, Outcome::Done), "{way:?}");
        assert!(String::from_utf8(text).unwrap().contains("on purpose"), "{way:?}");
    }
}

#[test]
fn those_in_turn_run_one_at_a_time_beside_the_others() {
    let mut world = World::new();
    for _ in 0..2 {
        world.begin(Way::InTurn, WAIT, b"turn");
        world.begin(Way::Blocking, WAIT, b"any");
    }
    world.wait_for_waiting(3);
    world.begin(Way::Blocking, ECHO, b"echo");
    assert_eq!(world.back().1, b"echo");
    assert_eq!(world.fake.waiting(), 3, "the other one waits for its turn");
    world.fake.open();
    let mut back: Vec<Vec<u8>> = (0..4).map(|_| world.back().1).collect();
    back.sort();
    assert_eq!(back, [&b"any"[..], b"any", b"turn", b"turn"]);
}

#[test]
fn limits_are_named_and_what_is_back_makes_room() {
    let mut world = World::new();
    let asks = |way, who| Asks { way, caller: Caller::Socket(Tag(who)), now_ns: 0 };
    let admit = |world: &World, way, bytes| {
        let refused = world.beside.admit(&asks(way, 1), bytes, 100);
        refused.map_err(Failure::from).map_err(|failure| {
            assert!(failure.retry_after.is_some(), "{failure}");
            failure.code
        })
    };
    assert_eq!(admit(&world, Way::Blocking, 100 * BESIDE_MESSAGES), Ok(()));
    assert_eq!(admit(&world, Way::Future, 100 * BESIDE_MESSAGES + 1), Err(Code::ResourceExhausted));
    for _ in 0..BLOCKING_QUEUED {
        world.begin(Way::Blocking, WAIT, b"x");
    }
    let yours = world.beside.admit(&asks(Way::Future, 0), 0, 100).map_err(NoRoom::status);
    assert_eq!(yours, Ok(()), "there is room for futures");
    assert_eq!(admit(&world, Way::Blocking, 0), Err(Code::ResourceExhausted));
    assert_eq!((admit(&world, Way::Future, 0), admit(&world, Way::InTurn, 1 << 20)), (Ok(()), Ok(())));
    assert_eq!(world.beside.held, BLOCKING_QUEUED);
    world.fake.open();
    world.back();
    assert_eq!(admit(&world, Way::Blocking, 0), Ok(()));
    (1..BLOCKING_QUEUED).for_each(|_| assert_eq!(world.back().0, Status::Ok));
    assert!(world.beside.is_empty() && world.beside.spare.len() == SPARE_CALLS);
}

#[test]
fn what_nobody_waits_for_is_stopped_or_never_begun() {
    let mut world = World::new();
    let future = world.begin(Way::Future, ECHO, b"");
    world.beside.cancel(future);
    assert_eq!(world.back().0, Status::Failed(Code::Cancelled, Outcome::Unknown));
    world.begin(Way::InTurn, WAIT, b"");
    world.wait_for_waiting(1);
    let behind = world.begin(Way::InTurn, ECHO, b"");
    world.beside.cancel(behind);
    let served = Served { call: CallName::Http, peer: Peer::Unknown, deadline_ns: 1, trace: None };
    world.begin_until(Way::InTurn, ECHO, b"", served);
    world.fake.open();
    assert_eq!(world.back().0, Status::Ok);
    assert_eq!(world.back().0, Status::Failed(Code::Cancelled, Outcome::NotStarted));
    assert_eq!(world.back().0, Status::Failed(Code::DeadlineExceeded, Outcome::NotStarted));
    // What is back already cannot be cancelled any more, and its number may be another's by now.
    world.beside.cancel(future);
}

/// Decision 0043, beside the loop: the 100 ms that a method takes there, and a quarter more.
#[test]
fn a_call_that_cannot_be_answered_in_time_is_not_begun_while_others_wait() {
    const MS: u64 = 1_000_000;
    let mut predictor = Predictor::new(1);
    predictor.took(0, 100 * MS);
    let job = |deadline_ns| {
        let served = Served { call: CallName::Http, peer: Peer::Unknown, deadline_ns, trace: None };
        let (caller, service) = (Caller::Socket(Tag(0)), Arc::new(Fake::default()));
        let context = Context::new(served);
        Job { ticket: 0, caller, method: ECHO, service, call: OwnedCall::default(), context, came_ns: 1_000 * MS }
    };
    let refusal = |deadline_ns: u64, others_wait| job(deadline_ns).refusal(1_040 * MS, others_wait, predictor.takes(0));
    let code = |refused: Option<Failure>| refused.map(|failure| (failure.code, failure.outcome));
    let expired = Some((Code::DeadlineExceeded, Outcome::NotStarted));
    assert_eq!(code(refusal(1_164 * MS, true)), expired);
    assert_eq!(code(refusal(1_165 * MS, true)), None, "there is time enough");
    assert_eq!(code(refusal(0, true)), None, "all the time of the world");
    assert_eq!(code(refusal(1_041 * MS, false)), None, "alone, it is worth a try");
    assert_eq!(code(refusal(1_040 * MS, false)), expired);
    // It has waited for 40 ms: in 20 ms half of what waits will be gone.
    let after = refusal(1_164 * MS, true).and_then(|failure| failure.retry_after).map(|after| after.duration());
    assert_eq!(after, Some(std::time::Duration::from_micros(32_768)));
}

#[test]
fn a_future_that_is_woken_too_late_wakes_nobody_else() {
    let mut world = World::new();
    let first = world.begin(Way::Future, ECHO, b"");
    world.beside.cancel(first);
    world.back();
    // The gate holds a waker of the first, whose place the second has now.
    world.begin(Way::Future, ECHO, b"second");
    world.fake.open();
    assert_eq!(world.back(), (Status::Ok, b"second".to_vec()));
    world.beside.hear();
    assert!(world.beside.next_done().is_none() && world.beside.is_empty());
}

#[test]
fn without_a_runtime_its_calls_are_refused() {
    let mut world = World::new();
    world.begin(Way::Runtime, ECHO, b"");
    assert_eq!(world.back().0, Status::Failed(Code::Internal, Outcome::NotStarted));
}
