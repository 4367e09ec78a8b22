//! The steps on a slot, without loom: [`units`] one by one, [`explorer`] in every order with kills and hostile values,
//! [`seeded`] with rules left out, and [`polling`] those by which somebody looks.

mod explorer;
mod moves;
mod polling;
mod search;
mod seeded;
mod state;
mod units;

use std::num::NonZeroU16;
use std::sync::atomic::AtomicU64;

use super::claim::Taker;
use super::layout::{Grant, ReplyLine, RequestHead, RequestLine};
use super::seq::Seq;
use super::slot::{Caller, Post, Slot};
use crate::ids::Incarnation;

const PLAIN: RequestHead = RequestHead { method: 7, codec: 1, fetch: false, traced: false, len: 0 };

/// One slot's memory.
#[derive(Default)]
struct Lines {
    request: RequestLine,
    reply: ReplyLine,
    claim: AtomicU64,
}

impl Lines {
    fn slot(&self) -> Slot<'_> {
        Slot { request: &self.request, reply: &self.reply, claim: &self.claim }
    }

    fn caller(&self) -> Caller<'_> {
        Caller(self.slot())
    }

    fn taker(&self) -> Taker<'_> {
        Taker(self.slot())
    }

    fn post(&self, call: u64, head: RequestHead, inline: &[u8]) {
        let grant = Grant { offset: 64, capacity: 128 };
        self.caller().post(seq(call), &Post { head, deadline_ns: 5, grant, inline });
    }
}

fn incarnation(number: u16) -> Incarnation {
    Incarnation(NonZeroU16::new(number).unwrap())
}

fn seq(call: u64) -> Seq {
    Seq::from_word(call).unwrap()
}
