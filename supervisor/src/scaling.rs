//! How many workers a service needs: a rule without a clock and without processes. It is told what was measured, and
//! when, and says a number with a sentence that explains it.
//!
//! One more when workers were busier than `up` over `up_after`, or calls waited longer than `queue` on the average; one
//! fewer when those who remain would have been less busy than `down` over `down_after`, and not busier than `up` in its
//! busiest part. So neither a constant load nor one that comes and goes faster than the windows makes it go to and fro.

use std::collections::VecDeque;
use std::time::Duration;

use speedysvc_config::{Scale, ScaleRule};

use crate::policy::{count, show};

/// What happened since the sample before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    /// How long that was.
    pub(crate) span: Duration,
    /// Workers that served.
    pub(crate) workers: u16,
    /// Time in handlers, or of processors, of all of them together.
    pub(crate) busy: Duration,
    /// Calls whose waiting was timed.
    pub(crate) waited: u64,
    /// How long these waited before they were begun, together.
    pub(crate) waiting: Duration,
}

/// Samples of one service.
#[derive(Debug, Default)]
pub(crate) struct Scaler {
    /// Oldest first, as far back as the longer window.
    samples: VecDeque<(Duration, Sample)>,
    changed: Duration,
    /// The last decision, for whoever asks why.
    pub(crate) last: Option<String>,
}

/// A window's sums.
#[derive(Default)]
struct Window {
    span: Duration,
    capacity: Duration,
    busy: Duration,
    waited: u64,
    waiting: Duration,
}

impl Scaler {
    /// One more sample, which ended `now`; how many workers there should be instead of `target`, and why.
    pub(crate) fn decide(&mut self, rule: &Scale, min: u16, target: u16, sample: Sample, now: Duration) -> Option<u16> {
        // More than all of the time cannot have been worked: a long call is counted when it ends.
        let busy = sample.busy.min(sample.span * u32::from(sample.workers));
        self.samples.push_back((now, Sample { busy, ..sample }));
        let longest = rule.up_after.max(rule.down_after);
        while self.samples.front().is_some_and(|(at, _)| now.saturating_sub(*at) >= longest) {
            self.samples.pop_front();
        }
        let decided = Self::bound(rule, min, target).or_else(|| self.up(rule, target, now));
        let decided = decided.or_else(|| self.down(rule, min, target, now));
        let (wanted, why) = decided?;
        self.changed = now;
        self.last = Some(format!("from {} to {wanted}: {why}", count(usize::from(target), "worker")));
        Some(wanted)
    }

    /// Into the bounds at once: the file was changed, or an operator's number is no longer in force.
    fn bound(rule: &Scale, min: u16, target: u16) -> Option<(u16, String)> {
        let max = rule.max.get().max(min);
        let wanted = target.clamp(min, max);
        (wanted != target).then(|| (wanted, format!("the file says at least {min} and at most {max}")))
    }

    fn up(&self, rule: &Scale, target: u16, now: Duration) -> Option<(u16, String)> {
        let window = self.window(rule.up_after, now)?;
        if target >= rule.max.get() {
            return None;
        }
        let busy = share(window.busy, window.capacity);
        let wait = window.waiting.checked_div(u32::try_from(window.waited).unwrap_or(u32::MAX)).unwrap_or_default();
        let after = show(rule.up_after);
        if busy > f64::from(rule.up) / 100.0 {
            let why = format!("they were {:.0} % busy for {after}, more than {} %", busy * 100.0, rule.up);
            return Some((target + 1, why));
        }
        // The seed knew no queue.
        (rule.rule == ScaleRule::Busy && wait > rule.queue).then(|| {
            let (wait, most) = (show(wait), show(rule.queue));
            (target + 1, format!("calls waited {wait} on the average for {after}, longer than {most}"))
        })
    }

