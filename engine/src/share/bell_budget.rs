//! How often one link may ring in vain (rule 29). Pure.
//!
//! A client rings for a request that nobody looks for, and once more before it sleeps when still nobody has it (rules
//! 18 and 19). So of two bells of an honest client one has a call behind it; a bell without one costs a loop the same.

/// Bells in vain that may come in a row: some tens of them are honest when many threads share a link.
const MOST: u16 = 256;
/// Who has used its bells up is listened to again when it has so many...
const AGAIN: u16 = MOST / 2;
/// ...and it gets one for each call, and one each so often: with 5 us for a bell, a loop gives a client that only rings
/// less than a thousandth of its time.
const ONE_MORE_NS: u64 = 10_000_000;

/// The budget of one link.
#[derive(Debug)]
pub(crate) struct BellBudget {
    left: u16,
    /// Up to when time has been counted.
    until_ns: u64,
    /// What [`heard`](Self::heard) was told of the link's calls last.
    calls: u64,
}

impl BellBudget {
    /// For a link that has just been attached.
    pub(crate) fn new(now_ns: u64) -> Self {
        Self { left: MOST, until_ns: now_ns, calls: 0 }
    }

    /// A bell was heard: whether the next one should be. `calls` changes whenever anybody takes a call of this link;
    /// `waits` says whether a request lies there that nobody has taken.
    pub(crate) fn heard(&mut self, now_ns: u64, calls: u64, waits: impl FnOnce() -> bool) -> bool {
        self.pass_time(now_ns);
        let has_call = std::mem::replace(&mut self.calls, calls) != calls || waits();
        self.left = if has_call { (self.left + 1).min(MOST) } else { self.left.saturating_sub(1) };
        self.left > 0
    }

    /// One look at a link that is not listened to: whether it should be again. As [`heard`](Self::heard), a call that
    /// came meanwhile counts; of several in one slot or several, one.
    pub(crate) fn is_heard_again(&mut self, now_ns: u64, calls: u64) -> bool {
        self.pass_time(now_ns);
        let has_call = std::mem::replace(&mut self.calls, calls) != calls;
        self.left = (self.left + u16::from(has_call)).min(MOST);
        self.left >= AGAIN
    }

    fn pass_time(&mut self, now_ns: u64) {
        let more = now_ns.saturating_sub(self.until_ns) / ONE_MORE_NS;
        self.until_ns += more * ONE_MORE_NS;
        self.left = u16::try_from(more).unwrap_or(MOST).saturating_add(self.left).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn two_bells_for_each_call_are_always_heard_however_fast_they_come() {
        let mut budget = BellBudget::new(0);
        for call in 1..100_000 {
            // The first bell finds the request, or another loop has been faster; the second one finds nothing.
            let is_there = call % 2 == 0;
            assert!(budget.heard(call, if is_there { call - 1 } else { call }, || is_there));
            assert!(budget.heard(call, call, || false));
        }
    }

    #[test]
    fn bells_without_calls_are_heard_for_a_while_and_then_a_thousandth_of_the_time() {
        let mut budget = BellBudget::new(0);
        let (mut heard, mut listens) = (0_u64, true);
        // For ten seconds, a bell each 10 us; who is not listened to is looked at each 4 ms.
        for now_us in (0..10_000_000_u64).step_by(10) {
            if listens {
                heard += 1;
                listens = budget.heard(now_us * 1_000, 7, || false);
            } else if now_us % 4_000 == 0 {
                listens = budget.is_heard_again(now_us * 1_000, 7);
            }
        }
        // One more is for the first bell, before which nothing was known of calls.
        assert!((1_000..=u64::from(MOST) + 1_001).contains(&heard), "{heard} in 10 s");
    }

    #[test]
    fn calls_bring_it_back_before_time_does() {
        let mut budget = BellBudget::new(0);
        while budget.heard(0, 0, || false) {}
        let looks = (1..).find(|call| budget.is_heard_again(0, *call)).unwrap();
        assert_eq!(looks, u64::from(AGAIN));
        while budget.heard(0, looks, || false) {}
        assert!(!budget.is_heard_again(u64::from(AGAIN) * 10 * MS - 1, looks));
        assert!(budget.is_heard_again(u64::from(AGAIN) * 10 * MS, looks));
    }

    #[test]
    fn a_long_time_gives_no_more_than_all() {
        let mut budget = BellBudget::new(5);
        while budget.heard(5, 0, || false) {}
        assert!(budget.is_heard_again(u64::MAX, 0));
        assert_eq!((1..).find(|_| !budget.heard(u64::MAX, 0, || false)), Some(u64::from(MOST)));
    }
}
