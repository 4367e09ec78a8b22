//! How long to look for work before sleeping. A pure rule: it is told what happened, and has no clock of its own.
//!
//! Competitive spinning (Karlin and others 1991): look for about as long as a sleep and a wake would cost, and only
//! while that has been paying off. A miss halves the time, down to none; a hit restores it. At none, every
//! [`PROBE`]th rest looks once more, because otherwise nothing could ever be a hit again.

/// At no spinning, how many rests pass between two tries.
const PROBE: u32 = 16;
/// How fast a client takes a large reply out and puts its next request in, at least: measured between processors far
/// from each other, 64 KiB there and back took 14 to 17 us.
pub(crate) const BYTES_PER_NS: u64 = 8;
/// Beyond this a wake is no longer a large part of the call.
const MORE_MAX_NS: u64 = 500_000;
/// Below this many nanoseconds looking is not worth its clock reads.
const LEAST_NS: u64 = 1_000;

/// What the loop should do now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rest {
    /// Look again.
    Spin,
    /// Sleep until something happens.
    Sleep,
}

#[derive(Debug)]
pub(crate) struct Idle {
    longest_ns: u64,
    budget_ns: u64,
    /// How much longer to look after large calls: while the other side copies it is busy, and soon back.
    more_ns: u64,
    rests: u32,
    since_ns: Option<u64>,
}

impl Idle {
    pub(crate) fn new(longest_ns: u64) -> Self {
        Self { longest_ns, budget_ns: longest_ns, more_ns: 0, rests: 0, since_ns: None }
    }

    /// There was work, with payloads of so many bytes. If we were looking for it, that paid off. Work without any, such
    /// as that a reply has gone out, says nothing of when its client is back.
    pub(crate) fn worked(&mut self, bytes: u64) {
        if bytes > 0 {
            self.more_ns = (bytes / BYTES_PER_NS).min(MORE_MAX_NS);
        }
        if self.since_ns.take().is_some() {
            self.budget_ns = self.longest_ns;
        }
    }

    /// There was none, at this time.
    pub(crate) fn rest(&mut self, now_ns: u64) -> Rest {
        let Some(since) = self.since_ns else {
            self.since_ns = Some(now_ns);
            self.rests = self.rests.wrapping_add(1);
            return if self.limit() == 0 { self.sleep() } else { Rest::Spin };
        };
        if now_ns.saturating_sub(since) < self.limit() { Rest::Spin } else { self.sleep() }
    }

    /// There was none, and there are no processors to spare for looking: that it was not tried says nothing of whether
    /// it pays off.
    pub(crate) fn give_way(&mut self) -> Rest {
        self.since_ns = None;
        Rest::Sleep
    }

    fn limit(&self) -> u64 {
        let budget =
            if self.budget_ns == 0 && self.rests.is_multiple_of(PROBE) { self.longest_ns } else { self.budget_ns };
        if budget == 0 { 0 } else { budget + self.more_ns / (self.longest_ns / budget) }
    }

    fn sleep(&mut self) -> Rest {
        self.since_ns = None;
        self.budget_ns /= 2;
        if self.budget_ns < LEAST_NS {
            self.budget_ns = 0;
        }
        Rest::Sleep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks without success until it sleeps; returns how long it looked.
    fn miss(idle: &mut Idle, now: &mut u64) -> u64 {
        let start = *now;
        while idle.rest(*now) == Rest::Spin {
            *now += 100;
        }
        *now - start
    }

    #[test]
    fn misses_halve_the_time_down_to_none_and_a_hit_restores_it() {
        let (mut idle, mut now) = (Idle::new(20_000), 0);
        let looked: Vec<u64> = (0..7).map(|_| miss(&mut idle, &mut now)).collect();
        assert_eq!(looked, [20_000, 10_000, 5_000, 2_500, 1_300, 0, 0]);
        let probed = (0..PROBE).map(|_| miss(&mut idle, &mut now)).filter(|looked| *looked == 20_000).count();
        assert_eq!(probed, 1, "one try in {PROBE}");
        while idle.rest(now) == Rest::Sleep {}
        idle.worked(0);
        assert_eq!(miss(&mut idle, &mut now), 20_000);
    }

    #[test]
    fn who_gives_way_has_missed_nothing() {
        let (mut idle, mut now) = (Idle::new(20_000), 0);
        assert_eq!(idle.rest(now), Rest::Spin);
        assert!((0..9).all(|_| idle.give_way() == Rest::Sleep));
        now += 1_000_000;
        assert_eq!(miss(&mut idle, &mut now), 20_000);
    }

    #[test]
    fn after_large_calls_it_looks_longer_in_the_same_proportion() {
        let (mut idle, mut now) = (Idle::new(20_000), 0);
        idle.worked(800_000);
        let looked: Vec<u64> = (0..6).map(|_| miss(&mut idle, &mut now)).collect();
        assert_eq!(looked, [120_000, 60_000, 30_000, 15_000, 7_500, 0]);
        while idle.rest(now) == Rest::Sleep {}
        idle.worked(1 << 40);
        assert_eq!(miss(&mut idle, &mut now), 20_000 + MORE_MAX_NS);
        idle.worked(0);
        assert_eq!(miss(&mut idle, &mut now), (20_000 + MORE_MAX_NS) / 2, "that a reply has gone out changes nothing");
        idle.worked(64);
        assert_eq!(miss(&mut idle, &mut now), 5_100, "short calls are as before");
        let mut never = Idle::new(0);
        never.worked(1 << 40);
        assert_eq!(miss(&mut never, &mut now), 0);
    }

    #[test]
    fn a_time_of_none_never_looks() {
        let (mut idle, mut now) = (Idle::new(0), 0);
        assert!((0..100).all(|_| miss(&mut idle, &mut now) == 0));
    }
}
