//! Calls that go the short way, and where they leave it.

use speedysvc_protocol::archive::Arguments;
use speedysvc_protocol::context;
use speedysvc_protocol::ids::{Codec, MethodIndex};

use super::{Channel, not_sent};
use crate::call::{Answer, Ask};
use crate::clock;
use crate::error::Error;
use crate::reply::Reply;
use crate::scratch;
use crate::shm::{Posted, ShmConnection, Short, ShortFlight, Times};

/// A call that was begun in the short way, and has not been answered yet, or otherwise than usual.
pub(super) struct Begun<'a> {
    posted: Posted<'a>,
    first: &'a ShmConnection,
    method: MethodIndex,
    times: Times,
}

impl Channel {
    /// Makes a call with a byte string whose result is another in as few steps as there can be. `None` when it has not
    /// begun, and an error when it is to be finished by [`finish_short`](Self::finish_short).
    #[inline]
    pub(super) fn call_short(&self, method: MethodIndex, bytes: &[u8]) -> Option<Result<Vec<u8>, Begun<'_>>> {
        let (first, times) = (self.line.first()?, self.short_times()?);
        match first.call_short(method, bytes, times) {
            Short::Answered(bytes) => Some(Ok(bytes)),
            Short::Posted(posted) => Some(Err(Begun { posted, first, method, times })),
            Short::NotMade => None,
        }
    }

    /// When a call begins that is made now, and its deadline. `None` when there is more to its terms, as inside a
    /// handler.
    #[inline(always)]
    fn short_times(&self) -> Option<Times> {
        if self.trace.is_some() || context::is_serving() {
            return None;
        }
        let times = clock::begin(self.timeout_ns.unwrap_or_else(|| self.line.default_deadline_ns()));
        Some(times).filter(|(begun_ns, deadline)| deadline.ns() > *begun_ns)
    }

    /// Starts a call with a byte string in as few steps as there can be. `None` when nothing has happened.
    #[inline]
    pub(crate) fn begin_short(&self, method: MethodIndex, bytes: &[u8]) -> Option<ShortFlight> {
        ShortFlight::start(&self.line, method, bytes, self.short_times()?)
    }

    /// Finishes such a call, and makes it again where any other would be.
    #[cold]
    pub(super) fn finish_short<W: Arguments, X: From<Error>>(
        &self,
        begun: Begun<'_>,
        arguments: &W,
        read: impl FnOnce(Answer, &mut Reply) -> Result<Vec<u8>, X>,
    ) -> Result<Vec<u8>, X> {
        let Begun { posted, first, method, times: (begun_ns, deadline) } = begun;
        scratch::with(|scratch| {
            scratch.reply.wants_bytes = true;
            let ask = Ask { method, codec: W::CODEC, body: &[], begun_ns, deadline, trace: None };
            let answer = match first.finish_posted(posted, &ask, &mut scratch.reply) {
                Ok(answer) => answer,
                Err(stop) => {
                    scratch.request.set_limit(self.line.message_max());
                    arguments.write(&mut scratch.request).map_err(not_sent)?;
                    let ask = Ask { body: scratch.request.as_slice(), ..ask };
                    self.line.exchange_again(&ask, stop, &mut scratch.reply)?
                }
            };
            read(answer, &mut scratch.reply)
        })
    }

    /// Makes a call with arguments that have been archived in few steps. `None` when it has not begun, and an error
    /// when it is to be finished by [`finish_archived`](Self::finish_archived).
    #[inline]
    pub(super) fn exchange_short(
        &self,
        ask: &Ask<'_>,
        reply: &mut Reply,
    ) -> Option<Result<(), (Posted<'_>, &ShmConnection)>> {
        let is_plain = ask.trace.is_none() && ask.codec == Codec::Rkyv && ask.deadline.ns() > ask.begun_ns;
        let first = self.line.first().filter(|_| is_plain)?;
        match first.call_archived(ask, reply) {
            Short::Answered(()) => Some(Ok(())),
            Short::Posted(posted) => Some(Err((posted, first))),
            Short::NotMade => None,
        }
    }

    #[cold]
    pub(super) fn finish_archived(
        &self,
        posted: Posted<'_>,
        first: &ShmConnection,
        ask: &Ask<'_>,
        reply: &mut Reply,
    ) -> Result<Answer, Error> {
        first.finish_posted(posted, ask, reply).or_else(|stop| self.line.exchange_again(ask, stop, reply))
    }
}
