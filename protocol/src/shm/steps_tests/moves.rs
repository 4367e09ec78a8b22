//! What each of them can do next: the client, the loops, the supervisor, and a hostile hand.

use super::seeded::Without;
use super::state::{
    At, CALLS, CLAIM, Client, GRANT, Life, Loop, OWNER, PAYLOAD, REPLIED, REQUESTED, STORES, State, Steps,
};
use super::{PLAIN, incarnation, seq};
use crate::shm::claim::Look;
use crate::shm::layout::{Geometry, Grant, RequestHead};
use crate::shm::seq::{ClaimWord, Seq};
use crate::shm::slot::GivenUp;
use crate::shm::wake::Unanswered;
use crate::status::{Code, Outcome, Status};

pub(super) fn client_steps(state: &State, without: Without, out: &mut Steps) -> Result<(), &'static str> {
    if state.client_is_mortal && state.client != Client::Dead {
        out.push(("kill the client", State { client: Client::Dead, ..*state }));
    }
    match state.client {
        Client::Posts { call, stored } if call <= CALLS as u64 => {
            out.push((["payload", "head", "grant", "number"][stored], posted(state, call, stored)));
        }
        Client::Posts { .. } | Client::Dead => {}
        Client::Announced { call, seen } => {
            // What the kernel compares before it lets anybody sleep.
            let sleeps = state.words[REPLIED] == seen || without == Without::SecondLook;
            let client = if sleeps { Client::Asleep(call) } else { Client::Waits(call) };
            out.push(("sleep", State { client, ..*state }));
        }
        // Only others get it on. In earnest it looks again after a while, which must not be needed.
        Client::Asleep(_) => {}
        Client::Waits(call) => {
            look(state, call, without, out)?;
            if !state.is_simple {
                announce(state, call, without, out);
            }
            give_up(state, call, without, out)?;
        }
        Client::GaveUp(call) => look(state, call, without, out)?,
    }
    Ok(())
}

/// One more word of a request, or all, as the real step stores them.
fn posted(state: &State, call: u64, stored: usize) -> State {
    let (mut next, mut whole) = (*state, *state);
    whole.on_lines(|lines| lines.post(call, RequestHead { len: 8, ..PLAIN }, &call.to_le_bytes()));
    let end = if state.is_simple { STORES.len() } else { stored + 1 };
    STORES[stored..end].iter().for_each(|word| next.words[*word] = whole.words[*word]);
    next.client = if end < STORES.len() { Client::Posts { call, stored: end } } else { Client::Waits(call) };
    next
}

fn look(state: &State, call: u64, without: Without, out: &mut Steps) -> Result<(), &'static str> {
    let mut next = *state;
    if without == Without::ExactNumber && state.words[REPLIED] != 0 {
        next.tell(call, Outcome::Done)?;
        out.push(("take any reply", next));
        next = *state;
    }
    let Some(reply) = next.on_lines(|lines| lines.caller().poll(seq(call))) else { return Ok(()) };
    let claimed_by = ClaimWord::from_word(state.words[CLAIM]).owner.map(|owner| owner.0.get());
    if state.honest && claimed_by != Some(reply.owner) {
        return Err("a reply names another loop");
    }
    let outcome = match reply.status {
        Status::Failed(_, outcome) => outcome,
        _ => Outcome::Done,
    };
    next.tell(call, outcome)?;
    next.on_lines(|lines| lines.caller().prepare_another());
    out.push(("poll", next));
    Ok(())
}

fn announce(state: &State, call: u64, without: Without, out: &mut Steps) {
    let mut next = *state;
    let seen = next.on_lines(|lines| lines.caller().announce_sleep(seq(call)));
    // Without the second look it sleeps beside a reply that came before the announcement.
    let seen = seen.or((without == Without::SecondLook).then_some(Unanswered(state.words[REPLIED])));
    next.client = match seen {
        Some(Unanswered(seen)) => Client::Announced { call, seen },
        None => Client::Waits(call),
    };
    out.push(("announce a sleep", next));
}

fn give_up(state: &State, call: u64, without: Without, out: &mut Steps) -> Result<(), &'static str> {
    let mut next = *state;
    match next.on_lines(|lines| lines.caller().give_up(seq(call))) {
        GivenUp::NotStarted => next.tell(call, Outcome::NotStarted)?,
        GivenUp::Claimed if without == Without::WaitingForTheReply => next.client = State::next(call),
        GivenUp::Claimed => next.client = Client::GaveUp(call),
    }
    out.push(("give up", next));
    Ok(())
}

