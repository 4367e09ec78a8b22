//! The short way of a blocking call: of a thread that keeps a slot, with short arguments and a short result, and
//! nothing else is wanted of the call. Byte strings are archived where they are read, other arguments have been before.
//!
//! Between a reply and the next request stands nothing but the caller's own code, so that each instruction there counts
//! (decision 0074). What is in the way, a call that takes longer, an error, a reply of another kind, goes on in the
//! usual way from where it is.

mod place;
mod started;

use std::ops::Deref;

use speedysvc_protocol::byte_string;
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::shm::layout::{INLINE, INLINE_WORDS, RequestHead, SLOT_BUFFER};
use speedysvc_protocol::shm::looks;
use speedysvc_protocol::shm::slot::{Caller, Post, ReplyHead};
use speedysvc_protocol::status::Status;

use super::learned::Sizes;
use super::lease::Lease;
use super::{ShmConnection, wire_len};
use crate::call::{Answer, Ask, Stop};
use crate::clock::Deadline;
use crate::reply::Reply;

pub(crate) use started::ShortFlight;

/// What became of a call that was tried in the short way.
pub(crate) enum Short<'a, T> {
    /// It was answered, with a result.
    Answered(T),
    /// It is under way, or has an answer of another kind.
    Posted(Posted<'a>),
    /// It has not begun.
    NotMade,
}

/// A call that ends by [`ShmConnection::finish_posted`].
pub(crate) struct Posted<'a>(Lease<&'a ShmConnection>);

/// When a call begins, and its deadline.
pub(crate) type Times = (u64, Deadline);

