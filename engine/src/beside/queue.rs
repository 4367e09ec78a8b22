//! A queue in which callers take turns: who asks much waits behind itself, not before others.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// What waits, by who waits.
#[derive(Debug)]
pub(super) struct FairQueue<K, T> {
    waiting: HashMap<K, VecDeque<T>>,
    /// Those with something that waits, each once.
    turns: VecDeque<K>,
    len: usize,
}

impl<K, T> Default for FairQueue<K, T> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), turns: VecDeque::new(), len: 0 }
    }
}

impl<K: Copy + Eq + Hash, T> FairQueue<K, T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, who: K, what: T) {
        let own = self.waiting.entry(who).or_default();
        if own.is_empty() {
            self.turns.push_back(who);
        }
        own.push_back(what);
        self.len += 1;
    }

    /// The first that waits of whose turn it is.
    pub(super) fn pop(&mut self) -> Option<T> {
        let who = self.turns.pop_front()?;
        let own = self.waiting.get_mut(&who)?;
        let what = own.pop_front()?;
        self.len -= 1;
        if own.is_empty() {
            self.waiting.remove(&who);
        } else {
            self.turns.push_back(who);
        }
        Some(what)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_asks_once_waits_for_one_round_and_not_for_who_asks_much() {
        let mut queue = FairQueue::default();
        (0..100).for_each(|nth| queue.push("many", nth));
        queue.push("one", 1_000);
        queue.push("two", 2_000);
        queue.push("two", 2_001);
        let order: Vec<i32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order[..6], [0, 1_000, 2_000, 1, 2_001, 2]);
        assert_eq!((order.len(), queue.len(), queue.waiting.len()), (103, 0, 0));
    }

    proptest! {
        /// Nothing is lost, each caller's own order stays, and between two turns of one caller nobody has two.
        #[test]
        fn turns_are_fair_and_complete(steps in prop::collection::vec(prop::option::weighted(0.6, 0..4_u8), 0..200)) {
            let (mut queue, mut pushed, mut popped) = (FairQueue::default(), Vec::new(), Vec::new());
            let mut since: HashMap<u8, HashMap<u8, u32>> = HashMap::new();
            for (nth, step) in steps.into_iter().enumerate() {
                if let Some(who) = step {
                    if !queue.waiting.contains_key(&who) {
                        since.insert(who, HashMap::new());
                    }
                    queue.push(who, (who, nth));
                    pushed.push((who, nth));
                } else if let Some((who, nth)) = queue.pop() {
                    popped.push((who, nth));
                    since.insert(who, HashMap::new());
                    for (other, seen) in since.iter_mut().filter(|(other, _)| queue.waiting.contains_key(other)) {
                        let turns = seen.entry(who).or_default();
                        *turns += u32::from(*other != who);
                        prop_assert!(*turns <= 2, "{} had {} turns while {} waited", who, turns, other);
                    }
                }
                prop_assert_eq!(queue.len(), pushed.len() - popped.len());
            }
            popped.extend(std::iter::from_fn(|| queue.pop()));
            for who in 0..4 {
                let is_own = |(other, _): &&(u8, usize)| *other == who;
                prop_assert!(pushed.iter().filter(is_own).eq(popped.iter().filter(is_own)));
            }
        }
    }
}
