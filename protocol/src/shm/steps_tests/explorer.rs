//! Every order of the real steps on one slot, breadth first: a client with its calls, which sleeps for replies and may
//! be killed between any two steps and any two stores of a request; two loops that may be killed between any two steps
//! or in the middle of publishing; a supervisor; and a hostile hand in the request words.
//!
//! A step is a whole function here, but for the client's publishing; loom takes the functions apart (`loom_tests`).
//! What loom cannot do is many calls, deaths and hostile values at once.

use super::moves::{client_steps, hostile_steps, loop_step, supervisor_steps};
use super::search::search;
use super::seeded::{self, Without};
use super::state::{Life, State, Steps};

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
    search(first, |state| steps(state, without), State::finished)
}

#[test]
fn honest_calls_survive_every_death() {
    let states = explore(State::first(2, 0), Without::Nothing).unwrap();
    println!("honest client, 2 deaths: {states} states");
    assert!(states > 1000, "the explorer explores nothing: {states} states");
}

/// What a client leaves behind, wherever it ends, is run once or not at all, and no loop hangs over it.
#[test]
fn loops_survive_the_death_of_their_client() {
    let states = explore(State::first(2, 0).with_a_mortal_client(), Without::Nothing).unwrap();
    println!("mortal client, 2 deaths of loops: {states} states");
}

#[test]
fn hostile_words_harm_only_their_writer() {
    let states = explore(State::first(1, 2), Without::Nothing).unwrap();
    println!("hostile client, 1 death: {states} states");
}
