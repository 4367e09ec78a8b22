//! Rows whose processors had their cores to themselves.

use serde::{Deserialize, Serialize};

use super::quantile;

/// Measured on the reference machine: a core of one's own differs by a hundredth, and a shared one by half.
const SAME: f64 = 1.1;
/// The percentage of probes that is taken for one's own core: less, and it would be chance.
const LEAST: usize = 1;

/// What probes of a campaign have found (`measure::sharing`).
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Sharing {
    /// The least, but for the lowest few.
    pub(crate) least: f64,
    /// The most.
    pub(crate) most: f64,
}

impl Sharing {
    /// `None` when nothing was probed. A machine whose cores are always shared passes for one whose cores never are.
    pub(crate) fn of(probes: impl Iterator<Item = f64>) -> Option<Self> {
        let probes: Vec<f64> = probes.filter(|probe| probe.is_finite()).collect();
        let most = probes.iter().copied().reduce(f64::max)?;
        Some(Self { least: quantile::percentile(&probes, LEAST), most })
    }

    /// The most that a core of one's own shows.
    pub(crate) fn own(&self) -> f64 {
        self.least * SAME
    }

    /// Whether nobody else was seen, neither before a row nor after it.
    pub(crate) fn is_alone(&self, probes: [Option<f64>; 2]) -> bool {
        probes.iter().all(|probe| probe.is_some_and(|probe| probe <= self.own()))
    }

    /// Whether somebody else was seen at all.
    pub(crate) fn is_shared(&self) -> bool {
        self.most > self.own()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_beyond_the_least_is_shared() {
        let sharing = Sharing::of([0.43, 0.29, 0.3, 0.29, 0.6, 0.31, f64::NAN].into_iter()).unwrap();
        assert_eq!((sharing.least, sharing.most, sharing.is_shared()), (0.29, 0.6, true));
        assert!(sharing.is_alone([Some(0.3), Some(0.29)]));
        for probes in [[Some(0.3), Some(0.43)], [Some(0.43), Some(0.3)], [None, Some(0.3)], [Some(0.3), None]] {
            assert!(!sharing.is_alone(probes), "{probes:?}");
        }
    }

    #[test]
    fn a_single_low_probe_is_chance() {
        let sharing = Sharing::of([0.1].into_iter().chain([0.4; 199])).unwrap();
        assert!(sharing.is_alone([Some(0.4); 2]) && !sharing.is_shared());
        assert_eq!(Sharing::of(std::iter::empty()), None);
    }
}
