//! The same for a call that is started now and waited for later.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use speedysvc_protocol::byte_string;
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::shm::layout::{INLINE, INLINE_WORDS};
use speedysvc_protocol::shm::seq::Seq;
use speedysvc_protocol::status::Status;

use crate::call::{Ask, Request};
use crate::clock::Deadline;
use crate::line::Line;
use crate::shm::flight::{Flight, Owned};
use crate::shm::home::Home;
use crate::shm::lease::Lease;
use crate::shm::own;

/// A call with a byte string that fits into its line, on its channel's first link. Dropping it gives it up.
///
/// It is moved about by its caller, and so holds no more than it must.
pub(crate) struct ShortFlight {
    /// Keeps the link. `None` when the call is over.
    line: Option<Arc<Line>>,
    seq: Seq,
    begun_ns: u64,
    deadline: Deadline,
    /// The arguments, for another attempt.
    words: [u64; INLINE_WORDS],
    what: What,
}

/// The slot, the method and the length of the arguments. In one word: it is moved right after it is made, and a
/// processor would wait for the pieces of a word.
#[derive(Clone, Copy)]
struct What(u64);

impl What {
    #[inline]
    fn new(slot: usize, method: MethodIndex, len: usize) -> Self {
        let slot = u32::try_from(slot).expect("a link has fewer slots");
        Self(u64::from(slot) | u64::from(method.0) << 32 | (len as u64) << 48)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the word is split into its fields")]
    fn slot(self) -> usize {
        self.0 as u32 as usize
    }

    #[expect(clippy::cast_possible_truncation, reason = "the word is split into its fields")]
    fn method(self) -> MethodIndex {
        MethodIndex((self.0 >> 32) as u16)
    }

    fn len(self) -> usize {
        (self.0 >> 48) as usize
    }
}

impl ShortFlight {
    /// Publishes a call that goes this way. `None` when it is to be started in the usual way: then nothing has
    /// happened. The caller sees to it that the link's [`look_if_owed`](crate::shm::ShmConnection::look_if_owed) is
    /// called.
    #[inline]
    pub(crate) fn start(
        line: &Arc<Line>,
        method: MethodIndex,
        bytes: &[u8],
        (begun_ns, deadline): (u64, Deadline),
    ) -> Option<Self> {
        let link = line.first()?;
        let (words, len) = byte_string::words(bytes).filter(|(_, len)| link.goes_short(method, *len))?;
        let slot = own::take(link).or_else(|| link.slots.take())?;
        let mut lease = Lease::of(&**link, slot);
        if !lease.is_fresh(begun_ns) {
            return None;
        }
        // Before the request: a locked instruction behind that would wait for its line.
        let kept = Arc::clone(line);
        link.post_words(&mut lease, method, (words, len), deadline)?;
        lease.note_use(begun_ns);
        // PAIR posted-or-looked: the request is out before the look is owed.
        link.owes_look.0.store(true, Ordering::Release);
        let (line, seq, what) = (Some(kept), lease.leave_posted(), What::new(slot, method, len));
        Some(Self { line, seq, begun_ns, deadline, words, what })
    }

    /// The result, if it is there and is a byte string that fits into its line. Then the call is over.
    // Part of its caller, so that the vector's words are made where they stay: copied in one piece soon after they were
    // written one by one, they would have to be waited for.
    #[inline(always)]
    pub(crate) fn answered(&mut self) -> Option<Vec<u8>> {
        let (link, slot) = (self.line.as_ref()?.first_link()?, self.what.slot());
        let caller = link.link.slot(slot);
        let head = caller.poll(self.seq)?;
        if head.status != Status::Ok || head.len as usize > INLINE {
            return None;
        }
        link.expect_next(caller, slot);
        let bytes = caller.inline_byte_string(head.len as usize)?;
        link.give_back_own(slot, self.seq);
        self.line = None;
        Some(bytes)
    }

    /// The same call as one that was started in the usual way.
    ///
    /// # Panics
    /// When it is over.
    pub(crate) fn into_parts(mut self) -> (Request, Flight) {
        let lease = self.take_lease().expect("a call that is over is not waited for");
        let (method, begun_ns, deadline) = (self.what.method(), self.begun_ns, self.deadline);
        let bytes = self.words.map(u64::to_le_bytes);
        let body = &bytes.as_flattened()[..self.what.len()];
        let request = Request::new(&Ask { method, codec: Codec::Rkyv, body, begun_ns, deadline, trace: None });
        (request, Flight::out(method, deadline, lease))
    }

    fn take_lease(&mut self) -> Option<Owned> {
        Some(Lease::posted(Home::First(self.line.take()?), self.what.slot(), self.seq))
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
