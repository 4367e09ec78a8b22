//! Where a started call is: its slot and its number there, in one word.

use speedysvc_protocol::limits::SLOTS_MAX;
use speedysvc_protocol::shm::seq::Seq;

const _: () = assert!(SLOTS_MAX <= 1 << u8::BITS);

/// A slot and a number of 48 bits. One of the eight bytes says nothing, so that enums around it need no word of their
/// own: what is started is this and a pointer, two words that are handed on in registers.
#[derive(Clone, Copy)]
pub(super) struct Place {
    low: u32,
    high: u16,
    slot: u8,
    _spare: Spare,
}

#[derive(Clone, Copy)]
#[repr(u8)]
enum Spare {
    Always = 0,
}

impl Place {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the number is split; of slots there are no more")]
    pub(super) fn new(slot: usize, seq: Seq) -> Self {
        let word = seq.word();
        Self { low: word as u32, high: (word >> 32) as u16, slot: slot as u8, _spare: Spare::Always }
    }

    #[inline]
    pub(super) fn slot(self) -> usize {
        usize::from(self.slot)
    }

    #[inline]
    pub(super) fn seq(self) -> Seq {
        Seq::from_word(u64::from(self.high) << 32 | u64::from(self.low)).unwrap_or(Seq::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_come_out_as_they_went_in() {
        let last = Seq::MAX.word();
        let words = [0, 1, u64::from(u32::MAX), 1 << 32, last - (1 << 32), last - 1, last];
        for (slot, word) in (0..SLOTS_MAX).flat_map(|slot| words.map(|word| (slot, word))) {
            let seq = Seq::from_word(word).unwrap();
            let place = Place::new(slot, seq);
            assert_eq!((place.slot(), place.seq()), (slot, seq));
        }
    }
}
