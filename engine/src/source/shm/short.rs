//! A request that is short in every way, from its claim to its reply: an archive of few bytes, for a method that runs
//! on the loop and takes no time. Most requests are. What is done before the reply is published, its client waits for:
//! so it is done here in one piece, and what only others need is left to [`serve`](super::serve) (decision 0069).

use speedysvc_protocol::byte_string;
use speedysvc_protocol::context::{self, CallName, Peer, Served};
use speedysvc_protocol::ids::MethodIndex;
use speedysvc_protocol::shm::claim::Request;
use speedysvc_protocol::shm::layout::{Grant, INLINE};
use speedysvc_protocol::shm::link::WorkerLink;
use speedysvc_protocol::stats::Counter;

use super::Links;
use super::serve::{At, wire_len};
use crate::dispatch::Runner;

/// Most bytes of arguments: copying more takes longer than what is saved here.
const SHORT_MAX: usize = 4096;

/// From this many bytes on the archive of a byte string is longer than what a slot's line holds: it is not made before
/// it is copied to where its client reads it.
const APART_FROM: usize = INLINE - byte_string::ROOT + 1;

/// What lies in a slot's line when the reply is longer.
const NOTHING: &[u8] = &[];

impl Links {
    /// Serves a claimed request that is short in every way. `false` when it is not: then nothing has been done. Where
    /// one was found `again` its client waits for this call, most likely, and for no other.
    #[inline]
    pub(super) fn serve_short(&mut self, at: &At<'_>, again: bool, runner: &mut Runner, now_ns: u64) -> bool {
        let (Request { seq, deadline_ns, head, .. }, attached) = (*at.request, &self.all[at.key]);
        let (method, len) = (MethodIndex(head.method), head.len as usize);
        let in_time = deadline_ns == 0 || deadline_ns > now_ns;
        if !at.request.is_plain() || len > SHORT_MAX.min(self.message_max) || !in_time || !runner.is_short(method) {
            return false;
        }
        let Ok(grant) = at.request.grant(attached.link.geometry()) else { return false };
        if self.has_waiting() {
            return false;
        }
        let (link, taker) = (&attached.link, attached.link.slot(at.slot));
        if again {
            taker.prepare_soon(self.me);
        }
        let call = CallName::Shm { link: attached.id, slot: at.slot, seq };
        context::serve(Served { call, peer: Peer::User(attached.uid), deadline_ns, trace: None });
        let inline = taker.inline();
        let arguments = if len <= INLINE {
            &inline.0[..len]
        } else {
            let room = &mut self.arguments.0[..len];
            link.copy_out(grant, room);
            room
        };
        let line = self.board.line(self.me.0.get());
        let running = |method: Option<MethodIndex>| line.set_running(method.map(|method| method.0));
        runner.run_short(method, arguments, (self.message_max, APART_FROM), running);
        let (status, body) = (runner.reply.status(), runner.reply.body());
        let (len, inline) = match runner.reply.apart() {
            None if body.len() <= INLINE => (wire_len(body), body),
            None if body.len() as u64 <= grant.capacity => {
                copy_in(link, grant, body);
                (wire_len(body), NOTHING)
            }
            Some(bytes) if byte_string::archived_len(bytes.len()) as u64 <= grant.capacity => {
                let len = link.copy_in_byte_string(grant, bytes);
                (u32::try_from(len).expect("a grant has less than 4 GiB"), NOTHING)
            }
            _ => {
                runner.reply.join();
                self.answer(at, grant, method, runner, now_ns);
                return true;
            }
        };
        taker.publish(self.me, seq, status, len, inline);
        // Nobody waits for the rest.
        let row = attached.row;
        self.wake(at);
        let (bytes_in, bytes_out) = runner.answered(method, Counter::ShmCalls, status);
        self.meter.peers().answered(row, bytes_in, bytes_out);
        true
    }
}

// A call, as what is inline above needs its registers.
#[inline(never)]
fn copy_in(link: &WorkerLink, grant: Grant, body: &[u8]) {
    link.copy_in(grant, body);
}

/// Room for the arguments of a short call that lie in a client's buffer, aligned for archives.
#[repr(align(16))]
pub(super) struct ShortArguments([u8; SHORT_MAX]);

impl ShortArguments {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self([0; SHORT_MAX]))
    }
}

#[cfg(test)]
mod tests;
