//! Large requests, archived straight into the buffer from which the worker reads them.

use std::sync::Arc;

use speedysvc_protocol::archive::Sink;
use speedysvc_protocol::ids::MethodIndex;
use speedysvc_protocol::shm::layout::INLINE;
use speedysvc_protocol::status::Failure;

use super::lease::Lease;
use super::{ShmConnection, wire_len};
use crate::call::{Answer, Ask, Stop};
use crate::reply::Reply;

/// Writes a call's arguments as an archive.
pub(crate) type Write<'a> = dyn Fn(&mut dyn Sink) -> Result<(), Failure> + 'a;

impl ShmConnection {
    /// Whether this method's requests are mostly so large that [`call_written`](Self::call_written) saves a copy that
    /// costs more than beginning anew with one that is too large after all.
    #[inline]
    pub(crate) fn is_large(&self, method: MethodIndex) -> bool {
        self.sizes.get(usize::from(method.0)).is_some_and(|sizes| sizes.requests.largest() > 0)
    }

    /// Makes one call with the arguments that `write` writes; the `body` of `ask` is not used. `None` when they do not
    /// fit where the last ones did, or are no large ones: then nothing has happened.
    pub(crate) fn call_written(
        self: &Arc<Self>,
        ask: &Ask<'_>,
        write: &Write<'_>,
        reply: &mut Reply,
    ) -> Option<Result<Answer, Stop>> {
        let sizes = self.sizes.get(usize::from(ask.method.0))?;
        let expected = usize::try_from(sizes.requests.largest()).ok()?;
        let mut lease = match Lease::take(self, sizes.buffer(expected), ask) {
            Ok(lease) => lease,
            Err(stop) => return Some(Err(stop)),
        };
        let mut window = self.link.window(lease.grant(), self.agreed.message_max);
        write(&mut window).ok()?;
        let len = window.written();
        if len <= INLINE {
            return None;
        }
        let caller = self.link.slot(lease.slot());
        if let Err(stop) = self.publish(&mut lease, caller, ask, wire_len(len), &[]) {
            return Some(Err(stop));
        }
        self.look_at_poller();
        lease.note_use(ask.begun_ns);
        Some(self.await_reply(lease, caller, ask, sizes, reply))
    }
}
