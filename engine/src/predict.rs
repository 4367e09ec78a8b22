//! Which methods run long, learnt from a sample of their calls.

use crate::timing::TINY_NS;

/// One call in this many is timed at least; a method that is known to be long is always timed.
const SAMPLE: u32 = 16;
/// The same of a method whose calls are tiny (see [`TINY_NS`]): more seldom than these are timed anyhow.
const SAMPLE_TINY: u32 = 64;
/// Long: more than waking another loop costs. Source: measured on the reference machine, 15 to 60 microseconds.
const LONG_NS: u64 = 20_000;
/// So long that a call which came over a socket runs beside the loop: handing it over and back costs two wakes, at most
/// a fourth of this; and who waits meanwhile waits for no more than this.
const VERY_LONG_NS: u64 = 500_000;
/// So many calls in succession must have taken that long. A single one may have been the first, or its loop may have
/// lost its processor; and a short call that is taken for such a one waits behind those that are.
const IN_A_ROW: u8 = 2;

/// Moving average of one method's time in its handler.
#[derive(Clone, Copy, Debug)]
struct Method {
    /// Calls since one was timed, for whatever reason.
    untimed: u32,
    average_ns: u64,
    /// Timed calls in succession that took very long, up to [`IN_A_ROW`].
    very_long: u8,
}

impl Method {
    #[inline]
    fn sample(&self) -> u32 {
        if (1..TINY_NS).contains(&self.average_ns) { SAMPLE_TINY } else { SAMPLE }
    }
}

/// How long a method takes in its handler, about; 0 when that is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Takes {
    average_ns: u64,
}

impl Takes {
    /// Whether beginning a call with so much time left is in vain: nobody would wait for the end of it. A quarter more
    /// than the average, as calls differ and the reply must get back.
    #[inline]
    pub(crate) fn is_in_vain(self, left_ns: u64) -> bool {
        left_ns < self.average_ns.saturating_add(self.average_ns / 4)
    }
}

#[derive(Debug)]
pub(crate) struct Predictor(Vec<Method>);

impl Predictor {
    pub(crate) fn new(methods: usize) -> Self {
        Self(vec![Method { untimed: SAMPLE, average_ns: 0, very_long: 0 }; methods])
    }

    /// Whether this method is expected to run long.
    #[inline]
    pub(crate) fn is_long(&self, method: usize) -> bool {
        self.0.get(method).is_some_and(|method| method.average_ns > LONG_NS)
    }

    /// How long this method takes in its handler, about.
    pub(crate) fn takes(&self, method: usize) -> Takes {
        Takes { average_ns: self.0.get(method).map_or(0, |method| method.average_ns) }
    }

    /// Whether this method is expected to run so long that the loop should not wait for it.
    pub(crate) fn is_very_long(&self, method: usize) -> bool {
        self.0.get(method).is_some_and(|method| method.very_long == IN_A_ROW)
    }

    /// Whether to time the call that begins now.
    #[inline]
    pub(crate) fn wants_time(&mut self, method: usize) -> bool {
        let Some(method) = self.0.get_mut(method) else { return false };
        method.untimed += 1;
        let is_due = method.untimed >= method.sample();
        if is_due {
            method.untimed = 0;
        }
        is_due || method.average_ns > LONG_NS
    }

    /// How many of the next calls need not be timed.
    #[inline]
    pub(crate) fn untimed(&self, method: usize) -> u32 {
        let Some(method) = self.0.get(method).filter(|method| method.average_ns <= LONG_NS) else { return 0 };
        method.sample().saturating_sub(method.untimed + 1)
    }

    /// So many calls have run that were not timed.
    #[inline]
    pub(crate) fn ran_untimed(&mut self, method: usize, calls: u32) {
        if let Some(method) = self.0.get_mut(method) {
            method.untimed += calls;
        }
    }

    /// Takes a timed call in: a quarter of the new, three quarters of the old.
    #[inline]
    pub(crate) fn took(&mut self, method: usize, ns: u64) {
        if let Some(method) = self.0.get_mut(method) {
            method.untimed = 0;
            method.very_long = if ns > VERY_LONG_NS { (method.very_long + 1).min(IN_A_ROW) } else { 0 };
            method.average_ns =
                if method.average_ns == 0 { ns } else { method.average_ns - method.average_ns / 4 + ns / 4 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_becomes_long_and_short_again() {
        let mut predictor = Predictor::new(1);
        assert!(!predictor.is_long(0));
        assert!(predictor.wants_time(0), "the first call is timed");
        predictor.took(0, 1_000_000);
        assert!(predictor.is_long(0) && !predictor.is_very_long(0), "it may have been an accident");
        predictor.took(0, 1_000_000);
        assert!(predictor.is_long(0) && predictor.is_very_long(0) && predictor.wants_time(0));
        let takes = [0, 1].map(|method| predictor.takes(method));
        assert_eq!(takes, [1_000_000, 0].map(|average_ns| Takes { average_ns }));
        assert!(takes[0].is_in_vain(1_249_999) && !takes[0].is_in_vain(1_250_000) && !takes[1].is_in_vain(0));
        for _ in 0..32 {
            predictor.took(0, 100);
        }
        assert!(!predictor.is_long(0) && !predictor.is_very_long(0));
        let timed = (0..SAMPLE * 4).filter(|_| predictor.wants_time(0)).count();
        assert_eq!(timed, 4);
    }

    #[test]
    fn it_is_known_how_many_calls_need_not_be_timed() {
        let mut predictor = Predictor::new(1);
        assert_eq!(predictor.untimed(0), 0, "the first is timed");
        for (ns, every) in [(200, SAMPLE), (TINY_NS, SAMPLE), (50, SAMPLE_TINY), (LONG_NS * 2, 1)] {
            (0..32).for_each(|_| predictor.took(0, ns));
            assert_eq!(predictor.untimed(0), every - 1, "of {ns} ns each");
            for step in [1, 7, every] {
                predictor.took(0, ns);
                let skipped = predictor.untimed(0).saturating_sub(step);
                predictor.ran_untimed(0, skipped);
                let left = predictor.untimed(0);
                let timed: Vec<bool> = (0..=left).map(|_| predictor.wants_time(0)).collect();
                assert_eq!((skipped + left, timed.iter().position(|wants| *wants)), (every - 1, Some(left as usize)));
            }
        }
    }

    #[test]
    fn methods_that_do_not_exist_are_short() {
        let mut predictor = Predictor::new(0);
        assert!(!predictor.is_long(3) && !predictor.wants_time(3) && predictor.untimed(3) == 0);
        predictor.took(3, u64::MAX);
    }
}
