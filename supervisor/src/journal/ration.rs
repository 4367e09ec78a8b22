//! How many lines a worker may have in a while: enough for anything that people read, and not enough to fill a disk.

use std::time::Duration;

/// Lines that may come at once.
const BURST: u64 = 5_000;
/// Lines a second after that.
const PER_SECOND: u64 = 1_000;

#[derive(Debug)]
pub(crate) struct Ration {
    left: u64,
    filled: Duration,
    left_out: u64,
}

impl Default for Ration {
    fn default() -> Self {
        Self { left: BURST, filled: Duration::ZERO, left_out: 0 }
    }
}

impl Ration {
    /// May one more line be kept?
    pub(crate) fn admit(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.filled);
        let more = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).saturating_mul(PER_SECOND) / 1_000;
        if more > 0 {
            self.left = self.left.saturating_add(more).min(BURST);
            self.filled = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => {
                self.left_out += 1;
                false
            }
        }
    }

    /// How many were not kept since this was asked last.
    pub(crate) fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floods_are_bounded_and_counted() {
        let mut ration = Ration::default();
        let now = Duration::from_secs(100);
        let kept = (0..20_000).filter(|_| ration.admit(now)).count();
        assert_eq!((kept as u64, ration.take_left_out()), (BURST, 20_000 - BURST));
        let later = now + Duration::from_secs(1);
        assert_eq!((0..20_000).filter(|_| ration.admit(later)).count() as u64, PER_SECOND);
        let kept = (0..10_000_u64).filter(|ms| ration.admit(later + Duration::from_millis(*ms))).count() as u64;
        assert!(kept.abs_diff(10_000) < 5, "one line a millisecond is kept: {kept}");
    }
}
