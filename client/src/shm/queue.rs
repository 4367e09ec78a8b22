//! Standing in line: who waits for something that others must give back first gets it in the order of coming.
//!
//! Only the first in line looks for it, and is woken when something was given back. Whoever leaves the first place,
//! with what was wanted or without, wakes the next. Threads and tasks stand in the same line: a waker wakes either.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

/// A place in the line. It must be given up with [`Queue::leave`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ticket(u64);

#[derive(Default)]
pub(super) struct Queue {
    next: u64,
    waiting: VecDeque<(Ticket, Waker)>,
}

impl Queue {
    /// Stands at the end of the line, or stays where one stands, with this waker from now on. Returns the waker that it
    /// replaces.
    pub(super) fn stand(&mut self, ticket: &mut Option<Ticket>, waker: &Waker) -> Option<Waker> {
        let place = ticket.and_then(|ticket| self.waiting.iter_mut().find(|(other, _)| *other == ticket));
        if let Some((_, old)) = place {
            return Some(std::mem::replace(old, waker.clone()));
        }
        let new = Ticket(self.next);
        self.next += 1;
        self.waiting.push_back((new, waker.clone()));
        *ticket = Some(new);
        None
    }

    pub(super) fn is_first(&self, ticket: Option<Ticket>) -> bool {
        self.waiting.front().map(|(first, _)| *first) == ticket
    }

    /// Leaves the line.
    #[must_use]
    pub(super) fn leave(&mut self, ticket: &mut Option<Ticket>) -> Left {
        let place = ticket.take().and_then(|left| self.waiting.iter().position(|(other, _)| *other == left));
        let own = place.and_then(|place| self.waiting.remove(place)).map(|(_, own)| own);
        Left { next: if place == Some(0) { self.first() } else { None }, _own: own }
    }

    /// Who must be woken when something was given back.
    #[must_use]
    pub(super) fn first(&self) -> Option<Waker> {
        self.waiting.front().map(|(_, waker)| waker.clone())
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// What is to be done once no lock is held: with its last waker a task may be dropped, and with that another call.
pub(super) struct Left {
    /// Who must be woken: the next, when the first has left.
    pub(super) next: Option<Waker>,
    _own: Option<Waker>,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Wakes this thread out of [`thread::park`].
pub(super) fn this_thread() -> Waker {
    Arc::new(Unpark(thread::current())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_served_in_the_order_of_coming() {
        let mut queue = Queue::default();
        let waker = this_thread();
        let mut tickets = [None; 3];
        for ticket in &mut tickets {
            assert!(queue.stand(ticket, &waker).is_none());
        }
        let [mut first, mut second, mut third] = tickets;
        assert!(queue.stand(&mut first, &waker).is_some());
        assert!(queue.is_first(first) && queue.len() == 3, "standing twice is standing once");
        assert!(queue.leave(&mut second).next.is_none(), "nobody came to the front");
        assert!(!queue.is_first(third));
        assert!(queue.leave(&mut first).next.is_some_and(|next| next.will_wake(&waker)));
        assert!(queue.is_first(third));
        assert!(queue.leave(&mut third).next.is_none() && queue.leave(&mut third).next.is_none());
        assert!(queue.first().is_none());
    }
}
