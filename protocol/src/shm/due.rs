//! When something is due that comes again and again. A pure rule, for both sides.
//!
//! Who looks at a line before the other side has written it takes it away from there, and the writer must have it back
//! first: of the four ways between two processors that a call takes, these are two (decision 0079). So who waits for
//! what comes again and again does not look before about the time that it took of late.

/// One look has so many parts. What is there at the first look may have come long before: the next is due one part
/// earlier. Steps are small, as each unsettles the other side.
const PARTS: u32 = 64;

/// What is not there at the first look: the next is due so many parts later. So one look in seven is too early.
const LATER: u32 = 6;

/// It is due after so many looks at most: a third of a microsecond. Between processors far from each other a short call
/// takes about as long.
const MOST: u32 = 64;

/// After how many [looks](super::looks::one_at_a_time) it is due, counted from when the wait begins.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Due {
    /// In parts of a look.
    parts: u32,
}

impl Due {
    /// What [`Due::parts`] was.
    #[inline]
    #[must_use]
    pub fn from_parts(parts: u32) -> Self {
        Self { parts: parts.min(MOST * PARTS) }
    }

    /// As a number to be kept.
    #[inline]
    #[must_use]
    pub fn parts(self) -> u32 {
        self.parts
    }

    /// After so many looks.
    #[inline]
    #[must_use]
    pub fn looks(self) -> u32 {
        self.parts / PARTS
    }

    /// By whether it was there when it was due.
    #[inline]
    #[must_use]
    pub fn after(self, was_there: bool) -> Self {
        Self::from_parts(if was_there { self.parts.saturating_sub(1) } else { self.parts + LATER })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The looks after which each of many was due, of which each took so many.
    fn learned(takes: impl Fn(u32) -> u32) -> Vec<u32> {
        let mut due = Due::default();
        let looks = (0..10_000).map(|number| {
            let looks = due.looks();
            due = Due::from_parts(due.after(takes(number) <= looks).parts());
            looks
        });
        looks.skip(5_000).collect()
    }

    #[test]
    fn what_always_takes_as_long_is_looked_for_just_then() {
        for takes in [0, 1, 20, MOST - 1] {
            let looks = learned(|_| takes);
            assert!(looks.iter().all(|looks| (takes.saturating_sub(1)..=takes).contains(looks)), "{takes}");
            let in_time = looks.iter().filter(|looks| **looks == takes).count();
            assert!(in_time * 10 > looks.len() * 7, "{takes}: {in_time}");
        }
    }

    #[test]
    fn what_takes_long_is_looked_for_before_and_what_differs_as_the_slower_seventh() {
        assert!(learned(|_| 1_000_000).iter().all(|looks| *looks >= MOST - 1));
        let looks = learned(|number| number * 7_919 % 50);
        let mean = looks.iter().sum::<u32>() / u32::try_from(looks.len()).unwrap();
        assert!((39..47).contains(&mean), "{mean}");
    }

    #[test]
    fn a_kept_number_that_is_none_of_ours_holds_nobody_up() {
        assert_eq!(Due::from_parts(u32::MAX).looks(), MOST);
        assert_eq!(Due::from_parts(u32::MAX).after(false).looks(), MOST);
    }
}
