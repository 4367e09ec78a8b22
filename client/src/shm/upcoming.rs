//! The calls that a thread has started on its links in turn, in that order. They are mostly waited for in the same
//! order, so while one reply is read that of a later call is sent for: its link's lines are nowhere near, and no
//! processor finds them by itself (decision 0078). All of it is hints: who waits in another order has no use of them.
//!
//! Calls in a row on one link are not among them, as its slots say what follows: nothing should be noted for each of
//! those, since what is written behind a request waits for the request's line.

use std::cell::Cell;
use std::ptr;

use speedysvc_protocol::shm::slot::Expected;

/// So many calls after the one that is read: that is what a line takes from the other side.
const AHEAD: u64 = 2;

/// So many of a thread's last starts are known.
const KNOWN: usize = 256;

/// The place of a call that was started behind another on the same link.
pub(super) const IN_A_ROW: u64 = 0;

struct Started {
    /// The link of the last call: compared, and never followed.
    last: Cell<*const ()>,
    /// The place of the last one that is known.
    place: Cell<u64>,
    replies: [Cell<Expected>; KNOWN],
}

thread_local! {
    static STARTED: Started = const { Started::new() };
}

/// This thread has started a call on this link, whose reply comes there. Its place in the order.
#[inline]
pub(super) fn add<L>(link: &L, reply: Expected) -> u64 {
    STARTED.with(|started| started.add(ptr::from_ref(link).cast(), reply))
}

/// The reply to the call in this place is being read.
#[inline]
pub(super) fn expect_after(place: u64) {
    STARTED.with(|started| started.after(place)).into_iter().for_each(Expected::expect);
}

impl Started {
    const fn new() -> Self {
        Self {
            last: Cell::new(ptr::null()),
            place: Cell::new(IN_A_ROW),
            replies: [const { Cell::new(Expected::NONE) }; KNOWN],
        }
    }

    #[inline]
    fn add(&self, link: *const (), reply: Expected) -> u64 {
        if self.last.get() == link {
            return IN_A_ROW;
        }
        let place = self.place.get().wrapping_add(1);
        self.last.set(link);
        self.place.set(place);
        self.replies[index(place)].set(reply);
        place
    }

    #[inline]
    fn after(&self, place: u64) -> Option<Expected> {
        let wanted = place.wrapping_add(AHEAD);
        let is_known = self.place.get().wrapping_sub(wanted) < KNOWN as u64;
        is_known.then(|| self.replies[index(wanted)].get())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it is below a number of 16 bits")]
fn index(place: u64) -> usize {
    (place % KNOWN as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use speedysvc_protocol::shm::layout::{ReplyLine, RequestLine};
    use speedysvc_protocol::shm::slot::{Caller, Slot};

    use super::*;

    fn comes_to(reply: &ReplyLine) -> Expected {
        Caller(Slot { request: &RequestLine::default(), reply, claim: &AtomicU64::new(0) }).expected()
    }

    #[test]
    fn while_one_reply_is_read_that_of_the_call_but_one_on_other_links_is_expected() {
        let (started, links) = (Started::new(), [0_u8; 3]);
        let lines: Vec<ReplyLine> = (0..3 * KNOWN).map(|_| ReplyLine::default()).collect();
        let (mut last, mut noted) = (None, Vec::new());
        for (call, line) in lines.iter().enumerate() {
            // 0 0 1 1 2 1 2 0 ...: some in a row, most by turns.
            let link = (call * call / 2) % links.len();
            let place = started.add(ptr::from_ref(&links[link]).cast(), comes_to(line));
            assert_eq!(place == IN_A_ROW, last == Some(link), "call {call}");
            last = Some(link);
            if place != IN_A_ROW {
                noted.push((place, comes_to(line)));
            }
        }
        assert!(noted.len() > KNOWN + 2, "{} of {}", noted.len(), lines.len());
        for (number, (place, _)) in noted.iter().enumerate() {
            let wanted = noted.get(number + 2).filter(|_| number + 2 + KNOWN >= noted.len());
            assert_eq!(started.after(*place), wanted.map(|(_, reply)| *reply), "{number} of {}", noted.len());
        }
    }

    #[test]
    fn a_place_of_another_thread_is_none_here() {
        let started = Started::new();
        let line = ReplyLine::default();
        let place = started.add(ptr::from_ref(&line).cast(), comes_to(&line));
        assert_eq!((started.after(place), started.after(place + 50)), (None, None));
    }
}
