//! Every order of the real steps by which somebody looks at a link, breadth first: a client that publishes and decides
//! whether to ring, two loops that take the link over, leave it, sleep and are held up, and may be killed between any
//! two steps, and a supervisor that buries them. Rules 13, 15 and 18 to 21.
//!
//! Of a call only that counts here which matters to who looks: whether it is there, and whether it is over. What can
//! become of it, [`explorer`](super::explorer) knows. The client rings once for a call and sleeps then, for ever if it
//! must; what it does in earnest besides (it rings again, and looks for itself after a while) must not be needed.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::incarnation;
use super::search::{Steps, search};
use crate::shm::board::{BoardLine, Mode};
use crate::shm::wake::{Poller, before_second_look};

/// The link's own bell. Like all bells it is never read, so that it rings at once for who comes to hear it.
const LINK: u8 = 1;
/// The bell of all loops of the service.
const POOL: u8 = 2;

/// A rule that is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Without {
    Nothing,
    /// Who leaves a link looks there once more.
    SecondLook,
    /// After a death a request that nobody has claimed is rung for, for who comes next.
    LinkBell,
    /// Neither that, nor are the others told to look.
    Bells,
    /// Who is dead is said to be gone, and to poll nothing.
    Leaving,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Client {
    Posts,
    /// Its request is out: must it ring?
    Looks,
    Rings,
    Waits,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Up,
    /// These bells rang.
    Heard(u8),
    /// It looks at the slots of a link that rang, whoever polls it.
    Belled,
    /// It has left the link, if it polled it.
    Left {
        polled: bool,
    },
    /// It found nothing, and is about to say that it sleeps.
    Quiet,
    Asleep,
    /// A bell has woken it, and it has not said so.
    Stirs,
    Runs,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Life {
    Alive,
    Dead,
    /// Its line on the board says so.
    Gone,
    /// The link is free of it, and its call has a verdict.
    Settled,
    Buried,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Loop {
    number: u16,
    life: Life,
    at: At,
    /// What its line on the board says.
    mode: Mode,
    /// What it has said itself, while somebody else says "busy" for it.
    said: Mode,
    is_held_up: bool,
    /// What rang since it heard last.
    bells: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    client: Client,
    posted: bool,
    over: bool,
    /// A request lies there that nobody has claimed.
    is_ready: bool,
    poller: u64,
    loops: [Loop; 2],
    link_rang: bool,
    kills_left: u8,
    /// Handlers that take long enough for others to be told.
    hold_ups_left: u8,
}

impl State {
    /// One call to come, on a link that nobody polls, or loop 1 does.
    fn first(is_polled: bool, kills_left: u8, hold_ups_left: u8) -> Self {
        let born = |number| Loop {
            number,
            life: Life::Alive,
            at: At::Up,
            mode: Mode::Scan,
            said: Mode::Scan,
            is_held_up: false,
            bells: 0,
        };
        Self {
            client: Client::Posts,
            posted: false,
            over: false,
            is_ready: false,
            poller: u64::from(is_polled),
            loops: [born(1), born(2)],
            link_rang: false,
            kills_left,
            hold_ups_left,
        }
    }

    /// Does a real step on a real word and real lines that hold this state's values.
    fn on_words<T>(&mut self, step: impl FnOnce(Poller<'_>, &[BoardLine; 2]) -> T) -> T {
        let (word, lines) = (AtomicU64::new(self.poller), [BoardLine::default(), BoardLine::default()]);
        lines.iter().zip(self.loops).for_each(|(line, one)| line.set(incarnation(one.number), one.mode));
        let result = step(Poller(&word), &lines);
        self.poller = word.load(Relaxed);
        lines.iter().zip(&mut self.loops).for_each(|(line, one)| one.mode = line.mode(one.number));
        result
    }

    fn polls(&mut self, index: usize) -> bool {
        let me = incarnation(self.loops[index].number);
        self.on_words(|poller, _| poller.is(me))
    }

    /// All who live hear it.
    fn ring(&mut self, bell: u8) {
        self.link_rang |= bell == LINK;
        self.loops.iter_mut().filter(|one| one.life == Life::Alive).for_each(|one| one.bells |= bell);
    }

    fn say(&mut self, index: usize, mode: Mode) {
        let me = incarnation(self.loops[index].number);
        self.on_words(|_, lines| lines[index].set(me, mode));
        self.loops[index].said = mode;
    }

    fn adopt(&mut self, index: usize) {
        let Loop { number, said, .. } = self.loops[index];
        let me = incarnation(number);
        self.on_words(|poller, lines| match said {
            Mode::Woken => poller.adopt_free(me),
            _ => poller.adopt(me, |number| line(lines, number)),
        });
    }

    /// Claims what lies there and runs it, or goes to `otherwise`.
    fn take(&mut self, index: usize, otherwise: At) {
        self.loops[index].at = if std::mem::take(&mut self.is_ready) { At::Runs } else { otherwise };
    }
}

/// A loop's line: that of one which had its place before names another loop.
fn line(lines: &[BoardLine; 2], number: u16) -> &BoardLine {
    &lines[usize::from(number - 1) % 2]
}

type Found = Vec<(&'static str, State)>;

fn client_steps(state: &State, out: &mut Found) {
    let mut next = *state;
    match state.client {
        Client::Posts if !state.posted => {
            next.posted = true;
            next.is_ready = true;
            next.client = Client::Looks;
            out.push(("post", next));
        }
        Client::Posts => {}
        Client::Looks => {
            let rings = next.on_words(|poller, lines| poller.needs_bell(|number| line(lines, number)));
            next.client = if rings { Client::Rings } else { Client::Waits };
            out.push(("look for a poller", next));
        }
        Client::Rings => {
            next.ring(LINK);
            next.client = Client::Waits;
            out.push(("ring", next));
        }
        Client::Waits if state.over => {
            next.client = Client::Posts;
            out.push(("take the reply", next));
        }
        Client::Waits => {}
    }
}

/// What a loop can do in a turn: come back from where it was held up, hear bells, look at the link that it polls, say
/// that it scans, and go to rest, in any order.
fn turn(state: &State, index: usize, out: &mut Found) {
    let (mut next, one) = (*state, state.loops[index]);
    if one.is_held_up {
        next.loops[index].is_held_up = false;
        next.say(index, one.said);
        out.push(("come back", next));
        next = *state;
    }
    if one.bells != 0 {
        next.loops[index].bells = 0;
        next.loops[index].at = At::Heard(one.bells);
        out.push(("hear bells", next));
        next = *state;
    }
    let polls = next.polls(index);
    if polls && state.is_ready {
        next.take(index, At::Up);
        out.push(("sweep", next));
        next = *state;
    }
    if one.said == Mode::Woken {
        next.say(index, Mode::Scan);
        out.push(("stay up", next));
        next = *state;
    }
    next.on_words(|poller, _| poller.leave(incarnation(one.number)));
    next.loops[index].at = At::Left { polled: polls };
    out.push(("leave", next));
}

fn loop_steps(state: &State, index: usize, without: Without, out: &mut Found) {
    let (mut next, one) = (*state, state.loops[index]);
    let me = incarnation(one.number);
    let name = match one.at {
        At::Up => return turn(state, index, out),
        At::Heard(bells) => {
            let is_polled = next.on_words(|poller, lines| poller.is_polled(|number| line(lines, number)));
            let looks = bells & LINK != 0 || !is_polled && state.is_ready;
            if looks {
                next.adopt(index);
            }
            next.loops[index].at = if looks { At::Belled } else { At::Up };
            "take over"
        }
        At::Belled => {
            next.take(index, At::Up);
            "look at what rang"
        }
        At::Left { polled } => {
            before_second_look();
            if polled && without != Without::SecondLook {
                next.take(index, At::Quiet);
            } else {
                next.loops[index].at = At::Quiet;
            }
            if next.loops[index].at == At::Runs {
                next.adopt(index);
            }
            "look once more"
        }
        At::Quiet => {
            next.say(index, Mode::Asleep);
            next.loops[index].at = At::Asleep;
            "sleep"
        }
        At::Asleep if one.bells == 0 => return,
        At::Asleep => {
            next.loops[index].at = At::Stirs;
            "wake"
        }
        At::Stirs => {
            next.say(index, Mode::Woken);
            next.loops[index].at = At::Up;
            "say that it has woken"
        }
        At::Runs => {
            // The thread that watches over it, if the handler takes long.
            let mut held_up = *state;
            if state.hold_ups_left > 0 && held_up.on_words(|_, lines| lines[index].turn_busy(me)) {
                held_up.hold_ups_left -= 1;
                held_up.loops[index].is_held_up = true;
                held_up.ring(POOL);
                out.push(("hold up", held_up));
            }
            next.over = true;
            next.loops[index].at = At::Up;
            "answer"
        }
    };
    out.push((name, next));
}

fn supervisor_steps(state: &State, index: usize, without: Without, out: &mut Found) {
    let (mut next, one) = (*state, state.loops[index]);
    let dead = incarnation(one.number);
    let (name, life) = match one.life {
        Life::Alive if state.kills_left == 0 => return,
        Life::Alive => {
            next.kills_left -= 1;
            ("kill", Life::Dead)
        }
        Life::Dead => {
            if without != Without::Leaving {
                next.on_words(|_, lines| lines[index].set(dead, Mode::Gone));
            }
            ("say that it is gone", Life::Gone)
        }
        Life::Gone => {
            if without != Without::Leaving {
                next.on_words(|poller, _| poller.leave(dead));
            }
            before_second_look();
            // Who comes next hears of the pool before it has the link, and of the link's own bell when it gets that.
            if state.is_ready && !matches!(without, Without::LinkBell | Without::Bells) {
                next.ring(LINK);
            }
            if one.at == At::Runs {
                next.over = true;
            }
            ("settle", Life::Settled)
        }
        Life::Settled => {
            if without != Without::Bells {
                next.ring(POOL);
            }
            ("have the others look", Life::Buried)
        }
        Life::Buried => {
            let bells = if state.link_rang { LINK } else { 0 };
            let [born, _] = State::first(false, 0, 0).loops;
            next.loops[index] = Loop { number: one.number + 2, bells, ..born };
            ("start anew", Life::Alive)
        }
    };
    next.loops[index].life = life;
    out.push((name, next));
}

fn steps(state: &State, without: Without) -> Steps<State> {
    let mut out = Found::new();
    client_steps(state, &mut out);
    for index in 0..state.loops.len() {
        if state.loops[index].life == Life::Alive {
            loop_steps(state, index, without, &mut out);
        }
        supervisor_steps(state, index, without, &mut out);
    }
    Ok(out)
}

fn explore(first: State, without: Without) -> Result<usize, String> {
    search(first, |state| steps(state, without), |state| state.over && state.client == Client::Posts)
}

/// Without this rule a request is not seen, with so many deaths.
fn strands(without: Without, is_polled: bool, kills: u8) {
    let found = explore(State::first(is_polled, kills, 0), without).unwrap_err();
    println!("{found}");
    assert!(found.ends_with("somebody waits for ever"), "{found}");
}

#[test]
fn whoever_dies_somebody_looks() {
    for (is_polled, kills, hold_ups) in [(false, 2, 0), (true, 2, 0), (false, 1, 1), (true, 1, 1)] {
        let states = explore(State::first(is_polled, kills, hold_ups), Without::Nothing).unwrap();
        println!("polled: {is_polled}, {kills} deaths, {hold_ups} held up: {states} states");
        assert!(states > 1000, "the explorer explores nothing: {states} states");
    }
}

#[test]
fn no_second_look_after_leaving() {
    strands(Without::SecondLook, true, 0);
}

#[test]
fn nobody_is_told_to_look_after_a_death() {
    strands(Without::Bells, true, 1);
}

/// All loops die over a link that never rang.
#[test]
fn a_request_before_the_dead_is_not_rung_for() {
    strands(Without::LinkBell, true, 2);
}

#[test]
fn a_dead_loop_that_still_polls() {
    strands(Without::Leaving, true, 1);
}
