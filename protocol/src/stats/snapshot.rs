//! All numbers of a service at a moment, as plain values.

use std::collections::BTreeMap;

use super::Histogram;
use super::table::{Counter, MethodCounter, Timing};
use crate::status::{Code, Status};

/// The name under which calls are counted whose method has no numbers of its own: beyond
/// [`super::METERED_MAX`], or not in the contract at all.
pub const OTHER_NAME: &str = "(other)";

/// Kinds of errors: the sixteen codes, and 0 for the method's own.
pub const ERRORS: usize = 17;

/// The place of a status among the errors; `None` when it is none.
#[must_use]
pub fn error_place(status: Status) -> Option<usize> {
    match status {
        Status::Ok | Status::Need => None,
        Status::Application => Some(0),
        Status::Failed(code, _) | Status::Later(code, _) => Some(code as usize),
    }
}

/// The numbers of one method.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MethodStats {
    pub(super) counters: [u64; MethodCounter::ALL.len()],
    pub(super) errors: [u64; ERRORS],
    pub(super) times: [Histogram; Timing::ALL.len()],
}

impl MethodStats {
    /// The value of a counter.
    #[must_use]
    pub fn counter(&self, counter: MethodCounter) -> u64 {
        self.counters[counter as usize]
    }

    /// Calls that ended with this code.
    #[must_use]
    pub fn errors_with(&self, code: Code) -> u64 {
        self.errors[code as usize]
    }

    /// Calls that ended with the method's own error.
    #[must_use]
    pub fn application_errors(&self) -> u64 {
        self.errors[0]
    }

    /// All calls that ended with an error, the method's own included.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// How long calls took.
    #[must_use]
    pub fn times(&self, timing: Timing) -> &Histogram {
        &self.times[timing as usize]
    }

    /// Adds words as they lie in a page; those behind the last that this version knows are a later version's.
    pub fn add_counts(&mut self, counters: &[u64], errors: &[u64]) {
        let add = |our: &mut u64, their: &u64| *our = our.saturating_add(*their);
        self.counters.iter_mut().zip(counters).for_each(|(our, their)| add(our, their));
        self.errors.iter_mut().zip(errors).for_each(|(our, their)| add(our, their));
    }

    /// Adds times as they lie in a page.
    pub fn add_times(&mut self, timing: Timing, times: &Histogram) {
        self.times[timing as usize].merge(times);
    }

    /// Adds the numbers of another loop's same method.
    pub fn merge(&mut self, other: &Self) {
        self.add_counts(&other.counters, &other.errors);
        self.times.iter_mut().zip(&other.times).for_each(|(ours, theirs)| ours.merge(theirs));
    }
}

/// The numbers of a loop, or of a service with all loops that it ever had.
///
/// Every number in it was true at some moment while the snapshot was taken, and is never below that of an earlier
/// snapshot. Two numbers need not be of the same moment: a call may be among the calls and not yet among the times.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    counters: [u64; Counter::ALL.len()],
    methods: BTreeMap<String, MethodStats>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { counters: [0; Counter::ALL.len()], methods: BTreeMap::new() }
    }
}

