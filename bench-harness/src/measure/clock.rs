//! Time at its cheapest: the processor's counter where that is invariant, else the system's monotonic clock.

use std::fs;
use std::hint::black_box;
use std::mem;
use std::time::{Duration, Instant};

use crate::floors::tsc;

/// A clock, and how long its ticks are.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    is_tsc: bool,
    ns_per_tick: f64,
    /// By how many ticks it moves on at once: some processors' counters count nanoseconds by tens.
    step: u64,
    begin: Instant,
}

/// Reads by which the step is learnt.
const READS: u64 = 4_000;
/// The longest step that is looked for, in ticks.
const STEP_MAX: u64 = 200;

impl Clock {
    /// The best that there is, as yet uncalibrated.
    pub(crate) fn new() -> Self {
        Self { is_tsc: has_invariant_tsc(), ns_per_tick: 1.0, step: 1, begin: Instant::now() }
    }

    /// With ticks of a nanosecond, of which it moves on so many at once.
    #[cfg(test)]
    pub(super) fn in_steps(step: u64) -> Self {
        Self { step, ..Self::new() }
    }

    /// Now, in ticks.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        if self.is_tsc { tsc::ticks() } else { whole(self.begin.elapsed()) }
    }

    /// Learns the length of a tick from the time that has passed since `ticks` and `since` were read: the longer, the
    /// more exact. 100 ms suffice for a millionth. Learns its step, too.
    pub(crate) fn calibrate(&mut self, ticks: u64, since: Instant) {
        self.step = step_of(&self.between_reads());
        let passed = self.now().saturating_sub(ticks);
        if passed > 0 {
            self.ns_per_tick = since.elapsed().as_secs_f64() * 1e9 / passed as f64;
        }
    }

    /// The ticks from one read to the next, which are differently far apart; where there are any.
    fn between_reads(&self) -> Vec<u64> {
        let mut last = self.now();
        let between = (0..READS).map(|read| {
            (0..read % 61).for_each(|turn| {
                black_box(turn);
            });
            let now = self.now();
            now.saturating_sub(mem::replace(&mut last, now))
        });
        between.filter(|ticks| *ticks > 0).collect()
    }

    /// By how many ticks it moves on at once.
    pub(crate) fn step(&self) -> u64 {
        self.step
    }

    /// A length of time in nanoseconds.
    pub(crate) fn ns(&self, ticks: u64) -> f64 {
        ticks as f64 * self.ns_per_tick
    }

    /// A length of time in ticks.
    pub(crate) fn ticks(&self, time: Duration) -> u64 {
        round(time.as_secs_f64() * 1e9 / self.ns_per_tick)
    }
}

/// The step of a clock with so many ticks between one read and the next, which were differently far apart: the longest
/// of which nineteen in twenty of those are whole multiples, to within a tick, as counters are adjusted.
fn step_of(between: &[u64]) -> u64 {
    let is_multiple = |ticks: u64, step| matches!(ticks % step, 0 | 1) || (ticks + 1).is_multiple_of(step);
    let fits = |step: &u64| {
        let multiples = between.iter().filter(|ticks| is_multiple(**ticks, *step)).count();
        !between.is_empty() && multiples * 20 >= between.len() * 19
    };
    // Of three anything is a multiple to within a tick.
    (4..=STEP_MAX).rev().find(fits).unwrap_or(1)
}

/// Nanoseconds of a length of time.
fn whole(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A number of at least 0 as the nearest whole one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, which is what is meant")]
pub(crate) fn round(value: f64) -> u64 {
    value.round() as u64
}

/// Whether the counter runs at one rate, on all processors, in all states.
pub(crate) fn has_invariant_tsc() -> bool {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = info.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let has = |flag: &str| flags.split_whitespace().any(|word| word == flag);
    cfg!(target_arch = "x86_64") && has("constant_tsc") && has("nonstop_tsc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds() {
        let clock = Clock { is_tsc: true, ns_per_tick: 0.4, step: 1, begin: Instant::now() };
        assert!((clock.ns(1_000) - 400.0).abs() < 1e-9);
        assert_eq!(clock.ticks(Duration::from_micros(1)), 2_500);
    }

    #[test]
    fn a_step_is_what_almost_all_times_between_reads_are_made_of() {
        let of = |some: &[u64]| step_of(&some.iter().copied().cycle().take(2_000).collect::<Vec<_>>());
        assert_eq!(of(&[26, 52, 78, 104]), 26);
        // In one of twenty it was adjusted, and in others by a tick.
        let adjusted: Vec<u64> = [40].into_iter().chain((1..20).map(|times| times * 26)).collect();
        assert_eq!((of(&adjusted), of(&[26, 53, 77, 104])), (26, 26));
        let any: Vec<u64> = (18..80).collect();
        let even: Vec<u64> = (9..40).map(|half| half * 2).collect();
        assert_eq!((of(&any), of(&even), of(&[])), (1, 1, 1));
        // Of this machine, whatever it is: it moves on between reads, and its times are multiples of its step.
        let mut clock = Clock::new();
        clock.calibrate(clock.now(), Instant::now());
        let between = clock.between_reads();
        let odd =
            between.iter().filter(|ticks| (2..clock.step().max(2) - 1).contains(&(**ticks % clock.step()))).count();
        assert!(between.len() > 100 && odd * 5 < between.len(), "{odd} of {} at {}", between.len(), clock.step());
    }

    #[test]
    fn whole_numbers_saturate() {
        assert_eq!([round(0.4), round(1.5), round(-3.0), round(1e30)], [0, 2, 0, u64::MAX]);
    }
}
