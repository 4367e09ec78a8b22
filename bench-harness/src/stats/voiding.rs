//! Which rows count: those that were disturbed no more than the A/A run was, or too little to show.

use serde::{Deserialize, Serialize};

use super::{absent, quantile};

/// How much others took from a row.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Disturbance {
    /// Time that the hypervisor took from this machine, in ticks of 10 ms per second.
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) steal: f64,
    /// Involuntary switches of both sides, per second, but for those that other threads of the same process explain.
    /// Voluntary ones belong to the contender: it waited.
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) switches: f64,
    /// Processor time that programs without a part in the row took of its two processors, in milliseconds per second;
    /// not a number for closed loops.
    #[serde(default = "absent::none", deserialize_with = "absent::or_number")]
    pub(crate) others: f64,
}

/// A row ends with its last answer, a little later at one time than at another: the same number of stolen ticks in it
/// is not more.
const SAME: f64 = 1.02;
/// What may disturb an open loop unseen. A call of a hundred is left out of p99; a queue at 90 % keeps what came
/// upon it ten times as long. So a stall of this part of the time moves no p99: 1 ms in a second, in ticks of 10 ms.
const STEAL_UNSEEN: f64 = 0.1;
/// Other programs do not stop the processors, and wait for whoever wakes: 10 ms in a second.
const OTHERS_UNSEEN: f64 = 10.0;
/// What always runs beside hits all rows alike, and what does so twice as much as in half of the rows does not.
const OTHERS_TIMES: f64 = 2.0;

/// The most that a row may have been disturbed.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// As [`Disturbance::steal`].
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) steal: f64,
    /// As [`Disturbance::switches`].
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) switches: f64,
    /// As [`Disturbance::others`].
    #[serde(default = "absent::none", deserialize_with = "absent::or_number")]
    pub(crate) others: f64,
}

/// Why a row does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Void {
    /// The hypervisor took more than in the A/A run.
    Steal,
    /// Others ran more often than in the A/A run.
    Switches,
    /// Other programs ran far more than beside most rows.
    Others,
    /// Calls were sent late, or not at all, by the client's own fault.
    Generator,
}

impl Limits {
    /// For closed loops: the 95th percentile of the A/A run. `None` when there was none.
    pub(crate) fn closed(same: &[Disturbance]) -> Option<Self> {
        if same.is_empty() {
            return None;
        }
        let at = |read: fn(&Disturbance) -> f64| quantile::percentile(&same.iter().map(read).collect::<Vec<_>>(), 95);
        Some(Self { steal: at(|row| row.steal), switches: at(|row| row.switches), others: f64::NAN })
    }

    /// For open loops, whose processes sleep and wake each other: who wakes more threads has more switches, and more
    /// steal, by what it is. So neither is held against it for being more than another contender's in the A/A run:
    /// switches are not judged at all, steal when it can show, and what other programs took by all rows of all.
    pub(crate) fn open(same: &[Disturbance], all: &[Disturbance]) -> Self {
        let steal = Self::closed(same).map_or(0.0, |limits| limits.steal).max(STEAL_UNSEEN);
        let others: Vec<f64> = all.iter().map(|row| row.others).filter(|others| others.is_finite()).collect();
        let others = (quantile::median(&others) * OTHERS_TIMES).max(OTHERS_UNSEEN);
        Self { steal, switches: f64::NAN, others }
    }

    /// What is wrong with a row. Nothing is more than a limit that is not a number.
    pub(crate) fn judge(&self, row: &Disturbance) -> Option<Void> {
        if row.steal > self.steal * SAME {
            Some(Void::Steal)
        } else if row.switches > self.switches {
            Some(Void::Switches)
        } else if row.others > self.others {
            Some(Void::Others)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(steal: f64, switches: f64) -> Disturbance {
        Disturbance { steal, switches, others: f64::NAN }
    }

    fn others(others: f64) -> Disturbance {
        Disturbance { others, ..row(0.0, 0.0) }
    }

    #[test]
    fn the_limit_is_what_the_same_did_to_the_same() {
        let mut same: Vec<Disturbance> = (1..=19).map(|switches| row(0.0, f64::from(switches))).collect();
        same.push(row(9.0, 500.0));
        let limits = Limits::closed(&same).unwrap();
        assert_eq!((limits.steal, limits.switches), (0.0, 19.0));
        assert_eq!(limits.judge(&row(0.0, 19.0)), None);
        assert_eq!(limits.judge(&row(0.0, 20.0)), Some(Void::Switches));
        assert_eq!(limits.judge(&row(1.0, 0.0)), Some(Void::Steal));
        assert_eq!(limits.judge(&others(1e9)), None);
        let ticks = |seconds: f64| row(1.0 / seconds, 0.0);
        assert_eq!(Limits::closed(&[ticks(20.03)]).unwrap().judge(&ticks(20.0)), None);
    }

    #[test]
    fn without_an_a_a_run_closed_loops_have_no_limit() {
        assert_eq!(Limits::closed(&[]), None);
    }

    #[test]
    fn an_open_loop_is_judged_by_what_nobody_brings_along() {
        let limits = Limits::open(&[], &[]);
        assert_eq!(limits.judge(&row(0.1, 1e9)), None);
        assert_eq!(limits.judge(&row(0.11, 0.0)), Some(Void::Steal));
        assert_eq!(limits.judge(&others(10.0)), None);
        assert_eq!(limits.judge(&others(10.1)), Some(Void::Others));
        // A machine that always loses as much, and one on which something always runs.
        let limits = Limits::open(&[row(3.0, 7.0)], &[others(20.0), others(24.0), others(900.0), row(0.0, 0.0)]);
        assert_eq!((limits.judge(&row(3.0, 1e9)), limits.judge(&row(3.1, 0.0))), (None, Some(Void::Steal)));
        assert_eq!((limits.judge(&others(48.0)), limits.judge(&others(49.0))), (None, Some(Void::Others)));
    }
}
