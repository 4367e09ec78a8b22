//! Every order of the real steps on one slot, breadth first: a client with its calls, two loops that may be killed
//! between any two steps or in the middle of publishing, a supervisor, and a hostile hand in the request words.
//!
//! A step is a whole function here; loom takes the functions apart (`loom_tests`). What loom cannot do is many calls,
//! deaths and hostile values at once.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering::Relaxed;

use super::seeded::{self, Without};
use super::{Lines, PLAIN, incarnation, seq};
use crate::shm::claim::Look;
use crate::shm::layout::{Geometry, Grant, RequestHead};
use crate::shm::seq::{ClaimWord, Seq};
use crate::shm::slot::GivenUp;
use crate::status::{Code, Outcome, Status};

const CALLS: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum At {
    Idle,
    Claimed { seq: u64, cancelled: bool, grant: u64 },
    Ran { seq: u64 },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Life {
    Alive,
    Dead,
    Resolved,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Loop {
    pub(super) number: u16,
    pub(super) life: Life,
    pub(super) at: At,
    /// Whether another loop had this number before, which must never be.
    pub(super) reborn: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Client {
    Posts(u64),
    Waits(u64),
    GaveUp(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// seq, cancel, head, grant, first payload word; seq, head, owner; claim.
    pub(super) words: [u64; 9],
    client: Client,
    told: [Option<Outcome>; CALLS],
    pub(super) loops: [Loop; 2],
    /// The numbers of the calls that ran, 0 for none.
    ran: [u64; CALLS + 2],
    kills_left: u8,
    hostile_left: u8,
    honest: bool,
    link_lost: bool,
}

fn words(lines: &Lines) -> [&std::sync::atomic::AtomicU64; 9] {
    let (request, reply) = (&lines.request, &lines.reply);
    let (cancel, head, grant, inline) = (&request.cancel, &request.head, &request.grant, &request.inline[0]);
    [&request.seq, cancel, head, grant, inline, &reply.seq, &reply.head, &reply.owner, &lines.claim]
}

impl State {
    pub(super) fn first(kills_left: u8, hostile_left: u8) -> Self {
        let born = |number| Loop { number, life: Life::Alive, at: At::Idle, reborn: false };
        Self {
            words: [0; 9],
            client: Client::Posts(1),
            told: [None; CALLS],
            loops: [born(1), born(2)],
            ran: [0; CALLS + 2],
            kills_left,
            hostile_left,
            honest: true,
            link_lost: false,
        }
    }

    /// Does a real step on real lines that hold this state's words.
    pub(super) fn on_lines<T>(&mut self, step: impl FnOnce(&Lines) -> T) -> T {
        let lines = Lines::default();
        for (word, value) in words(&lines).into_iter().zip(self.words) {
            word.store(value, Relaxed);
        }
        let result = step(&lines);
        self.words = words(&lines).map(|word| word.load(Relaxed));
        result
    }

    fn finished(&self) -> bool {
        let idle = self.loops.iter().all(|one| one.life == Life::Alive && one.at == At::Idle);
        // A client that lied may wait for ever; the loops must not.
        let told = !self.honest || self.client == Client::Posts(CALLS as u64 + 1);
        self.link_lost || idle && told
    }

    fn tell(&mut self, call: u64, outcome: Outcome) -> Result<(), &'static str> {
        let told = (1..).zip(&mut self.told).find(|(number, _)| *number == call);
        *told.ok_or("no such call")?.1 = Some(outcome);
        self.client = Client::Posts(call + 1);
        self.check()
    }

    fn check(&self) -> Result<(), &'static str> {
        for (i, call) in self.ran.iter().enumerate() {
            if *call != 0 && self.ran[..i].contains(call) {
                return Err("a call ran twice");
            }
        }
        for (call, told) in (1..).zip(self.told).filter(|_| self.honest) {
            let ran = self.ran.contains(&call);
            match told {
                Some(Outcome::NotStarted) if ran => return Err("not started, and yet it ran"),
                Some(Outcome::Done) if !ran => return Err("done, and yet it did not run"),
                _ => {}
            }
        }
        Ok(())
    }
}

pub(super) type Steps = Vec<(&'static str, State)>;

fn client_steps(state: &State, without: Without, out: &mut Steps) -> Result<(), &'static str> {
    let mut next = *state;
    let call = match state.client {
        Client::Posts(call) => {
            if call <= CALLS as u64 {
                next.on_lines(|lines| lines.post(call, RequestHead { len: 8, ..PLAIN }, &call.to_le_bytes()));
                next.client = Client::Waits(call);
                out.push(("post", next));
            }
            return Ok(());
        }
        Client::Waits(call) | Client::GaveUp(call) => call,
    };
    if without == Without::ExactNumber && state.words[5] != 0 {
        next.tell(call, Outcome::Done)?;
        out.push(("take any reply", next));
        next = *state;
    }
    if let Some(reply) = next.on_lines(|lines| lines.caller().poll(seq(call))) {
        let outcome = match reply.status {
            Status::Failed(_, outcome) => outcome,
            _ => Outcome::Done,
        };
        next.tell(call, outcome)?;
        next.on_lines(|lines| lines.caller().prepare_another());
        out.push(("poll", next));
    }
    let mut next = *state;
    if state.client == Client::Waits(call) {
        match next.on_lines(|lines| lines.caller().give_up(seq(call))) {
            GivenUp::NotStarted => next.tell(call, Outcome::NotStarted)?,
            GivenUp::Claimed if without == Without::WaitingForTheReply => next.client = Client::Posts(call + 1),
            GivenUp::Claimed => next.client = Client::GaveUp(call),
        }
        out.push(("give up", next));
    }
    Ok(())
}

fn loop_step(state: &State, index: usize, without: Without, out: &mut Steps) -> Result<(), &'static str> {
    let mut next = *state;
    let me = incarnation(state.loops[index].number);
    let alive = |number| state.loops.iter().any(|one| one.number == number && one.life == Life::Alive);
    match state.loops[index].at {
        At::Idle => match next.on_lines(|lines| lines.taker().claim(me, alive)) {
            Look::Nothing | Look::Left(_) => return Ok(()),
            Look::Broken(_) if state.honest => return Err("an honest client was found at fault"),
            Look::Broken(_) => next.link_lost = true,
            Look::Taken(request) => {
                let geometry = Geometry::new(1, 4096).unwrap();
                match request.grant(geometry) {
                    Ok(grant) if grant.offset + grant.capacity > geometry.arena() => return Err("a grant outside"),
                    Err(_) if state.honest => return Err("an honest client's grant was refused"),
                    Err(_) => next.link_lost = true,
                    Ok(_) => {}
                }
                let cancelled = request.cancelled && without != Without::CancelAfterClaim;
                next.loops[index].at = At::Claimed { seq: request.seq.word(), cancelled, grant: state.words[3] };
            }
        },
        At::Claimed { seq, cancelled: false, grant } => {
            let geometry = Geometry::new(1, 4096).unwrap();
            let used = if without == Without::LoadingOnce { state.words[3] } else { grant };
            if !state.link_lost && Grant::parse(used, geometry).is_err() {
                return Err("a buffer outside the arena was used");
            }
            if state.honest && state.words[4] != seq {
                return Err("a handler saw another call's bytes");
            }
            let free = next.ran.iter().position(|call| *call == 0).ok_or("more runs than calls")?;
            next.ran[free] = seq;
            next.on_lines(|lines| lines.taker().prepare_soon(me));
            next.loops[index].at = At::Ran { seq };
        }
        At::Claimed { seq: call, .. } | At::Ran { seq: call } => {
            if state.words[8] != (ClaimWord { seq: seq(call), owner: Some(me) }).word() || state.words[5] == call {
                return Err("a call was answered twice");
            }
            let cancelled = Status::Failed(Code::Cancelled, Outcome::NotStarted);
            let ran = matches!(state.loops[index].at, At::Ran { .. });
            let status = if ran { Status::Ok } else { cancelled };
            next.on_lines(|lines| lines.taker().publish(me, seq(call), status, 0, &[]));
            next.loops[index].at = At::Idle;
            if state.kills_left > 0 {
                // Killed before the last store: all is written but the number.
                let mut torn = next;
                torn.words[5] = state.words[5];
                torn.kills_left -= 1;
                torn.loops[index] = Loop { life: Life::Dead, ..state.loops[index] };
                out.push(("die while publishing", torn));
            }
        }
    }
    next.check()?;
    out.push((["A steps", "B steps"][index], next));
    Ok(())
}

fn supervisor_steps(state: &State, index: usize, without: Without, out: &mut Steps) {
    let mut next = *state;
    let one = &mut next.loops[index];
    match one.life {
        Life::Alive if state.kills_left == 0 => {}
        Life::Alive => {
            one.life = Life::Dead;
            next.kills_left -= 1;
            out.push(("kill", next));
        }
        // Also from `Resolved`: a supervisor that was restarted does it all again.
        Life::Dead | Life::Resolved => {
            one.life = Life::Resolved;
            let dead = incarnation(one.number);
            let told = without != Without::Verdict && next.on_lines(|lines| lines.taker().resolve(dead)).is_some();
            assert!(!told || state.loops[index].life == Life::Dead, "a verdict fell twice");
            out.push(("resolve", next));
        }
    }
    if state.loops[index].life == Life::Resolved {
        let mut next = *state;
        let reborn = without == Without::FreshNumbers;
        let number = state.loops[index].number + if reborn { 0 } else { 2 };
        next.loops[index] = Loop { number, life: Life::Alive, at: At::Idle, reborn };
        out.push(("restart", next));
    }
}

fn hostile_steps(state: &State, out: &mut Steps) {
    let now = state.words[0];
    let numbers = [0, now.wrapping_sub(1), now.wrapping_add(1), Seq::MAX.word(), Seq::MAX.word() + 1, u64::MAX];
    let fetch = |method| RequestHead { method, fetch: true, ..PLAIN }.word();
    let heads = [u64::MAX, fetch(1), fetch(2), fetch(9)];
    let writes = numbers.map(|number| (0, number)).into_iter().chain([(1, 0), (1, u64::MAX)]);
    let writes = writes.chain(heads.map(|head| (2, head))).chain([(3, u64::MAX), (3, 1 << 32)]);
    for (word, value) in writes.filter(|_| state.hostile_left > 0) {
        let mut next = *state;
        next.words[word] = value;
        next.hostile_left -= 1;
        next.honest = false;
        out.push(("hostile write", next));
    }
}

fn steps(state: &State, without: Without) -> Result<Steps, &'static str> {
    let mut out = Vec::new();
    if state.link_lost {
        return Ok(out);
    }
    client_steps(state, without, &mut out)?;
    for index in 0..state.loops.len() {
        if state.loops[index].life == Life::Alive {
            loop_step(state, index, without, &mut out)?;
        }
        supervisor_steps(state, index, without, &mut out);
        seeded::steps(state, index, without, &mut out);
    }
    hostile_steps(state, &mut out);
    Ok(out)
}