    fn down(&self, rule: &Scale, min: u16, target: u16, now: Duration) -> Option<(u16, String)> {
        let window = self.window(rule.down_after, now)?;
        if target <= min {
            return None;
        }
        let (left, how) = match rule.rule {
            ScaleRule::Busy => (u32::from(target - 1), format!("{} would have been", target - 1)),
            // The seed compares what all use together.
            ScaleRule::Cpu => (1, "all together were".to_owned()),
        };
        let busy = share(window.busy, window.span * left);
        let is_idle = busy < f64::from(rule.down) / 100.0;
        // Whoever goes must not be missed in the busiest part of that time, or they would come back.
        let is_missed =
            rule.rule == ScaleRule::Busy && self.busiest(rule, target - 1, now) > f64::from(rule.up) / 100.0;
        (is_idle && !is_missed).then(|| {
            let after = show(rule.down_after);
            (target - 1, format!("{how} {:.0} % busy for {after}, less than {} %", busy * 100.0, rule.down))
        })
    }

    /// How busy so many workers would have been in the busiest `up_after` of the last `down_after`.
    fn busiest(&self, rule: &Scale, workers: u16, now: Duration) -> f64 {
        let recent = self.samples.iter().filter(|(at, _)| now.saturating_sub(*at) < rule.down_after);
        let (mut part, mut most) = (VecDeque::new(), 0.0_f64);
        let (mut span, mut busy) = (Duration::ZERO, Duration::ZERO);
        for (at, sample) in recent {
            part.push_back((*at, sample));
            (span, busy) = (span + sample.span, busy + sample.busy);
            while part.front().is_some_and(|(first, _)| at.saturating_sub(*first) >= rule.up_after) {
                let Some((_, gone)) = part.pop_front() else { break };
                (span, busy) = (span - gone.span, busy - gone.busy);
            }
            most = most.max(share(busy, span.max(rule.up_after) * u32::from(workers)));
        }
        most
    }

    /// The sums of the last `length`, once there is so much since the last change.
    fn window(&self, length: Duration, now: Duration) -> Option<Window> {
        if now.saturating_sub(self.changed) < length {
            return None;
        }
        let mut sums = Window::default();
        for (_, sample) in self.samples.iter().filter(|(at, _)| now.saturating_sub(*at) < length) {
            sums.span += sample.span;
            sums.capacity += sample.span * u32::from(sample.workers);
            sums.busy += sample.busy;
            sums.waited += sample.waited;
            sums.waiting += sample.waiting;
        }
        // Samples that are missing (nobody served, or the supervisor was stopped) prove nothing.
        (sums.span >= length.mul_f64(0.9)).then_some(sums)
    }
}

fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 0.0 } else { part.as_secs_f64() / whole.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use speedysvc_config::WorkerCount;

    const SECOND: Duration = Duration::from_secs(1);

    fn rule(max: u16) -> Scale {
        Scale { max: WorkerCount::new(max).unwrap(), ..Scale::default() }
    }

    /// A service under a load, in simulated time: the load is how many workers it would keep busy. Hours and short days
    /// instead of real ones, and 48 cases of a property: the windows are minutes, and the tests take seconds.
    struct World {
        scaler: Scaler,
        rule: Scale,
        target: u16,
        now: Duration,
        changes: Vec<(Duration, u16)>,
    }

    impl World {
        fn new(rule: Scale) -> Self {
            Self { scaler: Scaler::default(), rule, target: 1, now: Duration::ZERO, changes: Vec::new() }
        }

        fn second(&mut self, load: f64) {
            self.now += SECOND;
            let busy = SECOND.mul_f64(load.min(f64::from(self.target)));
            // More than they can do waits.
            let wait = if load > f64::from(self.target) { Duration::from_millis(100) } else { Duration::ZERO };
            let sample = Sample { span: SECOND, workers: self.target, busy, waited: 10, waiting: wait * 10 };
            if let Some(wanted) = self.scaler.decide(&self.rule, 1, self.target, sample, self.now) {
                assert!((1..=self.rule.max.get()).contains(&wanted) && wanted.abs_diff(self.target) == 1);
                let why = self.scaler.last.as_ref().expect("every decision is explained");
                assert!(why.contains(" % busy for ") || why.contains("waited"), "{why}");
                self.target = wanted;
                self.changes.push((self.now, wanted));
            }
        }
    }

    #[test]
    fn workers_follow_a_load_that_rises_and_falls_and_say_why() {
        let mut world = World::new(rule(8));
        (0..120).for_each(|_| world.second(3.0));
        assert_eq!(world.target, 5, "3 of 5 is 60 %");
        let why = "from 4 workers to 5: they were 75 % busy for 10 s, more than 70 %";
        assert_eq!(world.scaler.last.as_deref(), Some(why));
        (0..1200).for_each(|_| world.second(0.3));
        assert_eq!(world.target, 1);
        let why = "from 2 workers to 1: 1 would have been 30 % busy for 120 s, less than 50 %";
        assert_eq!(world.scaler.last.as_deref(), Some(why));
    }

    #[test]
    fn a_square_wave_does_not_flap() {
        // Ten seconds of work, ten of none, for six hours: an average, and no reason to come and go.
        let mut world = World::new(rule(8));
        (0..6 * 3600_u64).for_each(|second| world.second(if second / 10 % 2 == 0 { 1.8 } else { 0.0 }));
        let late = world.changes.iter().filter(|(at, _)| *at > Duration::from_secs(3600)).count();
        assert_eq!(late, 0, "{:?}", &world.changes[..world.changes.len().min(20)]);
        // Days and nights of twenty minutes: up in the morning, down in the evening, each worker once.
        let mut world = World::new(rule(4));
        (0..4 * 2400_u64).for_each(|second| world.second(if second / 1200 % 2 == 0 { 2.4 } else { 0.1 }));
        assert_eq!(world.changes.len(), 4 * 6, "four times three up and three down");
    }

    #[test]
    fn a_number_out_of_bounds_is_corrected_at_once() {
        let mut scaler = Scaler::default();
        let mut decide = |min, target| scaler.decide(&rule(4), min, target, Sample::default(), SECOND);
        assert_eq!([decide(2, 9), decide(2, 1), decide(2, 2), decide(2, 4)], [Some(4), Some(2), None, None]);
        assert_eq!(scaler.last.as_deref(), Some("from 1 worker to 2: the file says at least 2 and at most 4"));
    }

    #[test]
    fn the_seeds_rule_is_there() {
        let mut world = World::new(Scale { max: WorkerCount::new(3).unwrap(), ..Scale::seed() });
        (0..19).for_each(|_| world.second(0.5));
        assert_eq!(world.target, 1, "20 s are needed");
        (0..60).for_each(|_| world.second(0.5));
        assert_eq!(world.target, 2, "25 % each is enough");
        (0..500).for_each(|_| world.second(0.2));
        assert_eq!(world.target, 1, "together less than 30 %");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_constant_load_is_settled_once_and_for_all(load in 0.0_f64..12.0, max in 1_u16..9) {
            let mut world = World::new(rule(max));
            (0..400).for_each(|_| world.second(load));
            let (settled, changes) = (world.target, world.changes.len());
            (0..400).for_each(|_| world.second(load));
            prop_assert_eq!((world.target, world.changes.len()), (settled, changes));
            prop_assert!(settled == max || load / f64::from(settled) <= 0.7 + 1e-9, "{} for {}", settled, load);
            prop_assert!(changes < usize::from(max), "straight there");
        }

        #[test]
        fn no_load_leaves_the_bounds(loads in vec((0.0_f64..20.0, 1_u32..300), 1..12), max in 1_u16..9) {
            let mut world = World::new(rule(max));
            for (load, seconds) in loads {
                (0..seconds).for_each(|_| world.second(load));
            }
        }
    }
}
