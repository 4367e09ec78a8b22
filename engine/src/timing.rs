//! Which calls are timed, and from when. A pure rule: the clock is handed in.
//!
//! Calls that one pass over the links finds are a batch. No request says when its client published it; the loop knows
//! only that its last pass did not find it. So the wait of a call is counted from the batch's beginning: from the first
//! call of the pass, or from the bell that brought it. Over sockets it is counted from when the call's bytes came.
//!
//! Two looks at the clock cost half of a short call. So short calls are timed by the batch, one batch in sixteen, and
//! fewer when they are tiny; all are timed when calls take longer on average, when a bell has brought them, and when
//! they came alone over a socket. Of those that came together there, one in 16 is, or in 61.

use speedysvc_protocol::stats::Times;

/// One batch in this many is timed, when calls are short.
const SAMPLE: u32 = 16;
/// The same for tiny calls. A number that shares nothing with how many usually come together over a socket, or it would
/// be the same one of them each time.
const SAMPLE_TINY: u32 = 61;
/// Below this average calls are tiny: a sixteenth of two looks at the clock is more than a fortieth of one.
pub(crate) const TINY_NS: u64 = 125;
/// From this average on every call is timed: the clock then costs less than a twentieth.
const SHORT_NS: u64 = 1_000;
/// How far back the average reaches, in calls.
const WINDOW: u64 = 16;

#[derive(Clone, Copy, Debug)]
enum Batch {
    /// Nothing was found in it yet.
    Fresh,
    /// Not timed.
    Untimed,
    /// Timed; it began then.
    Since(u64),
    /// One call, which came and was started then.
    Started { came_ns: u64, started_ns: u64 },
}

#[derive(Debug)]
pub(crate) struct Timing {
    batch: Batch,
    batches: u32,
    average_ns: u64,
    times: Option<Times>,
    ended_ns: u64,
}

impl Timing {
    pub(crate) fn new() -> Self {
        Self { batch: Batch::Fresh, batches: 0, average_ns: 0, times: None, ended_ns: 0 }
    }

    /// A pass over the links begins.
    pub(crate) fn pass(&mut self) {
        self.batch = Batch::Fresh;
    }

    /// A bell was heard; what is found now has waited since then, or longer.
    pub(crate) fn belled(&mut self, now_ns: u64) {
        self.batch = Batch::Since(now_ns);
    }

    /// The next call has waited for its turn since then.
    pub(crate) fn waited(&mut self, since_ns: u64) {
        self.batch = Batch::Since(since_ns);
    }

    /// The next call came then, over a socket, alone or with others, and starts now.
    pub(crate) fn frame(&mut self, came_ns: u64, alone: bool, clock: impl FnOnce() -> u64) {
        let timed = alone || self.untimed_frames() == 0;
        self.came_together((!alone).into());
        self.batch = if timed { Batch::Started { came_ns, started_ns: clock() } } else { Batch::Untimed };
    }

    /// How many of the next calls that came together over a socket are not timed.
    #[inline]
    pub(crate) fn untimed_frames(&self) -> u32 {
        let every = self.sample();
        let over = self.batches % every;
        if over == 0 || self.average_ns >= SHORT_NS { 0 } else { every - over }
    }

    /// So many calls came together, and have run or are about to.
    #[inline]
    pub(crate) fn came_together(&mut self, frames: u32) {
        self.batches = self.batches.wrapping_add(frames);
    }

    /// Whether calls are so short on average that looking at the clock counts.
    #[inline]
    pub(crate) fn is_tiny(&self) -> bool {
        (1..TINY_NS).contains(&self.average_ns)
    }

    #[inline]
    fn sample(&self) -> u32 {
        if self.is_tiny() { SAMPLE_TINY } else { SAMPLE }
    }

    /// Since when the next call has waited, where that is known.
    pub(crate) fn since(&self) -> Option<u64> {
        match self.batch {
            Batch::Since(since_ns) | Batch::Started { came_ns: since_ns, .. } => Some(since_ns),
            Batch::Fresh | Batch::Untimed => None,
        }
    }

    /// A handler starts: the time, if this call is timed.
    #[inline]
    pub(crate) fn start(&mut self, clock: impl FnOnce() -> u64) -> Option<u64> {
        // Most calls are this one.
        if matches!(self.batch, Batch::Fresh) && !self.wants() {
            self.batch = Batch::Untimed;
        }
        if matches!(self.batch, Batch::Untimed) { None } else { Some(self.start_timed(clock)) }
    }

    #[inline(never)]
    fn start_timed(&mut self, clock: impl FnOnce() -> u64) -> u64 {
        match self.batch {
            Batch::Started { started_ns, .. } => started_ns,
            Batch::Since(_) => clock(),
            Batch::Fresh | Batch::Untimed => {
                let now_ns = clock();
                self.batch = Batch::Since(now_ns);
                now_ns
            }
        }
    }

    #[inline]
    fn wants(&mut self) -> bool {
        let sampled = self.batches.is_multiple_of(self.sample());
        self.batches = self.batches.wrapping_add(1);
        sampled || self.average_ns >= SHORT_NS
    }

