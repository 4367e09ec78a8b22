//! Queues whose answers are known: formulas where there are any, and an exact simulation for the others.

use super::quantile;

/// Calls that come at random moments (Poisson), servers that each need an exponentially distributed time, and one queue
/// in front of them all: M/M/c in Kendall's words. Times are in whatever unit the mean is in.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Mmc {
    servers: u32,
    /// Mean time of one call in a server.
    mean: f64,
    /// Calls that come while one is served: below `servers`, or the queue grows for ever.
    offered: f64,
}

impl Mmc {
    /// `rate` calls come in each unit of time. `None` when the servers cannot keep up.
    pub(crate) fn new(servers: u32, mean: f64, rate: f64) -> Option<Self> {
        let offered = rate * mean;
        (offered > 0.0 && offered < f64::from(servers)).then_some(Self { servers, mean, offered })
    }

    /// Erlang's C: how probably a call has to wait.
    pub(crate) fn waits(&self) -> f64 {
        // Erlang's B by its recursion, which has no factorials that could overflow; C follows from it.
        let mut blocked = 1.0;
        for server in 1..=self.servers {
            blocked = self.offered * blocked / (f64::from(server) + self.offered * blocked);
        }
        let load = self.offered / f64::from(self.servers);
        blocked / (1.0 - load * (1.0 - blocked))
    }

    /// How probably a call takes longer than this, from its arrival to its end.
    pub(crate) fn longer_than(&self, time: f64) -> f64 {
        let served = time / self.mean;
        // What a server does beyond the call itself while the queue shrinks; at 0 the fraction has a limit.
        let spare = f64::from(self.servers) - 1.0 - self.offered;
        let waited = if spare.abs() < 1e-9 { served } else { -(-served * spare).exp_m1() / spare };
        (-served).exp() * (1.0 + self.waits() * waited)
    }

    /// The time within which this part of all calls ends.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let (mut low, mut high) = (0.0, self.mean);
        while self.longer_than(high) > 1.0 - part {
            high *= 2.0;
        }
        for _ in 0..100 {
            let middle = f64::midpoint(low, high);
            if self.longer_than(middle) > 1.0 - part { low = middle } else { high = middle }
        }
        f64::midpoint(low, high)
    }
}

/// One call of a simulated queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Visit {
    /// When it comes.
    pub(crate) at_ns: u64,
    /// How long a server needs for it.
    pub(crate) served_ns: u64,
}

/// How long each of these calls takes, from its arrival to its end, when the longest waiting one is always next, and
/// taken by the first server that is free. Exact: nothing is drawn.
pub(crate) fn first_come_first_served(visits: &[Visit], servers: usize) -> Vec<u64> {
    let mut sorted = visits.to_vec();
    sorted.sort_unstable();
    let mut free_at = vec![0_u64; servers.max(1)];
    let serve = |visit: &Visit| {
        let next = free_at.iter_mut().min().expect("there is at least one server");
        *next = visit.at_ns.max(*next) + visit.served_ns;
        *next - visit.at_ns
    };
    sorted.iter().map(serve).collect()
}

/// The percentile of such times, in nanoseconds.
pub(crate) fn percentile(times: &[u64], percent: usize) -> f64 {
    quantile::percentile(&times.iter().map(|time| *time as f64).collect::<Vec<_>>(), percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::clock::round;
    use crate::stats::random;

    fn near(found: f64, expected: f64, tolerance: f64) {
        assert!((found / expected - 1.0).abs() < tolerance, "{found} instead of {expected}");
    }

    /// Poisson arrivals at this rate per nanosecond.
    fn visits(count: usize, rate: f64, mut served: impl FnMut(&mut u64) -> f64) -> Vec<Visit> {
        let (mut state, mut at) = (42, 0.0);
        let mut next = || {
            at += random::exponential(&mut state, 1.0 / rate);
            Visit { at_ns: round(at), served_ns: round(served(&mut state)) }
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn erlangs_c_is_that_of_the_tables() {
        // 2 servers at 80 %: 6.4 / 9. 10 servers that are offered 8 erlangs: 0.4092.
        near(Mmc::new(2, 1.0, 1.6).unwrap().waits(), 6.4 / 9.0, 1e-12);
        near(Mmc::new(10, 1.0, 8.0).unwrap().waits(), 0.4092, 1e-3);
        // One server is busy for as much of the time as there is work.
        near(Mmc::new(1, 2.0, 0.3).unwrap().waits(), 0.6, 1e-12);
    }

    #[test]
    fn one_server_has_an_exponential_answer() {
        let queue = Mmc::new(1, 1.0, 0.8).unwrap();
        near(queue.quantile(0.99), 100_f64.ln() / 0.2, 1e-9);
        near(queue.longer_than(7.0), (-1.4_f64).exp(), 1e-12);
    }

    #[test]
    fn more_servers_shorten_the_tail_as_published() {
        // Percentile 99 at 80 % load in units of the mean, for 2, 4 and 16 servers.
        for (servers, expected) in [(2, 11.9), (4, 6.9), (16, 4.7)] {
            let rate = 0.8 * f64::from(servers);
            near(Mmc::new(servers, 1.0, rate).unwrap().quantile(0.99), expected, 0.01);
        }
    }

    #[test]
    fn the_formula_is_smooth_where_it_would_divide_by_nothing() {
        let (below, at, above) = (0.999_999, 1.0, 1.000_001);
        let tail = |rate| Mmc::new(2, 1.0, rate).unwrap().longer_than(3.0);
        near(tail(at), f64::midpoint(tail(below), tail(above)), 1e-6);
    }

    #[test]
    fn what_cannot_keep_up_has_no_answer() {
        assert_eq!(Mmc::new(2, 1.0, 2.0), None);
        assert_eq!(Mmc::new(2, 1.0, 0.0), None);
    }

    #[test]
    fn a_queue_by_hand() {
        let visit = |at_ns, served_ns| Visit { at_ns, served_ns };
        // The third waits for the second, which ends first; the order in which they are given does not matter.
        let visits = [visit(2, 1), visit(0, 10), visit(1, 3)];
        assert_eq!(first_come_first_served(&visits, 2), [10, 3, 3]);
        assert_eq!(first_come_first_served(&visits, 1), [10, 12, 12]);
        assert!(first_come_first_served(&[], 2).is_empty());
    }

    #[test]
    fn the_simulation_agrees_with_the_formula() {
        let mean = 1e6;
        let rate = 1.6 / mean;
        let visits = visits(400_000, rate, |state| random::exponential(state, mean));
        let times = first_come_first_served(&visits, 2);
        let queue = Mmc::new(2, mean, rate).unwrap();
        for percent in [50, 90, 99] {
            near(percentile(&times, percent), queue.quantile(percent as f64 / 100.0), 0.04);
        }
    }
}
