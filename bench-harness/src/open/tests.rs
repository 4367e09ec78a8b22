//! The open loop on servers whose answers are known, in simulated time.

use std::cell::Cell;
use std::sync::Mutex;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::driver::{Caller, Failed, Run, drive};
use super::log::Log;
use super::schedule::{Arrivals, Due, Schedule};
use super::time::Time;
use super::verdict::{LAG_MAX, Wanted};
use crate::measure::clock::round;
use crate::stats::queue::Mmc;
use crate::stats::random;

const MS: u64 = 1_000_000;

/// A clock that moves only when somebody waits, and is late by some time then.
struct Simulated {
    now: Cell<u64>,
    late: u64,
}

impl Time for &Simulated {
    fn now(&self) -> u64 {
        self.now.get()
    }

    fn wait_until(&self, at_ns: u64) -> u64 {
        if self.now.get() < at_ns {
            self.now.set(at_ns + self.late);
        }
        self.now.get()
    }
}

/// A server that takes as long as a function says for the call of this number.
struct Server<'a, F> {
    time: &'a Simulated,
    takes: F,
}

impl<F: FnMut(u64) -> u64> Caller for Server<'_, F> {
    fn call(&mut self, due: Due) -> Result<(), Failed> {
        self.time.now.set(self.time.now.get() + (self.takes)(due.number));
        Ok(())
    }
}

/// One connection: its calls wait for each other, so that it is a queue with one server.
fn simulate(calls: Schedule, late: u64, late_until_ns: u64, takes: impl FnMut(u64) -> u64) -> Log {
    let time = Simulated { now: Cell::new(0), late };
    let run = Run { calls: &Mutex::new(calls), late_until_ns, is_ended: &|| false };
    drive(&run, &&time, &mut Server { time: &time, takes })
}

fn fixed(rate: f64, seconds: f64) -> Schedule {
    Schedule::new(Arrivals::Fixed, rate, seconds, 1)
}

fn near(found: f64, expected: f64, tolerance: f64) {
    assert!((found / expected - 1.0).abs() < tolerance, "{found} instead of {expected}");
}

fn at(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64
}

#[test]
fn a_server_that_keeps_up_looks_alike_both_ways() {
    let log = simulate(fixed(1e3, 1.0), 0, u64::MAX, |_| MS / 10);
    assert_eq!(log.corrected, log.uncorrected);
    assert_eq!((log.answered(), log.lag.max(), log.unsent), (1_000, 0, 0));
}

#[test]
fn a_stall_shows_in_corrected_latencies_only() {
    // 10 seconds at 1000 a second; each call takes 0.1 ms, but one in the middle a second: a thousand calls were due
    // meanwhile, and most of another hundred while those were made up for.
    let stall = |number| if number == 5_000 { 1_000 * MS } else { MS / 10 };
    let log = simulate(fixed(1e3, 10.0), 0, u64::MAX, stall);
    near(at(&log.uncorrected, 0.999), 1e5, 0.001);
    near(at(&log.corrected, 0.5), 1e5, 0.001);
    // The n-th call of those 1110 waited 1 s less 0.9 ms for each before it: the 1000th slowest of 10000 had n = 1000.
    near(at(&log.corrected, 0.9), (1_000.0 - 0.9 * 1_000.0 + 0.1) * 1e6, 0.02);
    near(at(&log.corrected, 0.99), (1_000.0 - 0.9 * 100.0) * 1e6, 0.005);
    assert_eq!(log.corrected.len(), 10_000);
    // The generator is not to blame, and the run is not void.
    assert_eq!(log.own_lag.max(), 0);
    near(log.lag.max() as f64, 999.0 * MS as f64, 0.001);
    let wanted = Wanted { seconds: 10.0, connections: 1, lag_max: LAG_MAX };
    assert_eq!(wanted.void(&log), None);
}

#[test]
fn a_server_that_becomes_slower_is_behind_by_the_sum() {
    // From half a gap to one and a half: the second half of 10000 calls adds a quarter of a gap each on average.
    let log = simulate(fixed(1e3, 10.0), 0, u64::MAX, |number| MS / 2 + number * 100);
    assert!(log.uncorrected.max() <= 3 * MS / 2 + MS / 100);
    near(log.corrected.max() as f64, 5_000.0 * 0.25 * 1e6, 0.01);
}

#[test]
fn random_calls_to_a_random_server_are_the_queue_of_the_books() {
    // M/M/1 at 80 %.
    let mean = 1e5;
    let mut state = 5;
    let calls = Schedule::new(Arrivals::Poisson, 8_000.0, 100.0, 12);
    let log = simulate(calls, 0, u64::MAX, |_| round(random::exponential(&mut state, mean)));
    let queue = Mmc::new(1, mean, 8_000.0 / 1e9).unwrap();
    for quantile in [0.5, 0.9, 0.99] {
        near(at(&log.corrected, quantile), queue.quantile(quantile), 0.04);
    }
    near(at(&log.uncorrected, 0.99), mean * 100_f64.ln(), 0.02);
}

#[test]
fn random_calls_to_a_steady_server_are_too() {
    // M/D/1 at 80 %: a mean wait of load / (2 (1 - load)) services (Pollaczek and Khinchine).
    let log = simulate(Schedule::new(Arrivals::Poisson, 8_000.0, 100.0, 3), 0, u64::MAX, |_| MS / 10);
    near(log.corrected.mean(), 1e5 * (1.0 + 0.8 / (2.0 * 0.2)), 0.03);
}

#[test]
fn calls_that_are_given_up_count_as_long_as_they_waited() {
    // Twice what the server can do, and nothing is sent after a second.
    let log = simulate(fixed(2e3, 1.0), 0, 1_000 * MS, |_| MS);
    assert_eq!((log.sent(), log.unsent), (1_001, 999));
    near(log.corrected.max() as f64, 500.0 * MS as f64, 0.01);
    near(log.failed_part(), 0.4995, 1e-6);
    let wanted = Wanted { seconds: 1.0, connections: 1, lag_max: LAG_MAX };
    // It was the server that did not keep up.
    assert!(wanted.is_saturated(&log));
    assert_eq!(wanted.void(&log), None);
}

#[test]
fn a_late_generator_makes_the_run_void() {
    let log = simulate(fixed(100.0, 1.0), 2 * MS, u64::MAX, |_| MS);
    let wanted = |lag_max| Wanted { seconds: 1.0, connections: 1, lag_max };
    let why = wanted(LAG_MAX).void(&log).unwrap();
    assert!(why.contains("connection was free (limit 1 ms)"), "{why}");
    assert_eq!(wanted(Duration::from_millis(3)).void(&log), None);
}

#[test]
fn a_generator_that_sends_too_little_makes_the_run_void() {
    // Calls are due for a second, and the one connection of ten needs two for them: the others did nothing.
    let log = simulate(fixed(1e3, 1.0), 0, u64::MAX, |_| 2 * MS);
    let wanted = |connections| Wanted { seconds: 1.0, connections, lag_max: LAG_MAX };
    let why = wanted(10).void(&log).unwrap();
    assert!(why.starts_with("only 50.1 % of the wanted rate was sent, although connections were free"), "{why}");
    assert_eq!(wanted(1).void(&log), None);
}