impl Snapshot {
    /// The value of a counter.
    #[must_use]
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters[counter as usize]
    }

    /// Counts on.
    pub fn add(&mut self, counter: Counter, more: u64) {
        let value = &mut self.counters[counter as usize];
        *value = value.saturating_add(more);
    }

    /// The methods that were called, by name.
    pub fn methods(&self) -> impl Iterator<Item = (&str, &MethodStats)> {
        self.methods.iter().map(|(name, method)| (name.as_str(), method))
    }

    /// A method that was called.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&MethodStats> {
        self.methods.get(name)
    }

    /// The numbers of this method, to be added to.
    pub fn method_mut(&mut self, name: &str) -> &mut MethodStats {
        self.methods.entry(name.to_owned()).or_default()
    }

    /// Everything of all methods together.
    #[must_use]
    pub fn all_methods(&self) -> MethodStats {
        let mut all = MethodStats::default();
        self.methods.values().for_each(|method| all.merge(method));
        all
    }

    /// Nanoseconds in handlers since an earlier snapshot of the same. How many of a method's calls are timed changes
    /// with how long they take: so those that are stand for others of their method and of this time only. Where none
    /// is, those before stand for them.
    #[must_use]
    pub fn handler_ns_since(&self, before: &Self) -> u64 {
        let of_method = |(name, now): (&str, &MethodStats)| {
            let more = |counter| {
                let was = before.method(name).map_or(0, |before| before.counter(counter));
                now.counter(counter).saturating_sub(was)
            };
            let (timed, ns) = match more(MethodCounter::Timed) {
                0 => (now.counter(MethodCounter::Timed), now.counter(MethodCounter::HandlerNs)),
                timed => (timed, more(MethodCounter::HandlerNs)),
            };
            let ns = (u128::from(ns) * u128::from(more(MethodCounter::Calls))).checked_div(timed.into()).unwrap_or(0);
            u64::try_from(ns).unwrap_or(u64::MAX)
        };
        self.methods().map(of_method).fold(0, u64::saturating_add)
    }

    /// Adds the numbers of another loop of the same service. Methods are known by their names, so that the loops may
    /// run different versions of a program.
    pub fn merge(&mut self, other: &Self) {
        Counter::ALL.iter().for_each(|counter| self.add(*counter, other.counter(*counter)));
        other.methods.iter().for_each(|(name, method)| self.method_mut(name).merge(method));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Outcome;

    #[test]
    fn snapshots_add_up_by_name() {
        let mut one = Snapshot::default();
        one.add(Counter::Turns, 3);
        one.method_mut("echo").counters[MethodCounter::Calls as usize] = 5;
        one.method_mut("echo").errors[Code::Internal as usize] = 2;
        one.method_mut("echo").times[Timing::Handler as usize].add(9, 5);
        let mut two = one.clone();
        two.method_mut("sum").errors[0] = 1;
        one.merge(&two);
        assert_eq!(one.counter(Counter::Turns), 6);
        let echo = one.method("echo").unwrap();
        assert_eq!((echo.counter(MethodCounter::Calls), echo.errors_with(Code::Internal), echo.errors()), (10, 4, 4));
        assert_eq!(echo.times(Timing::Handler).count(), 10);
        assert_eq!(one.method("sum").unwrap().application_errors(), 1);
        assert_eq!((one.all_methods().errors(), one.methods().count()), (5, 2));
    }

    #[test]
    fn timed_calls_stand_for_others_of_their_method_and_time() {
        let snapshot = |methods: &[(&str, u64, u64, u64)]| {
            let mut snapshot = Snapshot::default();
            for (name, calls, timed, ns) in methods {
                let counters = &mut snapshot.method_mut(name).counters;
                counters[MethodCounter::Calls as usize] = *calls;
                counters[MethodCounter::Timed as usize] = *timed;
                counters[MethodCounter::HandlerNs as usize] = *ns;
            }
            snapshot
        };
        let nothing = Snapshot::default();
        // Of many tiny calls few are timed, of the longer ones behind them all.
        let tiny = snapshot(&[("call", 3_600_000_000, 60_000_000, 3_000_000_000)]);
        let longer = snapshot(&[("call", 3_600_100_000, 60_100_000, 3_200_000_000)]);
        assert_eq!(longer.handler_ns_since(&tiny), 200_000_000);
        assert_eq!(tiny.handler_ns_since(&nothing), 180_000_000_000);
        let untimed = snapshot(&[("call", 3_600_000_050, 60_000_000, 3_000_000_000)]);
        assert_eq!(untimed.handler_ns_since(&tiny), 2_500);
        assert_eq!(
            (tiny.handler_ns_since(&tiny), tiny.handler_ns_since(&longer), nothing.handler_ns_since(&tiny)),
            (0, 0, 0)
        );
        assert_eq!(snapshot(&[("call", 5, 0, 0)]).handler_ns_since(&nothing), 0);
        // A tiny method beside one of which all calls are timed.
        let both = snapshot(&[("tiny", 610, 10, 500), ("long", 10, 10, 10_000_000)]);
        assert_eq!(both.handler_ns_since(&nothing), 10_030_500);
    }

    #[test]
    fn errors_have_places_and_successes_have_none() {
        assert_eq!(error_place(Status::Ok).or(error_place(Status::Need)), None);
        assert_eq!(error_place(Status::Application), Some(0));
        assert_eq!(error_place(Status::Failed(Code::Unauthenticated, Outcome::Done)), Some(ERRORS - 1));
    }
}
