//! The same for a call that is started now and waited for later.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use speedysvc_protocol::byte_string;
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::shm::layout::{INLINE, INLINE_WORDS};
use speedysvc_protocol::status::Status;

use super::place::Place;
use crate::call::{Ask, Request};
use crate::clock::Deadline;
use crate::line::Line;
use crate::shm::flight::{Flight, Owned};
use crate::shm::home::Home;
use crate::shm::lease::Lease;
use crate::shm::slots::KEPT_WORDS;
use crate::shm::{ShmConnection, Times, own, upcoming};

/// A call with a byte string that fits into its line, on its channel's first link. Dropping it gives it up.
///
/// It is moved about by its caller, right after it was made, and has two words, which can be moved in registers: what
/// was written word by word and is copied in larger pieces must be waited for, and so must the request's line, which
/// was written before. What is needed only if it does not go on as most do is kept with its slot.
pub(crate) struct ShortFlight {
    /// Keeps the link. `None` when the call is over.
    line: Option<Arc<Line>>,
    place: Place,
}

/// The beginnings of a started call, for another attempt.
struct Beginnings {
    begun_ns: u64,
    deadline: Deadline,
    method: MethodIndex,
    archive: ([u64; INLINE_WORDS], usize),
}

impl Beginnings {
    #[inline]
    fn into_words(self) -> [u64; KEPT_WORDS] {
        let ([a, b, c, d, e], len) = self.archive;
        let what = u64::from(self.method.0) | (len as u64) << 16;
        [self.begun_ns, self.deadline.ns(), what, a, b, c, d, e]
    }

    #[expect(clippy::cast_possible_truncation, reason = "the word is split into its fields")]
    fn of_words([begun_ns, deadline_ns, what, words @ ..]: [u64; KEPT_WORDS]) -> Self {
        let (method, len) = (MethodIndex(what as u16), (what >> 16) as usize);
        Self { begun_ns, deadline: Deadline::at_ns(deadline_ns), method, archive: (words, len) }
    }
}

impl ShortFlight {
    /// Publishes a call that goes this way. `None` when it is to be started in the usual way: then nothing has
    /// happened. The caller sees to it that the link's [`look_if_owed`](crate::shm::ShmConnection::look_if_owed) is
    /// called.
    #[inline]
    pub(crate) fn start(line: &Arc<Line>, method: MethodIndex, bytes: &[u8], times: Times) -> Option<Self> {
        let link = line.first()?;
        // Before the request: a locked instruction behind that would wait for its line.
        let kept = Arc::clone(line);
        let place = link.post_started(method, bytes, times)?;
        Some(Self { line: Some(kept), place })
    }

    /// The result, if it is there and is a byte string that fits into its line. Then the call is over.
    // Part of its caller, so that the vector's words are made where they stay: copied in one piece soon after they were
    // written one by one, they would have to be waited for.
    #[inline(always)]
    pub(crate) fn answered(&mut self) -> Option<Vec<u8>> {
        let (link, slot, seq) = (self.line.as_ref()?.first_link()?, self.place.slot(), self.place.seq());
        let caller = link.link.slot(slot);
        let head = caller.poll(seq)?;
        if head.status != Status::Ok || head.len as usize > INLINE {
            return None;
        }
        link.expect_next(caller, slot);
        let bytes = caller.inline_byte_string(head.len as usize)?;
        link.give_back_own(slot, seq);
        self.line = None;
        Some(bytes)
    }

    /// The same call as one that was started in the usual way.
    ///
    /// # Panics
    /// When it is over.
    pub(crate) fn into_parts(mut self) -> (Request, Flight) {
        let lease = self.take_lease().expect("a call that is over is not waited for");
        let kept = lease.home().slots.kept_words(lease.slot());
        let Beginnings { begun_ns, deadline, method, archive: (words, len) } = Beginnings::of_words(kept);
        let bytes = words.map(u64::to_le_bytes);
        let body = &bytes.as_flattened()[..len];
        let request = Request::new(&Ask { method, codec: Codec::Rkyv, body, begun_ns, deadline, trace: None });
        (request, Flight::out(method, deadline, lease))
    }

    fn take_lease(&mut self) -> Option<Owned> {
        Some(Lease::posted(Home::First(self.line.take()?), self.place.slot(), self.place.seq()))
    }
}

impl ShmConnection {
    /// Publishes a call.
    // Apart, so that what starts it is short enough to be a part of its caller: the call is then made where it stays.
    #[inline(never)]
    fn post_started(self: &Arc<Self>, method: MethodIndex, bytes: &[u8], (begun_ns, deadline): Times) -> Option<Place> {
        let archive = byte_string::words(bytes).filter(|(_, len)| self.goes_short(method, *len))?;
        let slot = own::take(self).or_else(|| self.slots.take())?;
        let mut lease = Lease::of_fresh(self, slot, begun_ns)?;
        self.post_words(&mut lease, method, archive, deadline)?;
        self.slots.keep_words(slot, Beginnings { begun_ns, deadline, method, archive }.into_words());
        self.slots.use_at(slot, begun_ns);
        self.slots.note_place(slot, upcoming::add(&**self, self.link.slot(slot).expected()));
        // PAIR posted-or-looked: the request is out before the look is owed.
        self.owes_look.0.store(true, Ordering::Release);
        Some(Place::new(slot, lease.leave_posted()))
    }
}

impl Drop for ShortFlight {
    #[inline]
    fn drop(&mut self) {
        if self.line.is_some() {
            // Given up.
            drop(self.take_lease());
        }
    }
}
