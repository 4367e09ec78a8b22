//! Words that lie in shared memory or in frames: every bit pattern means something, and never more than it says.

use speedysvc_protocol::ids::Codec;
use speedysvc_protocol::shm::layout::{Geometry, Grant, RequestHead, UNIT};
use speedysvc_protocol::shm::seq::{ClaimWord, Seq};
use speedysvc_protocol::status::{Failure, Outcome, Status};

use crate::input::Input;

/// What a request's head does not use: ignored.
const HEAD_UNUSED: u64 = 0xFC << 24;

pub fn target(data: &[u8]) {
    let mut input = Input(data);
    let (word, shape) = (input.word(), input.word());
    head(word);
    claim(word);
    grant(word, shape);
    status(word as u32, input.0);
}

fn head(word: u64) {
    let head = RequestHead::from_word(word);
    assert_eq!(head.word(), word & !HEAD_UNUSED);
    if let Some(codec) = Codec::from_wire(head.codec) {
        assert_eq!(codec as u8, head.codec);
    }
}

fn claim(word: u64) {
    let claim = ClaimWord::from_word(word);
    assert_eq!(claim.word(), word);
    assert!(claim.seq <= Seq::MAX);
    assert_eq!(Seq::from_word(word).is_some(), word <= Seq::MAX.word());
    if let Some(next) = claim.seq.next() {
        assert!(next > claim.seq);
    }
}

fn grant(word: u64, shape: u64) {
    let [slots, order, ..] = shape.to_le_bytes();
    let geometry = Geometry::new(u16::from(slots % 64) + 1, 1 << (12 + order % 26)).expect("in range");
    let Ok(grant) = Grant::parse(word, geometry) else { return };
    assert!(grant.offset <= geometry.arena() && grant.capacity <= geometry.arena() - grant.offset);
    assert!(grant.offset.is_multiple_of(UNIT) && grant.capacity.is_multiple_of(UNIT));
    assert_eq!(grant.word(), word);
}

fn status(word: u32, text: &[u8]) {
    let status = Status::from_wire(word);
    assert_eq!(Status::from_wire(status.to_wire()), status, "a status changed on its way");
    if let Status::Later(code, after) = status {
        let failure = Failure::from_wire(code, Outcome::NotStarted, text).later(after);
        assert_eq!(failure.status(), status);
    }
    if let Status::Failed(code, outcome) = status {
        let failure = Failure::from_wire(code, outcome, text);
        assert_eq!((failure.code, failure.outcome), (code, outcome));
        assert!(failure.wire_text().len() <= speedysvc_protocol::limits::MESSAGE_TEXT_MAX);
    }
}
