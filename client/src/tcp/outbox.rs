//! What is to be sent, in the order of the stream. Pure.
//!
//! Every byte has a place in the stream of the connection. A call whose first byte was never handed to the kernel has
//! certainly not started, whatever becomes of the connection.

use std::mem;

use speedysvc_protocol::frame::{self, Kind, PlainCall, Sent};
use speedysvc_protocol::trace::TraceContext;

/// Room that is kept between batches.
const KEEP: usize = 256 * 1024;

#[derive(Default)]
pub(super) struct Outbox {
    waiting: Vec<u8>,
    /// The last batch's memory, to be used again.
    spare: Vec<u8>,
    /// How many frames were queued since the last batch was taken.
    frames: usize,
    /// Everything before this place has been taken to be sent.
    taken: u64,
    /// Frames carry checksums.
    pub(super) checked: bool,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn frames(&self) -> usize {
        self.frames
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Queues a frame, and says where it begins.
    pub(super) fn push(&mut self, kind: Kind, body: Sent<'_>) -> u64 {
        let begins = self.taken + self.waiting.len() as u64;
        match kind {
            Kind::Call { id, method, codec, left_us } if !self.checked && body.bytes.len() == body.full_len => {
                let call = PlainCall { id, method, codec, left_us, body_len: body.full_len };
                frame::append_plain_call(&mut self.waiting, call, body.bytes);
            }
            _ => frame::append_sent(&mut self.waiting, kind, body, self.checked),
        }
        self.frames += 1;
        begins
    }

    /// Queues a call's frame, with that of its trace before it; says where the two begin. Nothing comes between them.
    pub(super) fn push_call(&mut self, trace: Option<&TraceContext>, kind: Kind, body: Sent<'_>) -> u64 {
        let traced = trace.map(|trace| self.push(Kind::Trace(*trace), Sent::plain(&[])));
        let begins = self.push(kind, body);
        traced.unwrap_or(begins)
    }

    /// All that waits, to be sent now.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.taken += self.waiting.len() as u64;
        self.frames = 0;
        mem::replace(&mut self.waiting, mem::take(&mut self.spare))
    }

    /// A frame of so many bytes is sent by its caller at once, with nothing waiting before it; says where it begins.
    /// If nothing of it can be sent after all, its place stays empty: places only say what comes before what.
    pub(super) fn pass(&mut self, len: usize) -> u64 {
        debug_assert!(self.is_empty(), "it would overtake");
        let begins = self.taken;
        self.taken += len as u64;
        begins
    }

    /// Of a batch so much was sent; the rest waits again.
    pub(super) fn sent(&mut self, mut batch: Vec<u8>, sent: usize) {
        self.taken -= (batch.len() - sent) as u64;
        if sent < batch.len() {
            batch.drain(..sent);
            batch.append(&mut self.waiting);
            self.waiting = batch;
        } else if batch.capacity() <= KEEP {
            batch.clear();
            self.spare = batch;
        }
    }

    /// Whether nothing of a frame that begins there has been taken to be sent.
    pub(super) fn is_unsent(&self, begins: u64) -> bool {
        begins >= self.taken
    }

    /// Takes an unsent frame out again; what waits behind it moves up by so many bytes.
    pub(super) fn withdraw(&mut self, begins: u64, len: usize) {
        if let Some(start) = begins.checked_sub(self.taken).and_then(|start| usize::try_from(start).ok()) {
            self.waiting.drain(start..start + len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use speedysvc_protocol::ids::CallId;
    use speedysvc_protocol::limits::FRAME_HEADER;

    fn cancel(id: u64) -> Kind {
        Kind::Cancel { id: CallId(id) }
    }

    #[test]
    fn the_stream_is_whole_however_it_is_cut_and_knows_what_was_not_sent() {
        let (mut outbox, mut stream, mut begins) = (Outbox::default(), vec![], vec![]);
        for id in 0..100_usize {
            begins.push(outbox.push(cancel(id as u64), Sent::plain(&[7; 5])));
            if id % 7 == 0 {
                let batch = outbox.take();
                assert!(begins.iter().all(|begins| !outbox.is_unsent(*begins)));
                let sent = batch.len() * (id % 3) / 2;
                stream.extend_from_slice(&batch[..sent]);
                outbox.sent(batch, sent);
                let unsent = begins.iter().filter(|begins| outbox.is_unsent(**begins)).count();
                assert_eq!(unsent, outbox.len() / (FRAME_HEADER + 5), "half a frame is no unsent frame");
            }
        }
        let rest = outbox.take();
        stream.extend_from_slice(&rest);
        outbox.sent(rest, 0);
        let mut whole = vec![];
        (0..100).for_each(|id| frame::append(&mut whole, cancel(id), &[7; 5]));
        assert!(stream == whole);
    }

    #[test]
    fn a_frame_is_withdrawn_from_between_others() {
        let mut outbox = Outbox::default();
        let begins = [1, 2, 3].map(|id| outbox.push(cancel(id), Sent::plain(&[])));
        outbox.withdraw(begins[1], FRAME_HEADER);
        let mut expected = vec![];
        [1, 3].into_iter().for_each(|id| frame::append(&mut expected, cancel(id), &[]));
        assert_eq!(outbox.take(), expected);
    }
}
