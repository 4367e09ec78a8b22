//! Which rows count: those that were disturbed no more than the A/A run was.

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
}

/// The most that a row may have been disturbed.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// As [`Disturbance::steal`].
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) steal: f64,
    /// As [`Disturbance::switches`].
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) switches: f64,
}

/// Why a row does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Void {
    /// The hypervisor took more than in the A/A run.
    Steal,
    /// Others ran more often than in the A/A run.
    Switches,
    /// Calls were sent late, or not at all, by the client's own fault.
    Generator,
}

impl Limits {
    /// The 95th percentile of the A/A run. `None` when there was none.
    pub(crate) fn of(same: &[Disturbance]) -> Option<Self> {
        if same.is_empty() {
            return None;
        }
        let at = |read: fn(&Disturbance) -> f64| quantile::percentile(&same.iter().map(read).collect::<Vec<_>>(), 95);
        Some(Self { steal: at(|row| row.steal), switches: at(|row| row.switches) })
    }

    /// What is wrong with a row.
    pub(crate) fn judge(&self, row: &Disturbance) -> Option<Void> {
        if row.steal > self.steal {
            Some(Void::Steal)
        } else if row.switches > self.switches {
            Some(Void::Switches)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(steal: f64, switches: f64) -> Disturbance {
        Disturbance { steal, switches }
    }

    #[test]
    fn the_limit_is_what_the_same_did_to_the_same() {
        let mut same: Vec<Disturbance> = (1..=19).map(|switches| row(0.0, f64::from(switches))).collect();
        same.push(row(9.0, 500.0));
        let limits = Limits::of(&same).unwrap();
        assert_eq!(limits, Limits { steal: 0.0, switches: 19.0 });
        assert_eq!(limits.judge(&row(0.0, 19.0)), None);
        assert_eq!(limits.judge(&row(0.0, 20.0)), Some(Void::Switches));
        assert_eq!(limits.judge(&row(1.0, 0.0)), Some(Void::Steal));
    }

    #[test]
    fn without_an_a_a_run_there_is_no_limit() {
        assert_eq!(Limits::of(&[]), None);
    }
}
