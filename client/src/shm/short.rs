//! The short way of a blocking call: a thread that keeps a slot sends a short byte string and gets one, and nothing
//! else is wanted of the call.
//!
//! Between a reply and the next request stands nothing but the caller's own code, so that each instruction there counts
//! (decision 0074). What is in the way, a call that takes longer, an error, a reply of another kind, goes on in the
//! usual way from where it is.

mod started;

use std::ops::Deref;

use speedysvc_protocol::byte_string;
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::shm::layout::{INLINE, INLINE_WORDS, RequestHead, SLOT_BUFFER};
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
pub(crate) enum Short<'a> {
    /// It was answered.
    Answered(Vec<u8>),
    /// It is under way, or has an answer of another kind.
    Posted(Posted<'a>),
    /// It has not begun.
    NotMade,
}

/// A call that ends by [`ShmConnection::finish_posted`].
pub(crate) struct Posted<'a>(Lease<&'a ShmConnection>);

impl ShmConnection {
    /// Makes one call with a byte string whose result is another.
    #[inline]
    pub(crate) fn call_short(&self, method: MethodIndex, bytes: &[u8], times: (u64, Deadline)) -> Short<'_> {
        if !self.looking.is_worth_while() {
            return Short::NotMade;
        }
        self.begin_short(method, bytes, times).map_or(Short::NotMade, |lease| self.end_short(lease))
    }

    /// Posts the request, if it is one of those that go this way.
    #[inline]
    fn begin_short(
        &self,
        method: MethodIndex,
        bytes: &[u8],
        (begun_ns, deadline): (u64, Deadline),
    ) -> Option<Lease<&Self>> {
        let mut lease = self.lease_for_short(method, bytes.len(), begun_ns)?;
        self.post_short(&mut lease, method, bytes, deadline)?;
        lease.note_use(begun_ns);
        self.look_at_poller();
        Some(lease)
    }

    /// Looks for the reply, and reads it.
    #[inline]
    fn end_short<'a>(&'a self, mut lease: Lease<&'a Self>) -> Short<'a> {
        let caller = self.link.slot(lease.slot());
        let Some(head) = self.look_quickly(caller, lease.seq()) else { return Short::Posted(Posted(lease)) };
        lease.settle();
        match self.read_short(&lease, caller, head) {
            Some(bytes) => Short::Answered(bytes),
            None => Short::Posted(Posted(lease)),
        }
    }

    /// The slot of this thread, when the call is of those that go this way.
    #[inline]
    fn lease_for_short(&self, method: MethodIndex, len: usize, begun_ns: u64) -> Option<Lease<&Self>> {
        if !self.goes_short(method, byte_string::archived_len(len)) {
            return None;
        }
        Lease::take_kept(self).filter(|lease| lease.is_fresh(begun_ns))
    }

    /// Whether a slot's own buffer is enough for an archive of so many bytes, and for what comes back.
    #[inline]
    fn goes_short(&self, method: MethodIndex, len: usize) -> bool {
        len <= self.agreed.message_max
            && len as u64 <= SLOT_BUFFER
            && self.sizes.get(usize::from(method.0)).is_some_and(Sizes::are_short)
    }

    /// Archives the byte string where it is read, and publishes it.
    #[inline]
    fn post_short(
        &self,
        lease: &mut Lease<&Self>,
        method: MethodIndex,
        bytes: &[u8],
        deadline: Deadline,
    ) -> Option<()> {
        if let Some(archive) = byte_string::words(bytes) {
            return self.post_words(lease, method, archive, deadline);
        }
        let len = self.link.copy_in_byte_string(lease.grant(), bytes);
        let post = self.short_post(lease, method, len, deadline)?;
        self.link.slot(lease.slot()).post(lease.next_seq().ok()?, &post);
        Some(())
    }

    /// Publishes an archive of so many bytes, which are in these words.
    #[inline]
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

    /// The reply, if it is a short byte string.
    #[inline]
    fn read_short(&self, lease: &Lease<&Self>, caller: Caller<'_>, head: ReplyHead) -> Option<Vec<u8>> {
        let len = head.len as usize;
        if head.status != Status::Ok || u64::from(head.len) > SLOT_BUFFER {
            return None;
        }
        if len <= INLINE { caller.inline_byte_string(len) } else { self.link.byte_string(lease.grant(), len) }
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
    /// The first half of a call in the short way, to be answered before [`answered_short`](Self::answered_short).
    pub(super) fn posted_short(&self, bytes: &[u8], times: (u64, Deadline)) -> Option<Posted<'_>> {
        self.begin_short(MethodIndex(0), bytes, times).map(Posted)
    }

    pub(super) fn answered_short<'a>(&'a self, Posted(lease): Posted<'a>) -> Short<'a> {
        self.end_short(lease)
    }
}
