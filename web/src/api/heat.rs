//! The heat map's bands.

use speedysvc_protocol::stats::Histogram;

use crate::words::as_float;

/// Bands of an octave.
const BANDS: f64 = 8.0;
/// The shortest time of band 0.
pub(super) const HEAT_FROM_NS: u64 = 64;

/// Pairs of a band and how many calls took so long.
pub(super) fn heat(times: &Histogram) -> Vec<[u64; 2]> {
    let mut bands: Vec<[u64; 2]> = Vec::new();
    for (ns, count) in times.pairs() {
        let octaves = (as_float(ns.max(HEAT_FROM_NS)) / as_float(HEAT_FROM_NS)).log2();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundred bands at most")]
        let band = (octaves * BANDS) as u64;
        match bands.last_mut() {
            Some([last, sum]) if *last == band => *sum += count,
            _ => bands.push([band, count]),
        }
    }
    bands
}

#[cfg(test)]
mod tests {
    use speedysvc_protocol::stats::buckets::bucket_of;

    use super::*;

    #[test]
    fn every_call_is_in_the_band_of_its_time() {
        // Bands are eighths of an octave from 64 ns on; of a time its bucket is known, within 2 %.
        let mut times = Histogram::default();
        for (ns, count) in [(10, 3), (64, 2), (128, 5), (1_000_000, 7), (1_010_000, 1), (3_600_000_000_000, 4)] {
            times.add(bucket_of(ns), count);
        }
        let bands = heat(&times);
        assert_eq!(bands.iter().map(|[_, count]| count).sum::<u64>(), 22);
        assert!(bands.is_sorted_by_key(|[band, _]| *band) && bands.iter().all(|[_, count]| *count > 0));
        for (ns, count) in [(64, 5), (128, 5), (1_000_000, 8), (3_600_000_000_000, 4)] {
            let exact = (as_float(ns) / 64.0).log2() * 8.0;
            let near = |band: &&[u64; 2]| (as_float(band[0]) - exact).abs() < 1.3;
            assert_eq!(bands.iter().find(near).map(|[_, count]| *count), Some(count), "{ns} ns: {bands:?}");
        }
    }
}
