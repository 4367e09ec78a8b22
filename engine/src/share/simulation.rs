//! The policy against the queues of the books, in exact time: no clock, no threads, the same numbers in every run.
//!
//! Calls come at random moments (Poisson) and need exponentially distributed times, as in M/M/c. Loops are simulated:
//! each has its own [`Turns`], hears the bells of all links in the order in which they rang, and sleeps when nothing
//! waits. What a wake and a turn cost can be set; at nothing, the policy must be the queue of the books.

use std::collections::VecDeque;

use super::turns::{Turns, Waiting};

/// One call.
#[derive(Clone, Copy, Debug)]
struct Call {
    at_ns: u64,
    takes_ns: u64,
}

/// What things cost, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Costs {
    /// From a bell to a loop that slept and now looks.
    wake: u64,
    /// What a loop does for each call beside its handler.
    turn: u64,
}

const NOTHING: Costs = Costs { wake: 0, turn: 0 };
/// As measured on the reference machine, at the upper end.
const REAL: Costs = Costs { wake: 60_000, turn: 2_000 };

fn random(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((word ^ (word >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and far below the limit")]
fn whole(number: f64) -> u64 {
    number as u64
}

fn exponential(state: &mut u64, mean: f64) -> u64 {
    whole(-(1.0 - random(state)).ln() * mean)
}

/// One of so many, by lot: always the same for this number.
fn lot(number: usize, among: usize) -> usize {
    let drawn = whole(random(&mut (number as u64)) * among as f64);
    usize::try_from(drawn).expect("below a usize")
}

/// Calls for `loops` loops at this load.
fn calls(count: usize, mean_ns: f64, loops: usize, load: f64, seed: u64) -> Vec<Call> {
    let (mut state, mut at_ns) = (seed, 0);
    let gap = mean_ns / loops as f64 / load;
    let mut next = || {
        at_ns += exponential(&mut state, gap);
        Call { at_ns, takes_ns: exponential(&mut state, mean_ns) }
    };
    (0..count).map(|_| next()).collect()
}

/// The queue of the books: the longest waiting call is next, for whoever is free first.
fn ideal(calls: &[Call], loops: usize) -> Vec<u64> {
    let mut free_at = vec![0_u64; loops];
    let serve = |call: &Call| {
        let next = free_at.iter_mut().min().expect("there are loops");
        *next = call.at_ns.max(*next) + call.takes_ns;
        *next - call.at_ns
    };
    calls.iter().map(serve).collect()
}

/// Each client has a loop of its own: every call waits for that one.
fn homes(calls: &[Call], loops: usize, home: impl Fn(usize) -> usize, costs: Costs) -> Vec<u64> {
    let mut free_at = vec![0_u64; loops];
    let serve = |(number, call): (usize, &Call)| {
        let free = &mut free_at[home(number)];
        let wake = if *free <= call.at_ns { costs.wake } else { 0 };
        *free = call.at_ns.max(*free) + wake + costs.turn + call.takes_ns;
        *free - call.at_ns
    };
    calls.iter().enumerate().map(serve).collect()
}

/// A loop of the engine, as far as the order of its calls goes.
struct Loop {
    turns: Turns<u64>,
    bells: VecDeque<usize>,
    free_at_ns: u64,
    sleeps: bool,
}

/// Our policy. A link has one slot; a call takes a link that is free, the one that became so last.
struct Pool<'a> {
    calls: &'a [Call],
    costs: Costs,
    loops: Vec<Loop>,
    /// By link: its call, and whether a loop has it.
    links: Vec<(usize, bool)>,
    took_ns: Vec<u64>,
}

impl Pool<'_> {
    fn run(calls: &[Call], loops: usize, costs: Costs) -> Vec<u64> {
        let new = || Loop { turns: Turns::new(), bells: VecDeque::new(), free_at_ns: 0, sleeps: true };
        let loops = (0..loops).map(|_| new()).collect();
        let mut pool = Pool { calls, costs, loops, links: Vec::new(), took_ns: vec![0; calls.len()] };
        // Links whose call ends, and when; those that are free.
        let (mut ending, mut free): (Vec<(u64, usize)>, Vec<usize>) = (Vec::new(), Vec::new());
        for (number, call) in calls.iter().enumerate() {
            pool.advance(call.at_ns, &mut ending);
            ending.sort_unstable();
            let ended = ending.iter().take_while(|(at_ns, _)| *at_ns <= call.at_ns).count();
            free.extend(ending.drain(..ended).map(|(_, link)| link));
            let link = free.pop().unwrap_or(pool.links.len());
            if link == pool.links.len() {
                pool.links.push((number, false));
            }
            pool.links[link] = (number, false);
            for other in &mut pool.loops {
                other.bells.push_back(link);
                if std::mem::take(&mut other.sleeps) {
                    other.free_at_ns = call.at_ns + costs.wake;
                }
            }
        }
        pool.advance(u64::MAX, &mut ending);
        pool.took_ns
    }

    /// Lets loops take calls, up to this time.
    fn advance(&mut self, until_ns: u64, ending: &mut Vec<(u64, usize)>) {
        while let Some(next) = (0..self.loops.len())
            .filter(|number| !self.loops[*number].sleeps && self.loops[*number].free_at_ns <= until_ns)
            .min_by_key(|number| self.loops[*number].free_at_ns)
        {
            self.turn(next, ending);
        }
    }

    fn turn(&mut self, number: usize, ending: &mut Vec<(u64, usize)>) {
        let Self { calls, costs, loops, links, took_ns } = self;
        let this = &mut loops[number];
        let now_ns = this.free_at_ns;
        while let Some(link) = this.bells.pop_front() {
            let (call, is_taken) = links[link];
            if !is_taken {
                this.turns.wait(link, 0, Waiting { slot: 0, seq: call as u64, since_ns: now_ns }, now_ns);
            }
        }
        let next = this.turns.next(now_ns, |link, waiting| {
            let (call, is_taken) = &mut links[link];
            let takes = !*is_taken && *call as u64 == waiting.seq;
            *is_taken |= takes;
            takes.then_some((link, *call))
        });
        let Some((turn, (link, call))) = next else {
            this.sleeps = true;
            return;
        };
        let takes_ns = costs.turn + calls[call].takes_ns;
        this.free_at_ns = now_ns + takes_ns;
        this.turns.charge(turn, takes_ns, this.free_at_ns);
        took_ns[call] = this.free_at_ns - calls[call].at_ns;
        ending.push((this.free_at_ns, link));
    }
}

fn p99(mut times: Vec<u64>) -> f64 {
    times.sort_unstable();
    times[times.len() * 99 / 100] as f64
}

const CALLS: usize = 100_000;
const MEAN_NS: f64 = 200_000.0;

#[test]
fn where_nothing_costs_anything_it_is_the_queue_of_the_books() {
    for loops in [1, 2, 4] {
        let calls = calls(CALLS, MEAN_NS, loops, 0.8, 42);
        assert!(Pool::run(&calls, loops, NOTHING) == ideal(&calls, loops), "{loops} loops");
    }
}

#[test]
fn at_200_us_it_is_near_the_books_and_far_from_static_homes() {
    for seed in 1..=5 {
        let calls = calls(CALLS, MEAN_NS, 2, 0.8, seed);
        let ours = p99(Pool::run(&calls, 2, REAL));
        // Clients are split by lot.
        let (ideal, homes) = (p99(ideal(&calls, 2)), p99(homes(&calls, 2, |number| lot(number, 2), REAL)));
        let (beside_ideal, better) = (ours / ideal, homes / ours);
        assert!(beside_ideal <= 1.3, "seed {seed}: p99 {ours} ns is {beside_ideal} times that of M/M/2");
        assert!(better >= 1.45, "seed {seed}: p99 {ours} ns is only {better} times better than static homes");
    }
}

#[test]
fn hot_clients_of_one_home_find_the_other_loop() {
    for seed in 1..=5 {
        let calls = calls(CALLS, MEAN_NS, 2, 0.45, seed);
        let better = p99(homes(&calls, 2, |_| 0, REAL)) / p99(Pool::run(&calls, 2, REAL));
        assert!(better >= 5.0, "seed {seed}: only {better} times better");
    }
}

#[test]
fn another_order_would_cost() {
    // What loops did before: whoever is free takes the next link in the order of links.
    let calls = calls(CALLS, MEAN_NS, 2, 0.8, 42);
    let (ideal, scan) = (p99(ideal(&calls, 2)), p99(in_the_order_of_links(&calls, 64)));
    assert!(scan / ideal > 1.2, "scanning links costs only {} at p99", scan / ideal);
}

/// Two loops that scan links, each from where it left off.
fn in_the_order_of_links(calls: &[Call], links: usize) -> Vec<u64> {
    let mut waiting: Vec<VecDeque<usize>> = vec![VecDeque::new(); links];
    let (mut free_at, mut place, mut next) = ([0_u64; 2], [0; 2], 0);
    let mut took = vec![0; calls.len()];
    for _ in 0..calls.len() {
        let this = usize::from(free_at[1] < free_at[0]);
        if waiting.iter().all(VecDeque::is_empty) {
            free_at[this] = free_at[this].max(calls[next].at_ns);
        }
        while calls.get(next).is_some_and(|call| call.at_ns <= free_at[this]) {
            waiting[lot(next, links)].push_back(next);
            next += 1;
        }
        let found = (place[this]..).map(|place| place % links).find(|link| !waiting[*link].is_empty());
        let link = found.expect("a call waits");
        place[this] = link + 1;
        let call = waiting[link].pop_front().expect("a call waits");
        free_at[this] += calls[call].takes_ns;
        took[call] = free_at[this] - calls[call].at_ns;
    }
    took
}