/// All states, or how to reach the first bad one.
pub(super) fn explore(first: State, without: Without) -> Result<usize, String> {
    let mut number = HashMap::from([(first, 0)]);
    let mut states = vec![(first, 0, "")];
    let mut before: Vec<Vec<usize>> = vec![vec![]];
    let mut at = 0;
    while at < states.len() {
        let found = steps(&states[at].0, without).map_err(|what| trace(what, &states, at))?;
        for (name, next) in found {
            let to = *number.entry(next).or_insert(states.len());
            if to == states.len() {
                states.push((next, at, name));
                before.push(vec![]);
            }
            before[to].push(at);
        }
        at += 1;
    }
    // From everywhere there must be a way to the end.
    let mut good: Vec<bool> = states.iter().map(|(state, ..)| state.finished()).collect();
    let mut queue: VecDeque<usize> = (0..states.len()).filter(|i| good[*i]).collect();
    while let Some(at) = queue.pop_front() {
        for from in &before[at] {
            if !std::mem::replace(&mut good[*from], true) {
                queue.push_back(*from);
            }
        }
    }
    match good.iter().position(|good| !good) {
        Some(lost) => Err(trace("somebody waits for ever", &states, lost)),
        None => Ok(states.len()),
    }
}

fn trace(what: &str, states: &[(State, usize, &str)], mut at: usize) -> String {
    let mut way = vec![what];
    while at != 0 {
        way.push(states[at].2);
        at = states[at].1;
    }
    way.reverse();
    way.join(" > ")
}

#[test]
fn honest_calls_survive_every_death() {
    let states = explore(State::first(2, 0), Without::Nothing).unwrap();
    println!("honest client, 2 deaths: {states} states");
    assert!(states > 1000, "the explorer explores nothing: {states} states");
}

#[test]
fn hostile_words_harm_only_their_writer() {
    let states = explore(State::first(1, 2), Without::Nothing).unwrap();
    println!("hostile client, 1 death: {states} states");
}
