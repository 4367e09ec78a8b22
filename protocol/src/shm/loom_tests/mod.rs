//! The orderings of the slot protocol, explored by loom: every interleaving, and every value that a load may return.
//!
//! [`calls`]: claim, cancel, verdict. [`waking`]: the Dekker handshakes. [`broken`]: rules left out on purpose, to show
//! that these models can fail. Run: `RUSTFLAGS="--cfg loom" cargo test -p speedysvc-protocol --release --lib loom`.
//!
//! Loom has a blind spot: it remembers only the last access to a word, so a thread's own load hides an earlier load by
//! another from its reversal search, and an order that matters is never tried. [`World::toss`] opens the orders again.
//!
//! Loom takes a SeqCst load or store as Acquire or Release, and only a SeqCst fence for what it is. What is missing
//! comes from `shm/sync.rs`.

mod broken;
mod calls;
mod few;
mod waking;
mod woken;

use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::board::{BoardLine, Mode};
use super::claim::{Look, Request, Taker};
use super::layout::{Grant, ReplyLine, RequestHead, RequestLine};
use super::seq::Seq;
use super::slot::{Caller, Post, ReplyHead, Slot};
use super::sync::{AtomicU64, Ordering, fence};
use super::wake::Poller;
use crate::ids::Incarnation;
use crate::status::{Code, Outcome, Status};

const CANCELLED: Status = Status::Failed(Code::Cancelled, Outcome::NotStarted);

/// One link with one slot, and the lines of loops 1 and 2.
struct World {
    request: RequestLine,
    reply: ReplyLine,
    claim: AtomicU64,
    poller: AtomicU64,
    board: [BoardLine; 2],
    dice: AtomicU64,
    /// How often each call ran. Not loom's: counting must not order anything.
    runs: [AtomicUsize; 3],
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            request: RequestLine::default(),
            reply: ReplyLine::default(),
            claim: AtomicU64::new(0),
            poller: AtomicU64::new(0),
            board: [BoardLine::default(), BoardLine::default()],
            dice: AtomicU64::new(0),
            runs: [const { AtomicUsize::new(0) }; 3],
        })
    }

    /// Makes loom try every order of this moment and the other threads' tosses. A relaxed store that nobody loads
    /// orders nothing in the memory model, but two of them conflict in the search.
    fn toss(&self) {
        self.dice.store(1, Ordering::Relaxed);
    }

    /// A link that loop 1 polls.
    fn polled_by_1() -> Arc<Self> {
        let world = Self::new();
        world.line(1).set(incarnation(1), Mode::Scan);
        assert!(world.poller().adopt(incarnation(1), |n| world.line(n)));
        // So that what this thread does next is not ordered by what it has just prepared.
        fence(Ordering::SeqCst);
        world
    }

    fn slot(&self) -> Slot<'_> {
        Slot { request: &self.request, reply: &self.reply, claim: &self.claim }
    }

    fn caller(&self) -> Caller<'_> {
        Caller(self.slot())
    }

    fn taker(&self) -> Taker<'_> {
        Taker(self.slot())
    }

    fn poller(&self) -> Poller<'_> {
        Poller(&self.poller)
    }

    fn line(&self, incarnation: u16) -> &BoardLine {
        &self.board[usize::from(incarnation) - 1]
    }

    fn counter(&self, call: u64) -> &AtomicUsize {
        &self.runs[usize::try_from(call).unwrap()]
    }

    fn runs(&self, call: u64) -> usize {
        self.counter(call).load(Ordering::Relaxed)
    }

    /// The client posts a call whose payload says which call it is.
    fn post(&self, call: u64) {
        let head = RequestHead { method: 7, codec: 1, fetch: false, traced: false, len: 1 };
        let post = Post { head, deadline_ns: 0, grant: Grant { offset: 0, capacity: 0 }, inline: &[payload(call)] };
        self.toss();
        self.caller().post(seq(call), &post);
    }

    /// The client looks once for a reply, and reads it.
    fn poll(&self, call: u64) -> Option<ReplyHead> {
        self.toss();
        let reply = self.caller().poll(seq(call))?;
        let mut body = [0];
        self.caller().read_inline(&mut body);
        if reply.status == Status::Ok {
            assert_eq!((reply.len, body[0]), (1, payload(call) + 100), "another call's reply");
        }
        self.caller().prepare_another();
        Some(reply)
    }

    /// One look by a worker. The client is honest, so it is never found to have broken a rule.
    fn claim(&self, me: u16) -> Option<Request> {
        self.toss();
        match self.taker().claim(incarnation(me), |_| true) {
            Look::Taken(request) => Some(request),
            Look::Nothing | Look::Left(_) => None,
            Look::Broken(fault) => panic!("an honest client was found at fault: {fault}"),
        }
    }

    /// Answers a claimed request: the reply is the payload plus 100, or that the call was cancelled.
    fn answer(&self, me: u16, request: Request) {
        if request.cancelled {
            return self.taker().publish(incarnation(me), request.seq, CANCELLED, 0, &[]);
        }
        self.taker().prepare_soon(incarnation(me));
        let body = self.run(request.seq);
        self.toss();
        self.taker().publish(incarnation(me), request.seq, Status::Ok, 1, &[body]);
    }

    fn run(&self, seq: Seq) -> u8 {
        let mut bytes = [0];
        self.taker().read_inline(&mut bytes);
        assert_eq!(bytes[0], payload(seq.word()), "another call's bytes");
        self.counter(seq.word()).fetch_add(1, Ordering::Relaxed);
        bytes[0] + 100
    }

    /// Looks a few times, and answers what it finds.
    fn serve(&self, me: u16, looks: usize) {
        for _ in 0..looks {
            if let Some(request) = self.claim(me) {
                self.answer(me, request);
            }
        }
    }
}

fn incarnation(number: u16) -> Incarnation {
    Incarnation(NonZeroU16::new(number).unwrap())
}

fn seq(call: u64) -> Seq {
    Seq::from_word(call).unwrap()
}

fn payload(call: u64) -> u8 {
    u8::try_from(call).unwrap() + 10
}

/// Runs a model in every order; or in those with at most `preemptions` switches that no thread asked for.
fn explore(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    println!("{name}: {} executions", executions.load(Ordering::Relaxed));
}
