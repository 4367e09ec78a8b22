//! What the explorer knows of a moment: the words of one slot, and how far everybody is.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::Lines;
use crate::status::Outcome;

pub(super) const CALLS: usize = 2;
const WORDS: usize = 10;
/// Where a request's words lie in [`State::words`], in the order of their stores. The compiler may change that of all
/// but the last; but for the number, nobody looks at them.
pub(super) const STORES: [usize; 4] = [4, 2, 3, REQUESTED];
/// Where other words lie there.
pub(super) const REQUESTED: usize = 0;
pub(super) const GRANT: usize = 3;
pub(super) const PAYLOAD: usize = 4;
pub(super) const REPLIED: usize = 6;
pub(super) const OWNER: usize = 8;
pub(super) const CLAIM: usize = 9;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum At {
    Idle,
    Claimed {
        seq: u64,
        cancelled: bool,
        grant: u64,
    },
    Ran {
        seq: u64,
    },
    /// Its reply is out, and nobody was woken for it yet.
    Answered {
        seq: u64,
    },
    /// In the middle of taking the reply's line by a load and a store; the real step is one exchange, and changes
    /// nothing.
    Prepares {
        owner: u64,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Life {
    Alive,
    Dead,
    /// The supervisor has told its caller, and not woken it yet.
    Told,
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
pub(super) enum Client {
    /// So many words of the request are stored.
    Posts {
        call: u64,
        stored: usize,
    },
    Waits(u64),
    /// It has said that it sleeps, and seen this number in the reply line.
    Announced {
        call: u64,
        seen: u64,
    },
    Asleep(u64),
    GaveUp(u64),
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// seq, cancel, head, grant, first payload word, sleep; seq, head, owner; claim.
    pub(super) words: [u64; WORDS],
    pub(super) client: Client,
    pub(super) told: [Option<Outcome>; CALLS],
    pub(super) loops: [Loop; 2],
    /// The numbers of the calls that ran, 0 for none.
    pub(super) ran: [u64; CALLS + 2],
    pub(super) kills_left: u8,
    /// The client may be killed, too.
    pub(super) client_is_mortal: bool,
    pub(super) hostile_left: u8,
    /// The client stores its requests in one step, as a hostile hand stores halves of them anyway, and does not sleep:
    /// what it says of that is its own loss.
    pub(super) is_simple: bool,
    pub(super) honest: bool,
    pub(super) link_lost: bool,
}

fn words(lines: &Lines) -> [&AtomicU64; WORDS] {
    let (request, reply) = (&lines.request, &lines.reply);
    let (cancel, head, grant, inline) = (&request.cancel, &request.head, &request.grant, &request.inline[0]);
    let sleep = &request.sleep;
    [&request.seq, cancel, head, grant, inline, sleep, &reply.seq, &reply.head, &reply.owner, &lines.claim]
}

impl State {
    pub(super) fn first(kills_left: u8, hostile_left: u8) -> Self {
        let born = |number| Loop { number, life: Life::Alive, at: At::Idle, reborn: false };
        Self {
            words: [0; WORDS],
            client: Client::Posts { call: 1, stored: 0 },
            told: [None; CALLS],
            loops: [born(1), born(2)],
            ran: [0; CALLS + 2],
            kills_left,
            client_is_mortal: false,
            hostile_left,
            is_simple: hostile_left > 0,
            honest: true,
            link_lost: false,
        }
    }

    pub(super) fn with_a_mortal_client(self) -> Self {
        Self { client_is_mortal: true, ..self }
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

    pub(super) fn finished(&self) -> bool {
        let idle = self.loops.iter().all(|one| one.life == Life::Alive && one.at == At::Idle);
        // A client that lied may wait for ever; the loops must not, nor after a client's death.
        let told = !self.honest || self.client == Client::Dead || self.client == Self::next(CALLS as u64);
        self.link_lost || idle && told
    }

    /// Behind a call.
    pub(super) fn next(call: u64) -> Client {
        Client::Posts { call: call + 1, stored: 0 }
    }

    pub(super) fn tell(&mut self, call: u64, outcome: Outcome) -> Result<(), &'static str> {
        let told = (1..).zip(&mut self.told).find(|(number, _)| *number == call);
        *told.ok_or("no such call")?.1 = Some(outcome);
        self.client = Self::next(call);
        self.check()
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
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