/// The wake after a reply to this call, if its client says that it sleeps.
fn wake(state: &mut State, call: u64) {
    let sleeps = state.on_lines(|lines| lines.taker().must_wake(seq(call)));
    if let Client::Asleep(asleep) = state.client
        && sleeps
    {
        state.client = Client::Waits(asleep);
    }
}

pub(super) fn loop_step(state: &State, index: usize, without: Without, out: &mut Steps) -> Result<(), &'static str> {
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
                next.loops[index].at = At::Claimed { seq: request.seq.word(), cancelled, grant: state.words[GRANT] };
            }
        },
        At::Claimed { seq, cancelled: false, grant } => {
            let geometry = Geometry::new(1, 4096).unwrap();
            let used = if without == Without::LoadingOnce { state.words[GRANT] } else { grant };
            if !state.link_lost && Grant::parse(used, geometry).is_err() {
                return Err("a buffer outside the arena was used");
            }
            if state.honest && state.words[PAYLOAD] != seq {
                return Err("a handler saw another call's bytes");
            }
            let free = next.ran.iter().position(|call| *call == 0).ok_or("more runs than calls")?;
            next.ran[free] = seq;
            next.on_lines(|lines| lines.taker().prepare_soon(me));
            next.loops[index].at = At::Ran { seq };
        }
        At::Claimed { seq: call, .. } | At::Ran { seq: call } => {
            let mine = ClaimWord { seq: seq(call), owner: Some(me) };
            if state.words[CLAIM] != mine.word() || state.words[REPLIED] == call {
                return Err("a call was answered twice");
            }
            let cancelled = Status::Failed(Code::Cancelled, Outcome::NotStarted);
            let ran = matches!(state.loops[index].at, At::Ran { .. });
            let status = if ran { Status::Ok } else { cancelled };
            next.on_lines(|lines| lines.taker().publish(me, seq(call), status, 0, &[]));
            next.loops[index].at = At::Answered { seq: call };
            if state.kills_left > 0 {
                // Killed before the last store: all is written but the number.
                let mut torn = next;
                torn.words[REPLIED] = state.words[REPLIED];
                torn.kills_left -= 1;
                torn.loops[index] = Loop { life: Life::Dead, ..state.loops[index] };
                out.push(("die while publishing", torn));
            }
        }
        At::Answered { seq: call } => {
            wake(&mut next, call);
            next.loops[index].at = At::Idle;
        }
        At::Prepares { owner } => {
            next.words[OWNER] = owner;
            next.loops[index].at = At::Idle;
        }
    }
    next.check()?;
    out.push((["A steps", "B steps"][index], next));
    Ok(())
}

pub(super) fn supervisor_steps(state: &State, index: usize, without: Without, out: &mut Steps) {
    let mut next = *state;
    let one = &mut next.loops[index];
    match one.life {
        Life::Alive if state.kills_left == 0 => {}
        Life::Alive => {
            one.life = Life::Dead;
            next.kills_left -= 1;
            out.push(("kill", next));
        }
        // Also from what follows: a supervisor that was restarted does it all again.
        Life::Dead | Life::Told | Life::Resolved => {
            let dead = incarnation(one.number);
            let told = without != Without::Verdict && next.on_lines(|lines| lines.taker().resolve(dead)).is_some();
            let wakes = told || without != Without::WakeForTheDead;
            next.loops[index].life = if wakes { Life::Told } else { Life::Resolved };
            assert!(!told || state.loops[index].life == Life::Dead, "a verdict fell twice");
            out.push(("resolve", next));
        }
    }
    if state.loops[index].life == Life::Told {
        let mut next = *state;
        let dead = incarnation(state.loops[index].number);
        next.loops[index].life = Life::Resolved;
        let last = next.on_lines(|lines| lines.taker().last_claimed_by(dead));
        last.into_iter().for_each(|call| wake(&mut next, call.word()));
        out.push(("wake its caller", next));
    }
    if state.loops[index].life == Life::Resolved {
        let mut next = *state;
        let reborn = without == Without::FreshNumbers;
        let number = state.loops[index].number + if reborn { 0 } else { 2 };
        next.loops[index] = Loop { number, life: Life::Alive, at: At::Idle, reborn };
        out.push(("restart", next));
    }
}

pub(super) fn hostile_steps(state: &State, out: &mut Steps) {
    let now = state.words[REQUESTED];
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