// Each part is in each of the two ways that it belongs to: between them a lease would go by way of memory (10 ns).
impl ShmConnection {
    /// Makes one call with a byte string whose result is another.
    #[inline]
    pub(crate) fn call_short(&self, method: MethodIndex, bytes: &[u8], times: Times) -> Short<'_, Vec<u8>> {
        match self.begin_short(method, bytes, times) {
            Some(lease) => self.end_short(lease, method),
            None => Short::NotMade,
        }
    }

    /// Makes one call with arguments that have been archived. The archive of its result goes into `reply`.
    #[inline]
    pub(crate) fn call_archived(&self, ask: &Ask<'_>, reply: &mut Reply) -> Short<'_, ()> {
        match self.begin_archived(ask) {
            Some(lease) => self.end_archived(lease, ask.method, reply),
            None => Short::NotMade,
        }
    }

    /// Archives the byte string where it is read, and publishes the request, if it is one of those that go this way.
    #[inline(always)]
    fn begin_short(&self, method: MethodIndex, bytes: &[u8], times: Times) -> Option<Lease<&Self>> {
        let mut lease = self.lease_for_short(method, byte_string::archived_len(bytes.len()), times)?;
        if let Some(archive) = byte_string::words(bytes) {
            self.post_words(&mut lease, method, archive, times.1)?;
        } else {
            let len = self.link.copy_in_byte_string(lease.grant(), bytes);
            let post = self.short_post(&lease, method, len, times.1)?;
            self.link.slot(lease.slot()).post(lease.next_seq().ok()?, &post);
        }
        self.look_at_poller();
        lease.note_use(times.0);
        Some(lease)
    }

    /// The same with an archive.
    #[inline]
    fn begin_archived(&self, ask: &Ask<'_>) -> Option<Lease<&Self>> {
        let mut lease = self.lease_for_short(ask.method, ask.body.len(), (ask.begun_ns, ask.deadline))?;
        let caller = self.link.slot(lease.slot());
        self.post(&mut lease, caller, ask).ok()?;
        self.look_at_poller();
        lease.note_use(ask.begun_ns);
        Some(lease)
    }

    /// Looks for the reply, and takes the byte string out of it.
    #[inline(always)]
    fn end_short<'a>(&'a self, mut lease: Lease<&'a Self>, method: MethodIndex) -> Short<'a, Vec<u8>> {
        match self.find_short(&mut lease, method).and_then(|head| self.read_bytes(&lease, head)) {
            Some(bytes) => {
                lease.give_back_kept();
                Short::Answered(bytes)
            }
            None => Short::Posted(Posted(lease)),
        }
    }

    /// The same with an archive.
    #[inline]
    fn end_archived<'a>(&'a self, mut lease: Lease<&'a Self>, method: MethodIndex, reply: &mut Reply) -> Short<'a, ()> {
        let found = self.find_short(&mut lease, method);
        match found.and_then(|head| self.read(&lease, self.link.slot(lease.slot()), head, reply).ok()) {
            Some(_) => {
                lease.give_back_kept();
                Short::Answered(())
            }
            None => Short::Posted(Posted(lease)),
        }
    }

    /// Looks for a reply when it is due. What is not short stays where it is, to be read in the usual way.
    #[inline(always)]
    fn find_short(&self, lease: &mut Lease<&Self>, method: MethodIndex) -> Option<ReplyHead> {
        let caller = self.link.slot(lease.slot());
        let head = self.look_when_due(caller, lease, method)?;
        lease.settle();
        caller.prepare_another();
        Some(head).filter(|head| head.status == Status::Ok && u64::from(head.len) <= SLOT_BUFFER)
    }

    /// The reply, if it comes within about a microsecond. Until it is due its line is left to the worker.
    #[inline(always)]
    fn look_when_due(&self, caller: Caller<'_>, lease: &Lease<&Self>, method: MethodIndex) -> Option<ReplyHead> {
        let due = self.slots.due(lease.slot(), method);
        (0..due.looks()).for_each(|_| looks::one_at_a_time());
        let found = caller.poll(lease.seq());
        self.slots.note_due(lease.slot(), method, due.after(found.is_some()));
        if found.is_some() {
            self.looking.hit();
            return found;
        }
        self.look_quickly(caller, lease.seq())
    }

    /// The slot of this thread, when the call is of those that go this way.
    #[inline(always)]
    fn lease_for_short(&self, method: MethodIndex, len: usize, (begun_ns, _): Times) -> Option<Lease<&Self>> {
        if !self.looking.pays_off() || !self.goes_short(method, len) {
            return None;
        }
        Lease::take_kept(self, begun_ns)
    }

    /// Whether a slot's own buffer is enough for an archive of so many bytes, and for what comes back.
    #[inline]
    fn goes_short(&self, method: MethodIndex, len: usize) -> bool {
        len <= self.agreed.message_max
            && len as u64 <= SLOT_BUFFER
            && self.sizes.get(usize::from(method.0)).is_some_and(Sizes::are_short)
    }

    /// Publishes an archive of so many bytes, which are in these words.
    #[inline(always)]
    fn post_words<H: Deref<Target = Self>>(
        &self,
        lease: &mut Lease<H>,
        method: MethodIndex,
        (words, len): ([u64; INLINE_WORDS], usize),
        deadline: Deadline,
    ) -> Option<()> {
        let post = self.short_post(lease, method, len, deadline)?;
        self.link.slot(lease.slot()).post_words(lease.next_seq().ok()?, &post, words);
        Some(())
    }

    #[inline]
    fn short_post<H: Deref<Target = Self>>(
        &self,
        lease: &Lease<H>,
        method: MethodIndex,
        len: usize,
        deadline: Deadline,
    ) -> Option<Post<'static>> {
        let method = self.agreed.given(method).ok()?.index.0;
        let head = RequestHead { method, codec: Codec::Rkyv as u8, fetch: false, traced: false, len: wire_len(len) };
        Some(Post { head, deadline_ns: deadline.ns(), grant: lease.grant(), inline: &[] })
    }

    /// The reply, if it is a byte string.
    #[inline]
    fn read_bytes(&self, lease: &Lease<&Self>, head: ReplyHead) -> Option<Vec<u8>> {
        let len = head.len as usize;
        if len > INLINE {
            return self.link.byte_string(lease.grant(), len);
        }
        self.link.slot(lease.slot()).inline_byte_string(len)
    }

    /// Waits for the reply of a call that was posted in the short way, and reads it.
    #[cold]
    pub(crate) fn finish_posted(
        &self,
        Posted(lease): Posted<'_>,
        ask: &Ask<'_>,
        reply: &mut Reply,
    ) -> Result<Answer, Stop> {
        let caller = self.link.slot(lease.slot());
        self.await_reply(lease, caller, ask, self.sizes_of(ask)?, reply)
    }
}

#[cfg(test)]
impl ShmConnection {
    /// The first half of a call in the short way, to be answered before [`answered_short`](Self::answered_short). As if
    /// the machine had processors to spare, whatever other tests do.
    pub(super) fn posted_short(&self, bytes: &[u8], times: Times) -> Option<Posted<'_>> {
        self.looking.ignore_the_crowd();
        self.begin_short(MethodIndex(0), bytes, times).map(Posted)
    }

    /// Looks for the reply as who waits for it does before it sleeps. Whether that was in vain.
    pub(super) fn looked_in_vain(&self, Posted(lease): &Posted<'_>) -> bool {
        self.spin_on(self.link.slot(lease.slot()), lease.seq(), lease.grant()).is_none()
    }

    pub(super) fn answered_short<'a>(&'a self, Posted(lease): Posted<'a>) -> Short<'a, Vec<u8>> {
        self.end_short(lease, MethodIndex(0))
    }

    /// The same with an archive.
    pub(super) fn posted_archived(&self, ask: &Ask<'_>) -> Option<Posted<'_>> {
        self.looking.ignore_the_crowd();
        self.begin_archived(ask).map(Posted)
    }

    pub(super) fn answered_archived<'a>(&'a self, Posted(lease): Posted<'a>, reply: &mut Reply) -> Short<'a, ()> {
        self.end_archived(lease, MethodIndex(0), reply)
    }
}