    /// A handler that was started then has ended now. In a batch that is not timed this says nothing of the wait, and
    /// is left out.
    pub(crate) fn end(&mut self, started_ns: u64, ended_ns: u64) {
        self.ended_ns = ended_ns;
        let (Batch::Since(since) | Batch::Started { came_ns: since, .. }) = self.batch else { return };
        let handler_ns = ended_ns.saturating_sub(started_ns);
        self.times = Some(Times { queue_ns: started_ns.saturating_sub(since), handler_ns });
        self.average_ns = match self.average_ns {
            0 => handler_ns,
            average_ns => average_ns - average_ns / WINDOW + handler_ns / WINDOW,
        };
    }

    /// When the last handler ended that was timed, for whatever reason.
    pub(crate) fn ended_ns(&self) -> u64 {
        self.ended_ns
    }

    /// A call that ran beside the loop is about to be answered.
    pub(crate) fn away(&mut self, came_ns: u64, started_ns: u64, ended_ns: u64) {
        let (queue_ns, handler_ns) = (started_ns.saturating_sub(came_ns), ended_ns.saturating_sub(started_ns));
        self.times = Some(Times { queue_ns, handler_ns });
    }

    /// The times of the call that has just ended, once.
    pub(crate) fn take(&mut self) -> Option<Times> {
        self.times.take()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// A call of this length at this time; whether and how it was timed.
    fn call(timing: &mut Timing, now_ns: u64, handler_ns: u64) -> Option<Times> {
        if let Some(started) = timing.start(|| now_ns) {
            timing.end(started, started + handler_ns);
        }
        timing.take()
    }

    #[test]
    fn short_calls_are_sampled_by_the_batch_and_tiny_ones_less() {
        for (handler_ns, every) in [(TINY_NS, SAMPLE), (TINY_NS - 1, SAMPLE_TINY)] {
            let mut timing = Timing::new();
            let mut timed = 0;
            for batch in 0..every * 10 {
                timing.pass();
                // Sixteen calls a batch: sampling by calls would always meet the same one.
                let in_batch = (0..16).filter(|_| call(&mut timing, u64::from(batch), handler_ns).is_some()).count();
                assert!(in_batch == 0 || in_batch == 16);
                timed += in_batch;
            }
            assert_eq!(timed, 16 * 10);
        }
    }

    #[test]
    fn long_calls_are_all_timed_until_they_are_short_again() {
        let mut timing = Timing::new();
        assert!(call(&mut timing, 5, 1_000_000).is_some(), "the first batch is");
        let mut timed = 0;
        for _ in 0..1_000 {
            timing.pass();
            timed += u32::from(call(&mut timing, 9, TINY_NS).is_some());
        }
        assert!((100..300).contains(&timed), "the average fell, and then {timed} of 1000 were timed");
    }

    #[test]
    fn a_call_waits_from_the_beginning_of_its_batch() {
        let mut timing = Timing::new();
        timing.pass();
        assert_eq!(call(&mut timing, 1_000, 300), Some(Times { queue_ns: 0, handler_ns: 300 }));
        assert_eq!(call(&mut timing, 1_400, 200), Some(Times { queue_ns: 400, handler_ns: 200 }));
        timing.belled(2_000);
        assert_eq!(call(&mut timing, 2_100, 50), Some(Times { queue_ns: 100, handler_ns: 50 }));
        timing.frame(3_000, true, || 3_500);
        assert_eq!(call(&mut timing, 0, 70), Some(Times { queue_ns: 500, handler_ns: 70 }));
    }

    #[test]
    fn of_short_calls_that_come_together_over_a_socket_some_are_timed_and_of_long_ones_all() {
        let mut timing = Timing::new();
        let mut timed = |alone, handler_ns| {
            let of = |_: &u64| {
                timing.frame(5, alone, || 7);
                call(&mut timing, 7, handler_ns).is_some_and(|times| times.queue_ns == 2)
            };
            (0..160).filter(of).count()
        };
        assert_eq!((timed(true, 200), timed(false, 200)), (160, 10));
        assert!(timed(false, 100_000) > 140, "once the first of them was timed");
    }

    #[test]
    fn of_tiny_calls_that_come_together_few_are_timed_and_none_is_always_the_same_of_them() {
        let mut timing = Timing::new();
        let mut places = HashSet::new();
        let mut timed = 0;
        for call in 0..64 * 64 {
            // One by one, or several at a step.
            let untimed = timing.untimed_frames();
            timing.frame(5, false, || 7);
            if let Some(started) = timing.start(|| 9) {
                timing.end(started, started + 50);
                assert!(untimed == 0 && timing.take().is_some());
                timed += 1;
                places.insert(call % 64);
            } else {
                assert!(untimed > 0 && (call < 16 || timing.is_tiny()));
            }
        }
        assert_eq!(timed, (64 * 64_u32).div_ceil(SAMPLE_TINY));
        assert!(places.len() > 60, "{} places of 64", places.len());
        timing.came_together(timing.untimed_frames());
        assert_eq!(timing.untimed_frames(), 0);
    }

    #[test]
    fn times_are_of_one_call_only() {
        let mut timing = Timing::new();
        timing.belled(0);
        timing.end(1, 2);
        assert!(timing.take().is_some() && timing.take().is_none());
        (timing.batches, timing.batch) = (1, Batch::Fresh);
        assert!(timing.start(|| 0).is_none());
        // Timed for another reason.
        timing.end(1, 2);
        assert!(timing.take().is_none());
    }
}
