//! Rules left out on purpose: the explorer must find each, or it proves nothing.

use super::explorer::explore;
use super::incarnation;
use super::state::{At, CLAIM, GRANT, Life, OWNER, REPLIED, State, Steps};
use crate::shm::seq::{ClaimWord, Seq};

/// A rule that is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Without {
    Nothing,
    WaitingForDeath,
    CancelAfterClaim,
    WaitingForTheReply,
    Verdict,
    LoadingOnce,
    FreshNumbers,
    OneClaim,
    ExactNumber,
    SecondLook,
    WakeForTheDead,
    Exchange,
}

/// What can happen only without a rule.
pub(super) fn steps(state: &State, index: usize, without: Without, out: &mut Steps) {
    let one = state.loops[index];
    if one.life != Life::Alive {
        return;
    }
    let resolves = match without {
        Without::WaitingForDeath => true,
        // A supervisor that was restarted buries once more whom it finds dead by number.
        Without::FreshNumbers => one.reborn,
        _ => false,
    };
    if resolves {
        let mut next = *state;
        next.on_lines(|lines| lines.taker().resolve(incarnation(one.number)));
        out.push(("resolve the living", next));
    }
    if without == Without::Exchange && one.at == At::Idle {
        let mut next = *state;
        next.loops[index].at = At::Prepares { owner: state.words[OWNER] };
        out.push(("prepare for the next", next));
    }
    let claim = ClaimWord::from_word(state.words[CLAIM]);
    let runs = claim.seq != Seq::NONE && claim.seq.word() != state.words[REPLIED];
    if without == Without::OneClaim && one.at == At::Idle && runs {
        let mut next = *state;
        next.words[CLAIM] = ClaimWord { owner: Some(incarnation(one.number)), ..claim }.word();
        next.loops[index].at = At::Claimed { seq: claim.seq.word(), cancelled: false, grant: state.words[GRANT] };
        out.push(("steal what another runs", next));
    }
}

/// Without this rule the explorer finds this, with so many deaths and hostile writes.
fn found(without: Without, kills: u8, hostile: u8, what: &str) {
    let found = explore(State::first(kills, hostile), without).unwrap_err();
    println!("{found}");
    assert!(found.ends_with(what), "expected `{what}`, found `{found}`");
}

#[test]
fn a_verdict_on_the_living() {
    found(Without::WaitingForDeath, 1, 0, "a call was answered twice");
}

#[test]
fn no_look_at_cancel_after_the_claim() {
    found(Without::CancelAfterClaim, 1, 0, "not started, and yet it ran");
}

#[test]
fn a_slot_that_is_freed_early() {
    found(Without::WaitingForTheReply, 1, 0, "a handler saw another call's bytes");
}

#[test]
fn no_verdict() {
    found(Without::Verdict, 1, 0, "somebody waits for ever");
}

#[test]
fn a_word_that_is_loaded_twice() {
    found(Without::LoadingOnce, 0, 1, "a buffer outside the arena was used");
}

#[test]
fn a_number_of_a_loop_that_is_used_again() {
    found(Without::FreshNumbers, 1, 0, "a call was answered twice");
}

#[test]
fn a_steal_while_the_home_runs() {
    found(Without::OneClaim, 0, 0, "a call was answered twice");
}

#[test]
fn a_reply_to_an_older_call() {
    found(Without::ExactNumber, 0, 0, "done, and yet it did not run");
}

#[test]
fn a_sleep_without_a_second_look() {
    found(Without::SecondLook, 0, 0, "somebody waits for ever");
}

/// Decision 0007.
#[test]
fn no_wake_for_who_was_answered_by_the_dead() {
    found(Without::WakeForTheDead, 1, 0, "somebody waits for ever");
}

/// Decision 0080.
#[test]
fn a_line_that_is_taken_back_without_an_exchange() {
    found(Without::Exchange, 0, 0, "a reply names another loop");
}
