//! Every state that can be reached, breadth first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// What can happen next, each by its name; or which rule is broken here.
pub(super) type Steps<S> = Result<Vec<(&'static str, S)>, &'static str>;

/// How many states there are, or how to reach the first bad one: one in which a rule is broken, or from which nothing
/// leads to the end.
pub(super) fn search<S: Copy + Eq + Hash>(
    first: S,
    steps: impl Fn(&S) -> Steps<S>,
    is_end: impl Fn(&S) -> bool,
) -> Result<usize, String> {
    let mut number = HashMap::from([(first, 0)]);
    let mut states = vec![(first, 0, "")];
    let mut before: Vec<Vec<usize>> = vec![vec![]];
    let mut at = 0;
    while at < states.len() {
        let found = steps(&states[at].0).map_err(|what| trace(what, &states, at))?;
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
    let mut good: Vec<bool> = states.iter().map(|(state, ..)| is_end(state)).collect();
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

fn trace<S>(what: &str, states: &[(S, usize, &str)], mut at: usize) -> String {
    let mut way = vec![what];
    while at != 0 {
        way.push(states[at].2);
        at = states[at].1;
    }
    way.reverse();
    way.join(" > ")
}
