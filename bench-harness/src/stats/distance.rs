//! Rows that are alike: those whose two processors were as far from each other.

/// Two distances next to each other, when all are sorted, are of two kinds when one is this many times the other.
/// Measured on the reference machine, 2,800 probes: 29 to 50 (two threads of a core), 80 to 157, 385 to 590 ns.
const STEP: f64 = 1.5;

/// The kinds of distance that were seen in a campaign, nearest first.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Distances {
    /// The least and the greatest of each kind.
    kinds: Vec<(f64, f64)>,
}

impl Distances {
    /// Sorts probes into kinds, wherever there is a gap.
    pub(crate) fn of(probes: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = probes.filter(|probe| probe.is_finite() && *probe > 0.0).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let mut kinds: Vec<(f64, f64)> = vec![];
        for probe in sorted {
            match kinds.last_mut() {
                Some((_, high)) if probe < *high * STEP => *high = probe,
                _ => kinds.push((probe, probe)),
            }
        }
        Self { kinds }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.kinds.len()
    }

    /// The range of a kind, in nanoseconds.
    pub(crate) fn range(&self, kind: usize) -> Option<(f64, f64)> {
        self.kinds.get(kind).copied()
    }

    /// The kind of a row that was probed before and after: none when a probe failed, or the processors moved.
    pub(crate) fn kind(&self, before: Option<f64>, after: Option<f64>) -> Option<usize> {
        let find = |probe: f64| self.kinds.iter().position(|(low, high)| (*low..=*high).contains(&probe));
        let kind = find(before?)?;
        (find(after?)? == kind).then_some(kind)
    }
}

/// Pairs of kinds of two campaigns that are the same distance.
pub(crate) fn like<'a>(before: &'a [(f64, f64)], now: &'a [(f64, f64)]) -> impl Iterator<Item = (usize, usize)> + 'a {
    let is_like = |first: &(f64, f64), second: &(f64, f64)| first.0 < second.1 * STEP && second.0 < first.1 * STEP;
    before.iter().enumerate().flat_map(move |(then, first)| {
        now.iter().enumerate().filter(move |(_, second)| is_like(first, second)).map(move |(now, _)| (then, now))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_part_the_kinds() {
        let probes = [95.0, 400.0, 27.0, 99.0, 91.0, 410.0, 110.0];
        let distances = Distances::of(probes.into_iter());
        assert_eq!(distances.count(), 3);
        assert_eq!(distances.range(1), Some((91.0, 110.0)));
        assert_eq!(distances.kind(Some(27.0), Some(27.0)), Some(0));
        assert_eq!(distances.kind(Some(400.0), Some(410.0)), Some(2));
        // Two threads of a core, by turns with neighbouring cores, as they were found.
        assert_eq!(Distances::of([30.0, 40.0, 47.0, 50.0, 80.0, 100.0].into_iter()).count(), 2);
    }

    #[test]
    fn a_row_whose_processors_moved_is_of_no_kind() {
        let distances = Distances::of([95.0, 400.0].into_iter());
        assert_eq!(distances.kind(Some(95.0), Some(400.0)), None);
        assert_eq!(distances.kind(None, Some(400.0)), None);
    }

    #[test]
    fn a_steady_machine_has_one_kind() {
        let distances = Distances::of((90..130).map(f64::from));
        assert_eq!(distances.count(), 1);
        assert_eq!(Distances::of(std::iter::empty()).count(), 0);
    }
}
