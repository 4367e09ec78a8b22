//! How many calls may be beside the loop, and how many of one caller: as many as are still free. So one caller alone
//! gets half and the next half of the rest, and callers that stay come to equal parts (Choudhury and Hahne, "Dynamic
//! queue length thresholds for shared-memory packet switches", 1998).

use std::collections::HashMap;

use speedysvc_protocol::ids::LinkId;
use speedysvc_protocol::status::RetryAfter;

use super::ReplyTo;
use crate::drain::Drain;
use crate::driver::Tag;

/// Who asks: a link or a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Caller {
    Link(LinkId),
    Socket(Tag),
}

impl Caller {
    pub(crate) fn of(to: &ReplyTo) -> Self {
        match to {
            ReplyTo::Slot { link, .. } => Self::Link(*link),
            ReplyTo::Frame { tag, .. } | ReplyTo::Http { tag } => Self::Socket(*tag),
        }
    }
}

/// Why there is no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Full {
    /// For anybody.
    All,
    /// For this caller, as others may come.
    Yours,
}

#[derive(Debug)]
pub(super) struct Room {
    limit: usize,
    taken: usize,
    by_caller: HashMap<Caller, usize>,
    drain: Drain,
}

impl Room {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, taken: 0, by_caller: HashMap::new(), drain: Drain::default() }
    }

    /// Whether there is room for one more of this caller.
    pub(super) fn admit(&self, caller: Caller) -> Result<(), Full> {
        let free = self.limit.saturating_sub(self.taken);
        if free == 0 {
            return Err(Full::All);
        }
        match self.by_caller.get(&caller) {
            Some(own) if *own >= free => Err(Full::Yours),
            _ => Ok(()),
        }
    }

    /// When it is worth while to ask again.
    pub(super) fn retry_after(&self, now_ns: u64) -> RetryAfter {
        self.drain.retry_after(self.taken, now_ns)
    }

    /// A call comes in. What `admit` said is not asked again.
    pub(super) fn enter(&mut self, caller: Caller, now_ns: u64) {
        if self.taken == 0 {
            self.drain.begins(now_ns);
        }
        self.taken += 1;
        *self.by_caller.entry(caller).or_default() += 1;
    }

    /// A call has ended then.
    pub(super) fn leave(&mut self, caller: Caller, ended_ns: u64) {
        self.taken -= 1;
        self.drain.ended(ended_ns);
        if let Some(own) = self.by_caller.get_mut(&caller) {
            *own -= 1;
            if *own == 0 {
                self.by_caller.remove(&caller);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn caller(number: u64) -> Caller {
        if number.is_multiple_of(2) { Caller::Link(LinkId(number)) } else { Caller::Socket(Tag(number)) }
    }

    /// Fills the room as far as this caller may.
    fn fill(room: &mut Room, number: u64) -> usize {
        let own = std::iter::from_fn(|| room.admit(caller(number)).ok().map(|()| room.enter(caller(number), 0)));
        own.count()
    }

    #[test]
    fn one_caller_gets_half_and_the_next_half_of_the_rest() {
        let mut room = Room::new(120);
        assert_eq!([0, 1, 2].map(|number| fill(&mut room, number)), [60, 30, 15]);
        assert_eq!(room.admit(caller(0)), Err(Full::Yours));
        assert_eq!(room.admit(caller(3)), Ok(()));
        room.leave(caller(0), 1);
        assert_eq!(room.admit(caller(0)), Err(Full::Yours), "it still has more than there is room for others");
        (0..59).for_each(|_| room.leave(caller(0), 1));
        assert_eq!(room.admit(caller(0)), Ok(()));
        assert_eq!(room.by_caller.len(), 2, "who has none takes no memory");
    }

    fn count(inside: &[u64], number: u64) -> usize {
        inside.iter().filter(|other| **other == number).count()
    }

    proptest! {
        /// Against the oracle that keeps a list of all calls.
        #[test]
        fn nobody_has_more_than_half_and_the_limit_holds(
            steps in prop::collection::vec((0..6_u64, any::<bool>()), 0..400)
        ) {
            const LIMIT: usize = 24;
            let (mut room, mut inside) = (Room::new(LIMIT), Vec::new());
            for (number, comes) in steps {
                let own = count(&inside, number);
                if !comes {
                    if let Some(place) = inside.iter().position(|other| *other == number) {
                        inside.remove(place);
                        room.leave(caller(number), 0);
                    }
                } else {
                    let free = LIMIT - inside.len();
                    prop_assert_eq!(room.admit(caller(number)).is_ok(), free > own);
                    if free > own {
                        inside.push(number);
                        room.enter(caller(number), 0);
                    }
                }
                prop_assert_eq!(room.taken(), inside.len());
                prop_assert!(inside.len() <= LIMIT && (0..6).all(|who| count(&inside, who) <= LIMIT / 2));
                prop_assert_eq!(room.admit(caller(99)).is_ok(), inside.len() < LIMIT, "who has none needs one place");
            }
        }
    }
}
