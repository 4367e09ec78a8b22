//! Replies that go straight behind the frames of others: byte strings become frames while they are written.

use std::mem;

use super::{Apart, Reply};
use crate::frame;
use crate::ids::CallId;

impl Reply {
    /// Frames go behind these now; what others there were is in their place.
    #[inline]
    pub fn swap_frames(&mut self, frames: &mut Vec<u8>) {
        mem::swap(&mut self.frames, frames);
    }

    /// Bytes of the frames.
    #[inline]
    #[must_use]
    pub fn frames_len(&self) -> usize {
        self.frames.len()
    }

    /// The next reply is to this call: a byte string of fewer bytes than `below` goes behind the frames at once.
    #[inline]
    pub fn let_straight(&mut self, id: CallId, below: usize) {
        self.apart = Apart::Straight(id, below);
    }

    /// The reply to this call goes behind the frames, if it has not gone there; how long its body is. `None`, and
    /// nothing has gone there, when that is not less than `below` bytes.
    #[inline]
    pub fn go_straight(&mut self, id: CallId, below: usize) -> Option<usize> {
        if let Apart::Gone(_, len) = self.apart {
            return Some(len);
        }
        let (status, body) = (self.status(), self.body.as_slice());
        (body.len() < below).then(|| {
            frame::append_plain_reply(&mut self.frames, id, status, body);
            body.len()
        })
    }

    /// Sends a byte string ahead, if it may go.
    #[inline]
    pub(super) fn goes_ahead(&mut self, bytes: &[u8]) -> bool {
        match self.apart {
            Apart::Straight(id, below) if bytes.len() < below && self.has_room(bytes.len()) => self.go_ahead(id, bytes),
            _ => false,
        }
    }

    // One place for all methods.
    #[inline(never)]
    fn go_ahead(&mut self, id: CallId, bytes: &[u8]) -> bool {
        let begin = self.frames.len();
        let appended = frame::append_plain_byte_string(&mut self.frames, id, bytes);
        appended.is_some_and(|len| {
            self.apart = Apart::Gone(begin, len);
            true
        })
    }

    /// Whatever is apart is not the reply.
    pub(super) fn call_back(&mut self) {
        if let Apart::Gone(begin, _) = mem::replace(&mut self.apart, Apart::Never) {
            self.frames.truncate(begin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Buffer;
    use crate::byte_string;
    use crate::ids::Codec;
    use crate::status::{Code, Failure, Status};

    const ID: CallId = CallId(7);

    /// The frame of a reply.
    fn framed(status: Status, body: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        frame::append_plain_reply(&mut frame, ID, status, body);
        frame
    }

    fn archived(bytes: &[u8]) -> Vec<u8> {
        let mut archive = Buffer::new(1 << 10);
        byte_string::encode(bytes, &mut archive).unwrap();
        archive.as_slice().to_vec()
    }

    /// What goes out behind a byte, with a limit of 100 bytes, of a reply that is written so.
    fn gone(write: impl FnOnce(&mut Reply) -> Result<(), Failure>) -> (Vec<u8>, Option<usize>) {
        let (mut reply, mut frames) = (Reply::new(100), vec![1]);
        reply.swap_frames(&mut frames);
        reply.let_straight(ID, 50);
        write(&mut reply).unwrap_or_else(|failure| reply.fail(&failure));
        let len = reply.go_straight(ID, 62);
        assert_eq!((frames.len(), reply.apart()), (0, None));
        reply.swap_frames(&mut frames);
        assert_eq!(frames.remove(0), 1);
        (frames, len)
    }

    #[test]
    fn byte_strings_go_ahead_lent_and_given() {
        for len in [0, 1, 30, 49] {
            let (bytes, body) = (vec![9; len], archived(&vec![9; len]));
            let expected = (framed(Status::Ok, &body), Some(body.len()));
            assert_eq!(gone(|reply| reply.ok_lent_bytes(Codec::Rkyv, &bytes)), expected);
            assert_eq!(gone(|reply| reply.ok_bytes(Codec::Rkyv, bytes)), expected);
        }
        let body = archived(&[9; 50]);
        let expected = (framed(Status::Ok, &body), Some(body.len()));
        assert_eq!(gone(|reply| reply.ok_lent_bytes(Codec::Rkyv, &[9; 50])), expected);
        assert_eq!(gone(|reply| reply.ok_bytes(Codec::Rkyv, vec![9; 56])), (vec![], None));
        assert_eq!(gone(|reply| reply.ok(Codec::Json, &5_u8)), (framed(Status::Ok, b"5"), Some(1)));
        assert_eq!(gone(|reply| reply.ok_lent_bytes(Codec::Raw, b"raw")), (framed(Status::Ok, b"raw"), Some(3)));
    }

    #[test]
    fn a_failure_calls_back_what_has_gone() {
        let failure = Failure::done(Code::Internal, "it is over");
        let expected = framed(failure.status(), failure.wire_text().as_bytes());
        let (frames, _) = gone(|reply| reply.ok_lent_bytes(Codec::Rkyv, b"a reply").and(Err(failure)));
        assert_eq!(frames, expected);
        let (frames, len) = gone(|reply| reply.ok_lent_bytes(Codec::Rkyv, &[0; 93]));
        assert_eq!((frames, len), (vec![], None), "over the limit, with a text that is longer than 61 bytes");
    }
}
