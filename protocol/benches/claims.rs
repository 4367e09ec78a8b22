//! What each way of claiming a call costs, and nothing else: one client, one worker, lines of their own, no payload.
//!
//! `Nothing` is static homes: a slot has one worker, and nothing must be claimed. `ReplyLine` claims by
//! compare-and-swap in the word that the client polls; `OwnLine` in a line that it does not (rule 3). Threads stand for
//! processes: the lines do not know. Decision 0017 has the numbers.
//! Run alone: `cargo bench -p speedysvc-protocol --bench claims`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};
use std::{hint, thread};

const ROUNDS: usize = 9;
const SPAN: Duration = Duration::from_millis(150);
const DEPTHS: [usize; 2] = [1, 32];

#[derive(Default)]
#[repr(align(128))]
struct Line([AtomicU64; 8]);

#[derive(Clone, Copy, PartialEq, Debug)]
enum By {
    Nothing,
    ReplyLine,
    OwnLine,
}

const CLAIMS: [By; 3] = [By::Nothing, By::ReplyLine, By::OwnLine];
/// In a reply line: a worker has the call. Below it, the number of the last that was answered.
const TAKEN: u64 = 1 << 63;

struct Link {
    requests: Vec<Line>,
    replies: Vec<Line>,
    claims: Vec<Line>,
    ended: AtomicBool,
}

impl Link {
    fn new(depth: usize) -> Self {
        let lines = |count| (0..count).map(|_| Line::default()).collect();
        Self {
            requests: lines(depth),
            replies: lines(depth),
            claims: lines(depth.div_ceil(8)),
            ended: AtomicBool::new(false),
        }
    }

    /// The worker: claims what it finds, in the given way, and answers; one fence a pass that found something.
    fn serve(&self, claim: By) {
        while !self.ended.load(Ordering::Relaxed) {
            let mut found = false;
            for slot in 0..self.requests.len() {
                found |= self.serve_slot(slot, claim);
            }
            if found {
                fence(Ordering::SeqCst);
            } else {
                hint::spin_loop();
            }
        }
    }

    fn serve_slot(&self, slot: usize, claim: By) -> bool {
        let (request, reply) = (&self.requests[slot].0, &self.replies[slot].0);
        let word = &self.claims[slot / 8].0[slot % 8];
        let seq = request[0].load(Ordering::Acquire);
        let claimed = match claim {
            By::OwnLine => word.load(Ordering::Relaxed),
            By::Nothing | By::ReplyLine => reply[0].load(Ordering::Relaxed),
        };
        if seq == claimed {
            return false;
        }
        let is_mine = match claim {
            By::Nothing => true,
            By::ReplyLine => swap(&reply[0], claimed, seq | TAKEN),
            By::OwnLine => swap(word, claimed, seq),
        };
        if is_mine {
            reply[1].store(request[1].load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            reply[0].store(seq, Ordering::Release);
        }
        is_mine
    }

    /// The client: publishes a call in each slot, with one fence, and waits for all replies. Nanoseconds a call.
    fn call(&self) -> f64 {
        let (begin, mut seq) = (Instant::now(), 0);
        while begin.elapsed() < SPAN {
            for _ in 0..64 {
                seq += 1;
                for request in &self.requests {
                    request.0[1].store(seq, Ordering::Relaxed);
                    request.0[0].store(seq, Ordering::Release);
                }
                fence(Ordering::SeqCst);
                for reply in &self.replies {
                    while reply.0[0].load(Ordering::Acquire) != seq {
                        hint::spin_loop();
                    }
                    assert_eq!(reply.0[1].load(Ordering::Relaxed), seq + 1);
                }
            }
        }
        begin.elapsed().as_secs_f64() * 1e9 / (seq as f64 * self.requests.len() as f64)
    }
}

fn swap(word: &AtomicU64, old: u64, new: u64) -> bool {
    word.compare_exchange(old, new, Ordering::SeqCst, Ordering::Relaxed).is_ok()
}

fn measure(claim: By, depth: usize) -> f64 {
    let link = Link::new(depth);
    thread::scope(|scope| {
        scope.spawn(|| link.serve(claim));
        let cost = link.call();
        link.ended.store(true, Ordering::Relaxed);
        cost
    })
}

fn main() {
    // `cargo test --benches` asks only whether it runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    for depth in DEPTHS {
        let mut rounds: Vec<[f64; CLAIMS.len()]> =
            (0..ROUNDS).map(|_| CLAIMS.map(|claim| measure(claim, depth))).collect();
        println!(
            "{depth} in flight, ns a call: median (least to most) of {ROUNDS} interleaved rounds; median ratio to none"
        );
        for (place, claim) in CLAIMS.iter().enumerate() {
            let mut ratios: Vec<f64> = rounds.iter().map(|round| round[place] / round[0]).collect();
            ratios.sort_by(f64::total_cmp);
            rounds.sort_by(|one, other| one[place].total_cmp(&other[place]));
            let [least, median, most] = [0, ROUNDS / 2, ROUNDS - 1].map(|at| rounds[at][place]);
            println!("  {claim:<10?} {median:7.1} ({least:.1} to {most:.1})  x {:.2}", ratios[ROUNDS / 2]);
        }
    }
}
