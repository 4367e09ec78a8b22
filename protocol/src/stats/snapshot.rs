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
    fn errors_have_places_and_successes_have_none() {
        assert_eq!(error_place(Status::Ok).or(error_place(Status::Need)), None);
        assert_eq!(error_place(Status::Application), Some(0));
        assert_eq!(error_place(Status::Failed(Code::Unauthenticated, Outcome::Done)), Some(ERRORS - 1));
    }
}
