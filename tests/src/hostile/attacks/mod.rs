//! The verbs of the program `hostile`. Each says `began` when it is under way, what came of it, and `done`; those
//! that wait to be killed say `ready`.

mod bells;
mod bytes;
mod controls;
mod dying;
mod large;
mod memory;
mod slots;
mod sockets;
mod words;

use std::io;

use clap::ValueEnum;

use super::ground::Ground;

/// A call that is as cheap as any, and its arguments.
const HI: (&str, &str) = ("echo", "\"hi\"");

/// An attack. The rows are those of `docs/faults.md`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Attack {
    /// B1: changes requests while they are read.
    Scribble,
    /// B2: sends every head word.
    Heads,
    /// B2: breaks each rule about words once, each on a link of its own.
    Lies,
    /// B3, B4: tries to write, resize or reopen what is not its own.
    Seize,
    /// B5: drops the pages under its own requests.
    Punch,
    /// B18: changes every byte of large requests while they are read.
    Large,
    /// B18: changes the texts in large requests while they are read.
    LargeTexts,
    /// B18: drops the pages under large requests while they are read.
    LargePunch,
    /// B18: buffers and lengths of large requests that cannot be.
    LargeGrants,
    /// B6: attaches with too little memory of its own.
    Poor,
    /// B7: connects and does not finish the greeting.
    Mute,
    /// B7, B12: connects more often than there is room for, and is silent.
    Silent,
    /// B8, B11: sends descriptors of every kind, by the thousand.
    Descriptors,
    /// B9: fills, drains and blocks its own bell.
    Bells,
    /// B10: rings without end.
    Ring,
    /// B12: connects by the thousand.
    Connects,
    /// B12: attaches and leaves, without end.
    Attaches,
    /// B15: attaches, takes every slot and reads no reply.
    Hoard,
    /// B15: takes the room for replies that wait to be fetched.
    Unfetched,
    /// B16: keeps every slot of several links busy.
    Flood,
    /// B16: keeps one slot of each of many links busy.
    Many,
    /// B17: sends what would be huge if it were believed.
    Huge,
    /// Attaches and makes one call, as anybody would.
    Visit,
    /// A control: burns a share of a processor and touches nothing.
    Spin,
    /// A control: the calls of `bells`, rung as anybody would.
    LongCalls,
    /// A control: the calls of `scribble`, and as many changes to memory that nobody reads.
    TextCalls,
    /// A control: keeps every slot of one link busy.
    AllSlots,
    /// A control: keeps one slot busy, with a page of numbers.
    OneSlot,
    /// A control: rings as `ring` does, where nobody hears it.
    OwnBells,
    /// A1: stops after the first stores of a request, and waits to be killed.
    Stall,
    /// A2: sleeps for a reply, and waits to be killed.
    Asleep,
    /// A3: fills all slots, and waits to be killed.
    Fill,
    /// A4, B14: leaves its link to a child, and waits to be killed.
    Bequeath,
    /// The child: calls on a link that is not its own, and holds it until that is hung up.
    Inherit,
}

impl Attack {
    /// Carries the attack out.
    ///
    /// # Errors
    /// What an attacker does not expect: the attack did not take place.
    pub fn run(self, ground: &Ground) -> io::Result<()> {
        match self {
            Self::Scribble => bytes::scribble(ground, bytes::Where::Requests),
            Self::TextCalls => bytes::scribble(ground, bytes::Where::Elsewhere),
            Self::Punch => bytes::punch(ground),
            Self::Huge => bytes::huge(ground),
            Self::Heads => words::heads(ground),
            Self::Lies => words::lies(ground),
            Self::Seize => memory::seize(ground),
            Self::Large => large::scribble(ground, large::What::All),
            Self::LargeTexts => large::scribble(ground, large::What::Texts),
            Self::LargePunch => large::punch(ground),
            Self::LargeGrants => large::grants(ground),
            Self::Mute => sockets::mute(ground),
            Self::Silent => sockets::silent(ground),
            Self::Descriptors => sockets::descriptors(ground),
            Self::Connects => sockets::connects(ground),
            Self::Attaches => sockets::attaches(ground),
            Self::Bells => bells::abuse(ground),
            Self::LongCalls => bells::call(ground),
            Self::Ring => bells::ring(ground),
            Self::OwnBells => bells::ring_own(ground),
            Self::Hoard => slots::hoard(ground),
            Self::Unfetched => slots::leave_unfetched(ground),
            Self::AllSlots => slots::flood(ground, 1, usize::MAX, HI),
            Self::OneSlot => slots::flood(ground, 1, 1, ("sum", &format!("[{}1]", "1,".repeat(2000)))),
            Self::Flood => slots::flood(ground, 4, usize::MAX, HI),
            // A loop looks at 64 links at most.
            Self::Many => slots::flood(ground, 80, 1, HI),
            Self::Poor => slots::poor(ground),
            Self::Visit => slots::visit(ground),
            Self::Spin => controls::spin(ground),
            Self::Stall => dying::stall(ground),
            Self::Asleep => dying::asleep(ground),
            Self::Fill => dying::fill(ground),
            Self::Bequeath => dying::bequeath(ground),
            Self::Inherit => dying::inherit(ground),
        }
    }
}
