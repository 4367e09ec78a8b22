//! Sequence numbers and claim words: 48 bits of number, 16 bits of owner. Only arithmetic lives here.

use std::num::NonZeroU16;

use crate::ids::Incarnation;

const BITS: u32 = 48;

/// A call's number in its slot. It only grows; 0 means "none yet".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Seq(u64);

impl Seq {
    /// Before any call.
    pub const NONE: Self = Self(0);
    /// The last number that a slot can have.
    pub const MAX: Self = Self((1 << BITS) - 1);

    /// The number in a word that a peer wrote; `None` beyond 48 bits.
    #[inline]
    #[must_use]
    pub fn from_word(word: u64) -> Option<Self> {
        (word <= Self::MAX.0).then_some(Self(word))
    }

    /// The number as a word.
    #[inline]
    #[must_use]
    pub fn word(self) -> u64 {
        self.0
    }

    /// The next number; `None` at the end of the range, where the link must be made anew.
    #[inline]
    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::from_word(self.0 + 1)
    }
}

/// What a claim word says: which call was taken last, and by which loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClaimWord {
    /// The call; [`Seq::NONE`] before the first.
    pub seq: Seq,
    /// The loop; `None` before the first call.
    pub owner: Option<Incarnation>,
}

impl ClaimWord {
    /// Splits a word.
    #[inline]
    #[must_use]
    pub fn from_word(word: u64) -> Self {
        let [.., low, high] = word.to_le_bytes();
        let owner = NonZeroU16::new(u16::from_le_bytes([low, high])).map(Incarnation);
        Self { seq: Seq(word & Seq::MAX.0), owner }
    }

    /// Joins the two.
    #[inline]
    #[must_use]
    pub fn word(self) -> u64 {
        let owner = self.owner.map_or(0, |owner| owner.0.get());
        self.seq.0 | u64::from(owner) << BITS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_just_where_they_should() {
        let mut seq = Seq(Seq::MAX.0 - 2);
        for _ in 0..2 {
            let next = seq.next().unwrap();
            assert!(next > seq);
            seq = next;
        }
        assert_eq!(seq, Seq::MAX);
        assert_eq!(seq.next(), None);
        assert_eq!(Seq::from_word(Seq::MAX.0 + 1), None);
    }

    #[test]
    fn claim_words_keep_both_halves_apart() {
        for seq in [0, 1, Seq::MAX.0 - 1, Seq::MAX.0] {
            for owner in [0, 1, u16::MAX - 1, u16::MAX] {
                let word = ClaimWord { seq: Seq(seq), owner: NonZeroU16::new(owner).map(Incarnation) };
                assert_eq!(ClaimWord::from_word(word.word()), word);
            }
        }
    }
}
